"""Ends statements that a PostgreSQL server does not answer, whatever became of it on the way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from os import dup
from typing import Any

_LOOK_SECONDS = 0.25
_WRAPPED = ("do_execute", "do_executemany", "do_execute_no_params", "do_commit", "do_rollback")


class StatementWatchdog:
    """Shuts the socket of a statement that takes longer than `seconds`, which then fails.

    `statement_timeout` is the server's own: behind a network that drops packets, or a server that
    is stopped, nobody would end the wait. One thread for all connections of an engine, started by
    the first statement.

    Args:
        seconds: from a statement's start to its answer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._due: dict[int, tuple[float, Any]] = {}
        self._number = 0
        self._stopped = threading.Event()
        self._exempt = threading.local()
        self._thread: threading.Thread | None = None

    def watch(self, dialect: Any) -> None:
        """Watch everything that a SQLAlchemy dialect asks the server."""
        for name in _WRAPPED:
            setattr(dialect, name, self._bounded(getattr(dialect, name)))
        dialect.do_ping = self._bounded(dialect.do_ping)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the statements of this thread take as long as they like."""
        self._exempt.on = True
        try:
            yield
        finally:
            self._exempt.on = False

    def close(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _bounded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def bounded(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(self._exempt, "on", False):
                return call(connection, *args, **kwargs)
            with self._bounding(connection):
                return call(connection, *args, **kwargs)

        return bounded

    @contextmanager
    def _bounding(self, connection: Any) -> Iterator[None]:
        with self._lock:
            self._number += 1
            number = self._number
            self._due[number] = (time.monotonic() + self._seconds, connection)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._look, name="statement-watchdog", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(number, None)

    def _look(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            with self._lock:
                now = time.monotonic()
                late = [number for number, (due, _) in self._due.items() if due <= now]
                for number in late:
                    _shut(self._due.pop(number)[1])


def _shut(connection: Any) -> None:
    """Shuts the socket of a connection, of its cursor, or of what the pool hands out for it."""
    driver = getattr(connection, "connection", connection)
    driver = getattr(driver, "driver_connection", None) or driver
    with suppress(Exception), socket.socket(fileno=dup(driver.pgconn.socket)) as wire:
        wire.shutdown(socket.SHUT_RDWR)
