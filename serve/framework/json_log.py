"""Structured logs: one JSON object a line, written in batches away from the request's path."""

import json
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from pydantic_core import to_json

from lib.durable import RotatingFile

_LARGEST_BATCH = 256
_MOST_WAITING = 10_000


class JsonLog:
    """Writes JSON lines. Callers give no personal fields: ids of people never come here.

    Lines wait in memory until `flush`, which the application calls a few times a second, or until
    there are many; what a killed process had waiting is lost, so it is no place for records.

    Args:
        name: of the application, in every line.
        file: to append to; None writes to standard error.
    """

    def __init__(self, name: str, file: RotatingFile | None = None) -> None:
        self._name = name
        self._file = file
        self._unwritten: list[bytes] = []
        self._failing = False
        self._lost = 0
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def write(self, event: str, level: str = "info", **fields: Any) -> None:
        """Adds one line.

        Args:
            event: what happened, e.g. `request`.
            level: info, warning or error.
            fields: values that JSON can hold.
        """
        self._waiting.append(
            {"time": time.time(), "level": level, "app": self._name, "event": event, **fields}
        )
        if not self._failing and (len(self._waiting) >= _LARGEST_BATCH or level == "error"):
            self.flush()

    def flush(self) -> None:
        """Writes what waits; never raises."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if not waiting and not self._unwritten:
                return
            if self._lost and not self._failing:
                waiting.append(self._loss())
            self._unwritten += [_encoded(line) for line in waiting]
            try:
                self._write(b"".join(self._unwritten))
            except (OSError, ValueError):  # a full disk, or a standard error that was closed
                self._failing = True
                over = max(0, len(self._unwritten) - _MOST_WAITING)
                del self._unwritten[:over]
                self._lost += over
            else:
                self._failing, self._unwritten = False, []

    def close(self) -> None:
        """Writes what waits and closes the file."""
        self.flush()
        with suppress(OSError):
            if self._file is not None:
                self._file.close()

    def _write(self, lines: bytes) -> None:
        if self._failing:  # what failed may have left a part of a line
            lines = b"\n" + lines
        if self._file is not None:
            self._file.write(lines)
            return
        sys.stderr.buffer.write(lines)
        sys.stderr.buffer.flush()

    def _loss(self) -> dict[str, Any]:
        lost, self._lost = self._lost, 0
        return {
            "time": time.time(),
            "level": "error",
            "app": self._name,
            "event": "log-lines-lost",
            "lines": lost,
        }


def _encoded(line: dict[str, Any]) -> bytes:
    try:
        return to_json(line, fallback=str) + b"\n"
    except ValueError:  # half a surrogate pair, which only the slower encoder can escape
        return json.dumps(line, default=str).encode() + b"\n"
