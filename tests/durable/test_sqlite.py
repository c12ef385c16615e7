"""Files that several open at once."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from lib.durable.sqlite import write_ahead


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
