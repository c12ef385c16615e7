"""Files that several open at once."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.durable.sqlite import Checkpointer, write_ahead


def opened(path):
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def test_a_switch_waits_for_another_that_holds_the_file(tmp_path):
    holder, other = opened(tmp_path / "file"), opened(tmp_path / "file")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("PRAGMA journal_mode = WAL")
    release = threading.Timer(0.2, lambda: holder.execute("COMMIT"))
    release.start()
    write_ahead(other, 30.0)
    release.join()
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    holder.close()
    other.close()


def test_a_file_that_stays_locked_is_told(tmp_path):
    holder, other = opened(tmp_path / "file"), opened(tmp_path / "file")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(other, 0.05)
    holder.close()
    other.close()


def test_another_fault_is_not_waited_out(tmp_path):
    (tmp_path / "file").write_bytes(b"not a database, but long enough to be read as one" * 40)
    other = opened(tmp_path / "file")
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(other, 60.0)
    other.close()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A table whose commits move no log by themselves."""
    connection = sqlite3.connect(tmp_path / "table.db", isolation_level=None)
    write_ahead(connection, 5.0)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE rows (number INTEGER, text BLOB)")
    yield connection
    connection.close()


def test_a_log_is_moved_beside_commits_and_begins_anew(
    table: sqlite3.Connection, tmp_path: Path
) -> None:
    log = tmp_path / "table.db-wal"
    checkpointer = Checkpointer(tmp_path / "table.db", 0.005, largest_log_pages=50)
    try:
        for number in range(2000):
            table.execute("INSERT INTO rows VALUES (?, zeroblob(3000))", (number,))
            time.sleep(0.0005)
    finally:
        checkpointer.close()
    assert table.execute("SELECT count(*), sum(number) FROM rows").fetchone() == (2000, 1999000)
    assert log.stat().st_size < 2000 * 3000  # every commit writes two pages or more


def test_a_log_is_moved_once_its_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "late.db"
    checkpointer = Checkpointer(path, 0.005)
    try:
        time.sleep(0.05)
        assert not path.exists()
        connection = sqlite3.connect(path, isolation_level=None)
        write_ahead(connection, 5.0)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE rows (text BLOB)")
        connection.execute("INSERT INTO rows VALUES (zeroblob(300000))")
        until = time.monotonic() + 10.0
        while path.stat().st_size < 300_000 and time.monotonic() < until:
            time.sleep(0.01)
        assert path.stat().st_size >= 300_000
        connection.close()
    finally:
        checkpointer.close()
