"""Opens SQLite or PostgreSQL so that both keep the same promises."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lib.durable import locked, make_private
from lib.records.errors import RecordsError, RecordsUnavailableError
from lib.records.text import read_json, write_json

_JSON: dict[str, Any] = {
    "json_serializer": lambda value: write_json(value).decode(),
    "json_deserializer": read_json,
}
_BUSY_SECONDS = 30
_CONNECT_SECONDS = 5
_MIGRATION_LOCK = 0x466F7265  # "Fore": any number that no other program locks


class Database:
    """One engine and its transactions.

    SQLite runs in WAL mode with `synchronous=FULL` (a commit survives a power cut), waits up to
    30 s for another writer, and writes under BEGIN IMMEDIATE, so that a transaction that reads
    and then writes never fails on another's write in between.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`.

    Raises:
        RecordsError: another database, or SQLite in memory, which no second process sees.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _open_sqlite(self._url) if self.is_sqlite else _open_postgresql(self._url)
        self._writer = self._engine.execution_options(forewarn_write=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._explained(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, or rolled back by an exception."""
        with self._explained(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A write transaction that no other process holds at the same time."""
        if self.is_sqlite:
            # of two that switch to WAL at once, SQLite fails one without waiting
            with locked(Path(f"{self._url.database}.migrate.lock")):
                self._keep_write_ahead_log()
                with self.writing() as connection:
                    yield connection
            return
        with self.writing() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            yield connection

    def insert_new(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
        """Insert those rows whose key is not there yet, and return how many they were."""
        if not rows:
            return 0
        dialect = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(table).on_conflict_do_nothing()
        counted = {"preserve_rowcount": True}
        return connection.execute(statement, rows, execution_options=counted).rowcount

    def insert_named(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], key: Column[Any]
    ) -> set[Any]:
        """As `insert_new`, and return the keys of the rows that were inserted."""
        if not rows:
            return set()
        dialect = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(table).on_conflict_do_nothing().returning(key)
        return set(connection.execute(statement, rows).scalars())

    def insert_keys(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], *keys: Column[Any]
    ) -> set[tuple[Any, ...]]:
        """As `insert_named` for a key of several columns."""
        if not rows:
            return set()
        dialect = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(table).on_conflict_do_nothing().returning(*keys)
        return {tuple(row) for row in connection.execute(statement, rows)}

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()

    def _keep_write_ahead_log(self) -> None:
        with self._explained():
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            where = self._url.render_as_string(hide_password=True)
            cause = f"{type(error.orig).__name__}: {error.orig}".strip()
            if "no such table" in cause or "UndefinedTable" in cause:
                raise RecordsError(f"{where} has no tables yet; run Records.migrate()") from error
            if isinstance(error, OperationalError | InterfaceError):
                raise RecordsUnavailableError(f"{where}: {cause}") from error
            raise
        except PoolTimeoutError as error:
            raise RecordsUnavailableError(f"all connections are in use: {error}") from error


def _parse(url: str) -> URL:
    expected = "expected sqlite:///path or postgresql+psycopg://user@host/database"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RecordsError(f"records URL: {expected}") from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise RecordsError(f"records URL: {expected}, got {parsed.get_backend_name()}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise RecordsError("records URL: SQLite in memory forgets everything; name a file")
    return parsed


def _open_sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, **_JSON)
    file = None if url.query.get("uri") else Path(str(url.database))

    @event.listens_for(engine, "do_connect")
    def close_off(*_: object) -> None:
        if file is not None and file.parent.exists():
            make_private(file)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        # the driver's own transactions would begin too late and hide BEGIN IMMEDIATE
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("forewarn_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _open_postgresql(url: URL) -> Engine:
    connecting = {"connect_timeout": _CONNECT_SECONDS}
    return create_engine(url, connect_args=connecting, pool_pre_ping=True, **_JSON)
