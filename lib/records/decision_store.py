"""Decisions in the table and in the archive, as one: inserted once, found and read from both."""

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import pyarrow.compute as pc
from sqlalchemy import Connection, and_, func, or_, select

from lib.records.archive_files import ArchiveFile, Bounds, read_rows
from lib.records.database import Database
from lib.records.earlier_decisions import put_earlier_first
from lib.records.models import Row
from lib.records.partitions import create_partitions, day_of
from lib.records.schema import DECISION_ARCHIVES, DECISION_IDS, DECISIONS, SAME_DECISION
from lib.records.systems import usual_entity

_ROWS_PER_PART = 1000
_SUBJECTS_PER_STATEMENT = 500
_ORDER = itemgetter("event_time", "subject_id")


def insert_first(database: Database, connection: Connection, rows: Sequence[Row]) -> list[Row]:
    """Insert those rows whose subject has no decision yet, and return them.

    A row that was decided earlier than the one that is kept takes its place: see
    `put_earlier_first`.

    Of two transactions with one subject the later waits for the earlier at the key of
    `decision_ids`, whatever days they are of. A subject counts as decided for as long as its id is
    kept, which is for ever unless retention says otherwise.
    """
    if not database.is_sqlite:
        create_partitions(connection, (row["received_at"] for row in rows))
    firsts = {(row["system"], row["subject_id"]): row for row in reversed(rows)}
    ids = [
        {
            "system": system,
            "subject_id": subject_id,
            "entity_id": _entity_id(row),
            "received_at": row["received_at"],
        }
        for (system, subject_id), row in sorted(firsts.items())
    ]
    table = DECISION_IDS
    new = database.insert_keys(connection, table, ids, table.c.system, table.c.subject_id)
    fresh = [firsts[key] for key in sorted(new)]
    database.insert_new(connection, DECISIONS, fresh)
    put_earlier_first(connection, [firsts[key] for key in sorted(firsts.keys() - new)])
    return fresh


def _entity_id(row: Row) -> str | None:
    name = usual_entity(row["system"])
    entity_id = None if name is None else row["entities"].get(name)
    return None if entity_id is None else str(entity_id)


def find(connection: Connection, system: str, subject_id: str) -> dict[str, Any] | None:
    """The first decision about a subject, from the table or from the file of its day."""
    ids = DECISION_IDS.c
    query_id = select(ids.received_at).where(ids.system == system, ids.subject_id == subject_id)
    received_at = connection.execute(query_id).scalar_one_or_none()
    if received_at is None:
        return None
    query = select(DECISIONS).where(
        DECISIONS.c.system == system,
        DECISIONS.c.subject_id == subject_id,
        DECISIONS.c.received_at == received_at,
    )
    row = connection.execute(query).mappings().first()
    if row is not None:
        return dict(row)
    rows = (
        row
        for file in files(connection, system, date=day_of(received_at).isoformat())
        for row in read_rows(
            file,
            pc.field("subject_id") == subject_id,
            Bounds("received_at", received_at, received_at),
        )
    )
    return next(rows, None)


def find_several(
    connection: Connection, system: str, subjects: Collection[str]
) -> list[dict[str, Any]]:
    """The first decisions about subjects, as `find` finds each; those of the table at once."""
    ids = DECISION_IDS.c
    of_subjects = and_(ids.system == system, ids.subject_id.in_(sorted(subjects)))
    query = select(DECISIONS).join(DECISION_IDS, SAME_DECISION).where(of_subjects)
    rows = {row["subject_id"]: dict(row) for row in connection.execute(query).mappings()}
    known = connection.execute(select(ids.subject_id).where(of_subjects)).scalars().all()
    for subject_id in known:
        if subject_id not in rows and (row := find(connection, system, subject_id)) is not None:
            rows[subject_id] = row
    return [rows[subject_id] for subject_id in sorted(rows)]


