"""The base of what reads and writes rows of the records database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, select

from lib.records.database import Database
from lib.records.migration import migrate

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Model = TypeVar("Model", bound=DataclassInstance)
    Part = TypeVar("Part", bound=DataclassInstance)
else:
    Model, Part = TypeVar("Model"), TypeVar("Part")

Other = TypeVar("Other", bound="Repository")
_ROWS_PER_STATEMENT = 1000
_SCAN_SECONDS = 3600.0


class Repository:
    """Rows in SQLite or PostgreSQL; safe for threads and processes.

    Every method raises RecordsUnavailableError where the database cannot be reached, and
    RecordsError where its schema is missing.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`, or where it stands: see `Database`.
        options: of `Database`.
    """

    def __init__(self, url: str, **options: float) -> None:
        self._database = Database(url, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sharing(self, kind: type[Other]) -> Other:
        """Other rows of the same database, read over the same connections."""
        repository = kind.__new__(kind)
        repository._database = self._database
        return repository

    def migrate(self) -> None:
        """Bring the schema up to this code; safe when several processes start at once.

        Raises:
            RecordsError: the schema is newer than this code.
        """
        migrate(self._database)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()

    def _list(
        self,
        model: type[Model],
        table: Table,
        *conditions: ColumnElement[bool],
        order: Sequence[ColumnElement[Any]],
        limit: int | None = None,
    ) -> list[Model]:
        """See `list_rows`."""
        with self._database.reading() as connection:
            return list_rows(connection, model, table, *conditions, order=order, limit=limit)

    def _newest(
        self, model: type[Model], table: Table, order: str, limit: int, **of: str
    ) -> list[Model]:
        """The newest rows of an entity by the column `order`, ties by id."""
        newest = [table.c[order].desc(), table.c.id]
        conditions = [table.c[name] == value for name, value in of.items()]
        return self._list(model, table, *conditions, order=newest, limit=limit)

    def _insert_with_parts(
        self, connection: Connection, table: Table, row: Model, parts: Table, rows: Sequence[Part]
    ) -> bool:
        """Insert a row and, where it is new, the rows that belong to it; says whether it was."""
        new = self._insert(connection, table, [row])
        if new:
            self._insert(connection, parts, rows)
        return bool(new)

    def _find_with_parts(
        self,
        model: type[Model],
        row_id: str,
        table: Table,
        part: type[Part],
        owner: ColumnElement[str],
        order: Sequence[ColumnElement[Any]],
    ) -> tuple[Model, list[Part]] | None:
        """A row by its id, and the rows that name it in their column `owner`; None without it."""
        parts: Table = owner.table
        with self._database.reading() as connection:
            row = find_row(connection, model, table, table.c.id == row_id)
            if row is None:
                return None
            return row, list_rows(connection, part, parts, owner == row_id, order=order)

    def _insert(self, connection: Connection, table: Table, rows: Sequence[Model]) -> int:
        """Insert those rows whose key is not there yet, and return how many they were."""
        new = 0
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            part = [asdict(row) for row in rows[start : start + _ROWS_PER_STATEMENT]]
            new += self._database.insert_new(connection, table, part)
        return new


class RemovalRepository(Repository):
    """A repository that removes rows, and for that may scan those of years.

    Args:
        url: as of `Repository`.
    """

    def __init__(self, url: str) -> None:
        # longer than a request may wait
        super().__init__(url, statement_seconds=_SCAN_SECONDS)

    def alone(self) -> AbstractContextManager[None]:
        """Be the only erasure or retention at work; see `Database.removing`."""
        return self._database.removing()


def find_row(
    connection: Connection, model: type[Model], table: Table, *conditions: ColumnElement[bool]
) -> Model | None:
    """The row of which the conditions hold, if there is one."""
    row = connection.execute(query_rows(model, table, *conditions)).mappings().first()
    return None if row is None else model(**row)


def find_locked_row(
    connection: Connection, model: type[Model], table: Table, *conditions: ColumnElement[bool]
) -> Model | None:
    """As `find_row`, locked until the transaction ends; SQLite has one writer anyway."""
    query = query_rows(model, table, *conditions).with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else model(**row)


def list_rows(
    connection: Connection,
    model: type[Model],
    table: Table,
    *conditions: ColumnElement[bool],
    order: Sequence[ColumnElement[Any]],
    limit: int | None = None,
) -> list[Model]:
    """The rows of which the conditions hold, in an order, at most `limit` of them.

    Args:
        connection: of a transaction.
        model: a dataclass whose fields are columns of the table.
        table: which.
        conditions: which rows; none takes all.
        order: by which columns.
        limit: None for no limit.
    """
    query = query_rows(model, table, *conditions).order_by(*order).limit(limit)
    return [model(**row) for row in connection.execute(query).mappings()]


def list_locked_rows(
    connection: Connection,
    model: type[Model],
    table: Table,
    *conditions: ColumnElement[bool],
    order: Sequence[ColumnElement[Any]],
) -> list[Model]:
    """As `list_rows`, locked in that order until the transaction ends; see `find_locked_row`."""
    query = query_rows(model, table, *conditions).order_by(*order).with_for_update()
    return [model(**row) for row in connection.execute(query).mappings()]


def query_rows(
    model: type[DataclassInstance], table: Table, *conditions: ColumnElement[bool]
) -> Select[Any]:
    """Select the columns of a dataclass from the rows of which the conditions hold."""
    return select(*(table.c[field.name] for field in fields(model))).where(*conditions)
