"""The write-ahead log of a SQLite file that several processes open at once."""

import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

_PAUSE_SECONDS = 0.01
_INTERVAL_SECONDS = 0.5
_LARGEST_LOG_PAGES = 8192
_COMMITS_MOVE_PAGES = 4 * _LARGEST_LOG_PAGES


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


def leave_checkpoints(connection: sqlite3.Connection) -> None:
    """Has commits of a connection move the log only where the `Checkpointer` has long failed to."""
    connection.execute(f"PRAGMA wal_autocheckpoint = {_COMMITS_MOVE_PAGES}")


class Checkpointer:
    """Moves the write-ahead log into its SQLite file, on a thread of its own.

    SQLite does so in the commit that fills the log's first 1,000 pages, and whoever commits waits
    for the disk twice (https://sqlite.org/wal.html#ckpt), tens of milliseconds on a busy one. The
    thread does it beside the commits. While commits never pause the log cannot begin anew, so it
    has them wait once it holds more than `largest_log_pages`, when little is left to move. The
    connections that commit call `leave_checkpoints`.

    Args:
        path: the SQLite file; it is in WAL mode.
        interval_seconds: between two runs.
        largest_log_pages: in the log, before commits wait for it to begin anew.
        timeout: seconds to wait for others' locks.
    """

    def __init__(
        self,
        path: Path,
        interval_seconds: float = _INTERVAL_SECONDS,
        largest_log_pages: int = _LARGEST_LOG_PAGES,
        timeout: float = 5.0,
    ) -> None:
        self._path, self._timeout = path, timeout
        self._interval, self._largest = interval_seconds, largest_log_pages
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; the last connection that closes moves what is left."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(self._interval):
            with suppress(sqlite3.Error):  # a full disk or no file: again after the interval
                self._checkpoint_until_closing()

    def _checkpoint_until_closing(self) -> None:
        name = f"{self._path.resolve().as_uri()}?mode=rw"
        with closing(sqlite3.connect(name, timeout=self._timeout, uri=True)) as connection:
            while not self._closing.wait(self._interval):
                self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > self._largest:
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
