"""Statements in the records: what systems came to in periods, listed by date."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from lib.business.statement import BusinessError, Statement, Wording, read_statement
from lib.records.json_codec import write_json
from lib.records.models import Json, require_time
from lib.records.repository import Repository, find_row
from lib.records.schema import BUSINESS_STATEMENTS

_ID_DIGITS = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class StatementEntry:
    """A statement in a list. Times are microseconds since 1970 UTC.

    Attributes:
        id: of its content.
        system: whose.
        since, until: event times of the decisions, the second exclusive.
        as_of: what was known by then.
        recorded_at: when it was kept.
    """

    id: str
    system: str
    since: int
    until: int
    as_of: int
    recorded_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _StatementRow(StatementEntry):
    wording: Mapping[str, Json]
    statement: Mapping[str, Json]
    before: Mapping[str, Json] | None = None


@dataclass(frozen=True)
class RecordedStatement:
    """A statement with its words.

    Attributes:
        entry: its place in the list.
        statement: of the period.
        wording: the system's words.
        before: the period that it was compared with; None without one.
    """

    entry: StatementEntry
    statement: Statement
    wording: Wording
    before: Statement | None


class StatementRepository(Repository):
    """Statements of every system, in SQLite or PostgreSQL."""

    def record_statement(
        self, statement: Statement, wording: Wording, before: Statement | None, now: int
    ) -> str:
        """Keep a statement; the same one again changes nothing.

        Args:
            statement: of a period.
            wording: the system's words.
            before: the period that it was compared with.
            now: microseconds since 1970 UTC.

        Returns:
            Its id.
        """
        require_time("now", now)
        document = statement.model_dump(mode="json")
        earlier = None if before is None else before.model_dump(mode="json")
        content = write_json([asdict(wording), document, earlier])
        row = _StatementRow(
            id=hashlib.sha256(content).hexdigest()[:_ID_DIGITS],
            system=statement.system,
            since=_microseconds(statement.since),
            until=_microseconds(statement.until),
            as_of=_microseconds(statement.as_of),
            recorded_at=now,
            wording=asdict(wording),
            statement=document,
            before=earlier,
        )
        with self._database.writing() as connection:
            self._insert(connection, BUSINESS_STATEMENTS, [row])
        return row.id

    def list_statements(self, system: str, most: int) -> list[StatementEntry]:
        """Statements of a system, that of the latest period first, at most so many."""
        table = BUSINESS_STATEMENTS.c
        order = [table.until.desc(), table.as_of.desc(), table.id]
        return self._list(
            StatementEntry, BUSINESS_STATEMENTS, table.system == system, order=order, limit=most
        )

    def find_statement(self, system: str, statement_id: str) -> RecordedStatement | None:
        """A statement by its id; None where the system has none of it.

        Raises:
            BusinessError: it cannot be read by this code.
        """
        table = BUSINESS_STATEMENTS.c
        conditions = (table.system == system, table.id == statement_id)
        with self._database.reading() as connection:
            row = find_row(connection, _StatementRow, BUSINESS_STATEMENTS, *conditions)
        if row is None:
            return None
        names = ("id", "system", "since", "until", "as_of", "recorded_at")
        return RecordedStatement(
            StatementEntry(**{name: getattr(row, name) for name in names}),
            _statement_of(row.statement, row),
            _wording_of(row),
            None if row.before is None else _statement_of(row.before, row),
        )


def _statement_of(document: Mapping[str, Any], row: StatementEntry) -> Statement:
    text = write_json(document).decode()
    return read_statement(text, f"statement {row.id}", row.system)


def _wording_of(row: _StatementRow) -> Wording:
    try:
        return Wording(**{name: str(value) for name, value in row.wording.items()})
    except TypeError as error:
        raise BusinessError(f"statement {row.id}: wording: {error}") from None


def _microseconds(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)