def stream(database: Database, system: str, since: int, until: int) -> Iterator[dict[str, Any]]:
    """Every decision of a range of event times, by event_time and subject_id, each once.

    Reads a page of the table at a time and no transaction is open between rows, so that a reader
    may take its time. A day that is archived meanwhile is read from its files: they are listed
    again after each page.
    """
    archived: dict[str, _Rows] = {}
    last: tuple[int, str] | None = None
    while True:
        with database.reading() as connection:
            page = _page(connection, system, since, until, last)
            # after the page: what is no longer in the table is in a file by now
            listed = files(connection, system, since, until)
        for file in listed:  # read without a transaction: a bucket may be slow
            if file.id not in archived:
                archived[file.id] = _Rows(_rows_in(file, since, until))
        end = _ORDER(page[-1]) if len(page) == _ROWS_PER_PART else None
        parts = [page, *(rows.until(end) for rows in archived.values())]
        for row in heapq.merge(*parts, key=_ORDER):
            # while a day is moved its rows are in both; a file that came later has earlier ones
            if last is None or _ORDER(row) > last:
                last = _ORDER(row)
                yield row
        if end is None:
            return


class _Rows:
    """Rows of a file in their order, taken in parts.

    Args:
        rows: by event_time and subject_id.
    """

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def until(self, end: tuple[int, str] | None) -> Iterator[dict[str, Any]]:
        """Those up to and including `end`; all of them where it is None."""
        while self._next is not None and (end is None or _ORDER(self._next) <= end):
            row, self._next = self._next, next(self._rows, None)
            yield row


def _page(
    connection: Connection, system: str, since: int, until: int, last: tuple[int, str] | None
) -> list[dict[str, Any]]:
    """The next rows of the table after `last`."""
    table = DECISIONS.c
    subject_id = collated(connection, table.subject_id)
    query = select(DECISIONS).where(table.system == system, table.event_time < until)
    if last is None:
        query = query.where(table.event_time >= since)
    else:
        is_later = and_(table.event_time == last[0], subject_id > last[1])
        query = query.where(table.event_time >= last[0], or_(table.event_time > last[0], is_later))
    query = query.order_by(table.event_time, subject_id).limit(_ROWS_PER_PART)
    return [dict(row) for row in connection.execute(query).mappings()]


def _rows_in(file: ArchiveFile, since: int, until: int) -> Iterator[dict[str, Any]]:
    time = pc.field("event_time")
    return read_rows(file, (time >= since) & (time < until), Bounds("event_time", since, until))


def files(
    connection: Connection,
    system: str | None = None,
    since: int | None = None,
    until: int | None = None,
    date: str | None = None,
) -> list[ArchiveFile]:
    """Archived files, the earliest day first: of a system, a range of event times, a day."""
    table = DECISION_ARCHIVES.c
    conditions = []
    if system is not None:
        conditions.append(table.system == system)
    if since is not None and until is not None:
        conditions += [table.until > since, table.since < until]
    if date is not None:
        conditions.append(table.date == date)
    query = select(DECISION_ARCHIVES).where(*conditions).order_by(table.date, table.id)
    return [ArchiveFile(**row) for row in connection.execute(query).mappings()]


def event_time_bounds(connection: Connection, system: str) -> tuple[int, int] | None:
    """The first and the last event time of a system in table and archive; None without any."""
    times = []
    for column in (DECISIONS.c.event_time, DECISION_ARCHIVES.c.since, DECISION_ARCHIVES.c.until):
        query = select(func.min(column), func.max(column)).where(column.table.c.system == system)
        times += [at for at in connection.execute(query).one() if at is not None]
    return (min(times), max(times)) if times else None


def decided(connection: Connection, keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of some subjects that were decided about."""
    ids, existing = DECISION_IDS.c, set[tuple[str, str]]()
    for system, group in itertools.groupby(sorted(keys), key=itemgetter(0)):
        for part in subjects_in_parts(subject_id for _, subject_id in group):
            query = select(ids.subject_id).where(ids.system == system, ids.subject_id.in_(part))
            existing.update((system, subject) for subject in connection.execute(query).scalars())
    return existing


def subjects_in_parts(subjects: Iterable[str]) -> Iterator[list[str]]:
    """Subjects in lists that one statement can name."""
    rest = iter(subjects)
    return iter(lambda: list(itertools.islice(rest, _SUBJECTS_PER_STATEMENT)), [])


def collated(connection: Connection, column: Any) -> Any:
    """A text column in the order of its code points, as Python and Parquet order it."""
    return column.collate("C") if connection.dialect.name == "postgresql" else column
