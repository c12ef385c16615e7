"""Databases with all tables and no rows, copied from one that was migrated once."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from lib.records import Records
from tests.records.server import new_database


def migrated_file(file: Path) -> str:
    """Write a SQLite database with its tables, and return its URL.

    Args:
        file: of the database; its folder may be absent, it must be.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(_file_content())
    return f"sqlite:///{file}"


def migrated_database(server: str) -> str:
    """Make a database with its tables on a PostgreSQL server, and return its URL.

    Args:
        server: its URL up to the database.
    """
    return new_database(server, _template(server))


@cache
def _file_content() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.db"
        _migrate(f"sqlite:///{file}")
        # closing has moved everything from the write-ahead log to the file
        return file.read_bytes()


@cache
def _template(server: str) -> str:
    url = new_database(server)
    _migrate(url)
    return url


def _migrate(url: str) -> None:
    with Records(url) as records:
        records.migrate()
