"""Structured logs: one JSON object a line, written in batches away from the request's path.

Of each request there is one line, of every application, and one count.
"""

import itertools
import json
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from pydantic_core import to_json

from lib.durable import RotatingFile
from serve.framework.asgi import RequestContext
from serve.framework.metrics import REQUEST_MS, REQUESTS, Metrics
from serve.framework.problem import fault_fields

TIMED_ONE_IN = 8
_MILLISECONDS = 1000.0
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


class AccessLog:
    """Writes down what was answered.

    Args:
        log: one line per request.
        metrics: counts answers.
    """

    def __init__(self, log: JsonLog, metrics: Metrics) -> None:
        self._log, self._metrics = log, metrics
        self._turns = itertools.cycle(range(TIMED_ONE_IN))

    def request(self, route: str, method: str, status: int, context: RequestContext) -> None:
        """Counts an answer and adds its line."""
        elapsed_ms = (time.perf_counter() - context.started) * _MILLISECONDS
        self._metrics.count(REQUESTS.name, route, str(status))
        if next(self._turns) == 0:  # a histogram's price is that of ten counts
            self._metrics.observe(REQUEST_MS.name, elapsed_ms, route)
        self._log.write(
            "request",
            request_id=context.request_id,
            method=method,
            route=route,
            status=status,
            ms=round(elapsed_ms, 3),
            key_id=context.key_id,
            **context.log_fields,
        )

    def fault(self, error: Exception, context: RequestContext) -> None:
        """Adds a line for an error that no answer was meant for."""
        # the type and place only: a message may quote what a person sent
        fields = fault_fields(error) | {"error": type(error).__name__}
        self._log.write("fault", "error", request_id=context.request_id, **fields)


def _encoded(line: dict[str, Any]) -> bytes:
    try:
        return to_json(line, fallback=str) + b"\n"
    except ValueError:  # half a surrogate pair, which only the slower encoder can escape
        return json.dumps(line, default=str).encode() + b"\n"
