"""A write-ahead log for a SQLite file that several processes open at once."""

from __future__ import annotations

import sqlite3
import time

_PAUSE_SECONDS = 0.01


def write_ahead(connection: sqlite3.Connection, seconds: float) -> None:
    """Switch a file to its write-ahead log, waiting for others that do the same.

    Of two connections that switch at once SQLite fails one without waiting, whatever its timeout,
    since both hold what the other needs (https://sqlite.org/c3ref/busy_handler.html).

    Args:
        connection: to the file, outside a transaction.
        seconds: to go on trying.

    Raises:
        sqlite3.OperationalError: still locked after that long, or another fault.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not locked or time.monotonic() >= until:
                raise
            time.sleep(_PAUSE_SECONDS)
