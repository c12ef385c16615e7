"""Opens SQLite or PostgreSQL so that both keep the same promises."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lib.durable import locked, locked_at_once, make_private
from lib.records.errors import RecordsError, RecordsUnavailableError, RefusedRowsError
from lib.records.json_codec import read_json, write_json
from lib.records.statement_watchdog import StatementWatchdog


def _json_text(value: object) -> str:
    try:
        return write_json(value).decode()
    except ValueError:  # pydantic's error quotes the value
        raise UnicodeError("a value that JSON cannot hold") from None


_JSON: dict[str, Any] = {
    "json_serializer": _json_text,
    "json_deserializer": read_json,
}
_BUSY_SECONDS = 30
_CONNECT_SECONDS = 5
_POOL_SECONDS = 10
_STATEMENT_SECONDS = 30.0
_LOCK_SECONDS = 10
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_UNDELIVERED_MS = 15_000
_REFUSALS = ("22", "23", "44", "P0")  # classes of SQLSTATE
_REMOVAL_LOCK = 0x52656D6F  # "Remo": likewise
_MIGRATION_LOCK = 0x466F7265  # "Fore": any number that no other program locks


class Database:
    """One engine and its transactions.

    SQLite runs in WAL mode with `synchronous=FULL` (a commit survives a power cut), waits up to
    30 s for another writer, and writes under BEGIN IMMEDIATE, so that a transaction that reads
    and then writes never fails on another's write in between.

    PostgreSQL answers a statement within `statement_seconds` or the statement fails, also where the
    server or the network hangs; it waits up to 10 s for a lock. No error holds a value of a row.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`, or `env:NAME` or `file:/path`, the
            variable or file that holds one: it may hold a password.
        statement_seconds: the most that a statement may take on PostgreSQL; migrations may take
            longer.

    Raises:
        RecordsError: another database, or SQLite in memory, which no second process sees.
    """

    def __init__(self, url: str, statement_seconds: float = _STATEMENT_SECONDS) -> None:
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._watchdog = StatementWatchdog(statement_seconds + _CONNECT_SECONDS)
        if self.is_sqlite:
            self._engine = _open_sqlite(self._url)
        else:
            self._engine = _open_postgresql(self._url, statement_seconds, self._watchdog)
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
                self._run_pragma("journal_mode = WAL")
                with self.writing() as connection:
                    yield connection
            return
        with self.writing() as connection, self._watchdog.paused():
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            yield connection

    def now(self, connection: Connection) -> int:
        """Microseconds since 1970 UTC by the clock that all who use this database share."""
        if self.is_sqlite:  # a file on this machine
            return time.time_ns() // 1000
        query = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        return int(connection.execute(query).scalar_one())

    def take_turn(self, connection: Connection, key: int) -> None:
        """Wait until no other transaction holds the same turn; SQLite has one writer anyway."""
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Be the only process that archives, ages or erases, without holding up any other.

        Raises:
            RecordsUnavailableError: another one does.
        """
        with self.working("removing", _REMOVAL_LOCK) as free:
            if not free:
                where = self._url.render_as_string(hide_password=True)
                raise RecordsUnavailableError(
                    f"{where}: another erasure or retention runs; run it again when it has ended"
                )
            yield

    @contextmanager
    def working(self, name: str, key: int) -> Iterator[bool]:
        """Be the only process at some long work, also without a transaction; False if another is.

        A process that is killed gives its place back.

        Args:
            name: of the lock file beside a database in a file.
            key: of the lock in PostgreSQL.
        """
        if self.is_sqlite:
            with locked_at_once(Path(f"{self._url.database}.{name}.lock")) as free:
                yield free
            return
        with self._explained():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            with self._explained():
                tried = text("SELECT pg_try_advisory_lock(:key)")
                free = connection.execute(tried, {"key": key}).scalar_one()
            yield bool(free)
        finally:
            with suppress(SQLAlchemyError):  # where it is broken, the server gives the lock back
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
            connection.invalidate()
            connection.close()

    def insert_new(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
        """Insert those rows whose key is not there yet, and return how many they were."""
        if not rows:
            return 0
        counted = {"preserve_rowcount": True}
        done = connection.execute(self._insert_absent(table), rows, execution_options=counted)
        return done.rowcount

    def insert_keys(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], *key: Column[Any]
    ) -> set[tuple[Any, ...]]:
        """As `insert_new`, and return the keys of the rows that were inserted."""
        if not rows:
            return set()
        statement = self._insert_absent(table).returning(*key)
        return {tuple(row) for row in connection.execute(statement, rows)}

    def insert_newest(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], at: str
    ) -> None:
        """Insert rows; one whose key is there replaces it where it is later by the column `at`."""
        if not rows:
            return
        dialect: Any = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(table)
        key = [column.name for column in table.primary_key]
        newer = {name: statement.excluded[name] for name in rows[0] if name not in key}
        statement = statement.on_conflict_do_update(
            index_elements=key, set_=newer, where=statement.excluded[at] > table.c[at]
        )
        connection.execute(statement, rows)

    @contextmanager
    def erasing(self) -> Iterator[Connection]:
        """As `writing`; SQLite overwrites what is deleted with zeros."""
        with self.writing() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            yield connection

    def expunge(self) -> None:
        """Take what was deleted out of SQLite's write-ahead log, where no reader holds it."""
        if self.is_sqlite:
            self._run_pragma("wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the idle connections."""
        self._watchdog.close()
        self._engine.dispose()

    def _insert_absent(self, table: Table) -> Any:
        dialect = sqlite if self.is_sqlite else postgresql
        return dialect.insert(table).on_conflict_do_nothing()

    def _run_pragma(self, pragma: str) -> None:
        """Run a pragma of SQLite outside of a transaction."""
        with self._explained():
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute(f"PRAGMA {pragma}").fetchall()
            finally:
                connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        # `from None`: a driver's error quotes values of rows, and a traceback would show it
        where = self._url.render_as_string(hide_password=True)
        try:
            yield
        except DBAPIError as error:
            cause = _cause(error)
            if "no such table" in cause or "UndefinedTable" in cause:
                raise RecordsError(f"{where} has no tables yet; run Records.migrate()") from None
            if _is_refusal(error):
                raise RefusedRowsError(f"{where} refused a row: {cause}") from None
            raise RecordsUnavailableError(f"{where}: {cause}") from None
        except (StatementError, OverflowError, UnicodeError) as error:
            kind = type(getattr(error, "orig", error)).__name__
            raise RefusedRowsError(f"{where}: a value that no column holds: {kind}") from None
        except PoolTimeoutError:
            raise RecordsUnavailableError(f"{where}: all connections are in use") from None


def require_database(url: str) -> None:
    """Refuse SQLite in a file that is not there, which opening it would make, empty.

    Args:
        url: as `Database` takes it.

    Raises:
        RecordsError: there is no such file, or the URL is none of a database.
    """
    parsed = _parse(url)
    is_file = parsed.get_backend_name() == "sqlite" and not parsed.query.get("uri")
    if is_file and not Path(str(parsed.database)).is_file():
        raise RecordsError(
            f"records: expected a database that a service wrote, there is no file {parsed.database}"
        )


def absolute_address(address: str) -> str:
    """The same address for a process that runs in another folder.

    A file of SQLite is named from the root; a URL that may hold a password is left where it stands.

    Args:
        address: as `Database` takes it.

    Raises:
        RecordsError: it is none.
    """
    parsed = _parse(address)
    if parsed.get_backend_name() != "sqlite" or parsed.query.get("uri"):
        return address
    return f"sqlite:///{Path(str(parsed.database)).absolute()}"


def read_address(address: str, description: str = "the URL") -> str:
    """A text, also where it stands in `env:NAME` or `file:/path`: commands are seen by others.

    Args:
        address: the text, or where it stands.
        description: it is, for the error.

    Raises:
        RecordsError: the variable is not set, or the file cannot be read.
    """
    if address.startswith("env:"):
        name = address.removeprefix("env:")
        if not os.environ.get(name):
            raise RecordsError(
                f"{address}: expected {description} in the variable {name}; it is not set"
            )
        return os.environ[name]
    if address.startswith("file:"):
        path = Path(address.removeprefix("file:").removeprefix("//"))
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RecordsError(
                f"{address}: expected a file that holds {description}: {error}"
            ) from error
    return address


def _parse(url: str) -> URL:
    url = read_address(url)
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
    connecting = {"timeout": _BUSY_SECONDS}
    engine = create_engine(url, connect_args=connecting, hide_parameters=True, **_JSON)
    file = None if url.query.get("uri") else Path(str(url.database))

    @event.listens_for(engine, "do_connect")
    def close_off(*_: object) -> None:
        if file is not None and file.parent.is_dir():
            with suppress(OSError):  # SQLite says itself why it cannot open a file
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


def _open_postgresql(url: URL, seconds: float, watchdog: StatementWatchdog) -> Engine:
    session = {
        "statement_timeout": f"{seconds * 1000:.0f}ms",
        "lock_timeout": f"{_LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{2 * seconds * 1000:.0f}ms",
        # a count of a long queue takes one core of a machine on which others decide, not all
        "max_parallel_workers_per_gather": "0",
    }
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    url_options = url.query.get("options", ())  # what the URL asks for comes last, and holds
    options = " ".join([options, *([url_options] if isinstance(url_options, str) else url_options)])
    connecting = {
        "connect_timeout": _CONNECT_SECONDS,
        "tcp_user_timeout": _UNDELIVERED_MS,
        "options": options,
        **_KEEPALIVE,
    }
    engine = create_engine(
        url.difference_update_query(["options"]),
        connect_args=connecting,
        pool_pre_ping=True,
        pool_timeout=_POOL_SECONDS,
        hide_parameters=True,
        **_JSON,
    )
    watchdog.watch(engine.dialect)
    return engine


def _is_refusal(error: DBAPIError) -> bool:
    """Whether rows are at fault: data, constraints, a view's check or an operator's trigger."""
    code = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, DataError | IntegrityError) or code[:2] in _REFUSALS


def _cause(error: DBAPIError) -> str:
    """What went wrong, without values: of PostgreSQL's data errors only code, column and rule."""
    kind = type(error.orig).__name__
    diagnosis = getattr(error.orig, "diag", None)
    code = getattr(error.orig, "sqlstate", None)
    if diagnosis is None or code is None:  # SQLite names columns; no connection has no diagnosis
        return f"{kind}: {error.orig}".strip()
    names = (diagnosis.table_name, diagnosis.column_name, diagnosis.constraint_name)
    where = ".".join(name for name in names if name)
    message = "" if _is_refusal(error) else diagnosis.message_primary or ""
    return f"{kind} {code} {where} {message}".strip()
