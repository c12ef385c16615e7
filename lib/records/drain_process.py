"""A drain that takes no time from those who answer: it runs in a process of its own."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from lib.records.draining import DrainOutcome
from lib.records.errors import RecordsError
from lib.records.json_codec import read_json, write_json

_ROOT = Path(__file__).resolve().parents[2]
_LAST_DRAIN_SECONDS = 30.0
_DRAIN, END = b"drain\n", b"end\n"


class DrainProcess:
    """Drains a directory of decision logs into a database, beside this process.

    Reading lines and writing rows would hold the interpreter for milliseconds, every second, and
    every answer that is due then would wait. The process is started by the first drain and, after
    its death, by the next but one. It ends by itself, with a last drain, when this process ends,
    however it does. Safe for threads.

    Args:
        directory: of the decision logs.
        records: URL of the database; it is handed over by a pipe, for it may hold a password.
    """

    def __init__(self, directory: Path, records: str) -> None:
        self._start = write_json({"directory": str(directory.absolute()), "records": records})
        self._process: subprocess.Popen[bytes] | None = None
        self._asking = threading.Lock()

    def drain(self) -> DrainOutcome:
        """Store what is sealed and remove it from the disk; waits for the end of it.

        Raises:
            RecordsError: the database is away or refuses; the message says why, and nothing is
                removed that it lacks. Tried again by the next call.
        """
        with self._asking:
            answer = self._ask()
        if "error" in answer:
            raise RecordsError(answer["error"])
        return DrainOutcome(**answer["outcome"])

    def close(self) -> None:
        """End the process after a last drain."""
        with self._asking:
            process, self._process = self._process, None
        if process is None:
            return
        try:
            with suppress(BrokenPipeError):
                _say(process, END)
            _close(process, _LAST_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()  # what it held is whole on the disk, for the next one
            process.wait()

    def _ask(self) -> dict[str, Any]:
        process = self._process
        if process is None:
            process = self._process = self._started()
        try:
            _say(process, _DRAIN)
            line = cast(IO[bytes], process.stdout).readline()
        except BrokenPipeError:
            line = b""
        if not line:
            self._process = None
            code = _close(process)
            return {"error": f"the drain's process ended with {code}; its log says why"}
        answer: dict[str, Any] = read_json(line)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "lib.records"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        _say(process, self._start + b"\n")
        return process


def _close(process: subprocess.Popen[bytes], seconds: float | None = None) -> int:
    """Closes the pipes and waits for its end."""
    with suppress(BrokenPipeError):
        cast(IO[bytes], process.stdin).close()
    with cast(IO[bytes], process.stdout):
        return process.wait(seconds)


def _say(process: subprocess.Popen[bytes], line: bytes) -> None:
    stdin = cast(IO[bytes], process.stdin)
    stdin.write(line)
    stdin.flush()
