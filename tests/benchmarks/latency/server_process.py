"""A server in a process of its own, which prints that it is ready and ends with its input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def server_process(
    module: str, options: Mapping[str, object], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """The process of a module of this folder, ready; it gets two minutes to end.

    Raises:
        RuntimeError: it ended without being ready.
    """
    command = [sys.executable, "-m", f"tests.benchmarks.latency.{module}"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment), text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not any(line.strip() == "ready" for line in process.stdout):
            raise RuntimeError(f"{' '.join(command[2:])} did not start")
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=120)
