"""Moves days of decisions from the table to Parquet files, and removes days that are too old."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Table,
    Text,
    and_,
    cast,
    delete,
    func,
    insert,
    null,
    select,
    text,
    tuple_,
)

from lib.records.archive_files import (
    ROWS_PER_GROUP,
    ArchiveFile,
    read_columns,
    write_files,
)
from lib.records.database import Database
from lib.records.decision_store import collated, files, subjects_in_parts
from lib.records.errors import RecordsError
from lib.records.partitions import DAY, Partition, day_of, partitions, start_of
from lib.records.schema import DECISION_ARCHIVES, DECISION_IDS, DECISIONS, RESCORES
from lib.records.systems import usual_entity
from lib.storage import has_credentials, open_storage

_KEYS_PER_DELETE = 500


@dataclass(frozen=True, slots=True)
class Aged:
    """What became of one kind of records: how many went, and how many stayed as they wait."""

    deleted: int
    waiting: int = 0


def open_archive(uri: str) -> str:
    """The URI, once it is known to be one.

    Raises:
        RecordsError: it holds credentials, which would stand in the database.
        StorageError: it cannot be opened.
    """
    if has_credentials(uri):
        raise RecordsError(
            "archive: expected a URI without credentials, which would be kept in the database; "
            "give them in the environment, as the store's SDK reads them"
        )
    return open_storage(uri).address()


def days_before(database: Database, until: int) -> list[date]:
    """UTC days before that of `until` (exclusive) of which the table has decisions, in order."""
    with database.reading() as connection:
        if database.is_sqlite:
            day = DECISIONS.c.received_at // DAY
            query = select(day).where(DECISIONS.c.received_at < until // DAY * DAY).distinct()
            return sorted(
                day_of(int(number) * DAY) for number in connection.execute(query).scalars()
            )
        days: set[date] = set()
        for partition in partitions(connection):
            days |= _days_of(connection, partition, until // DAY * DAY)
        return sorted(days)


def _days_of(connection: Connection, partition: Partition, until: int) -> set[date]:
    if partition.since >= until:
        return set()
    if partition.until - partition.since == DAY:
        return {day_of(partition.since)}
    received = DECISIONS.c.received_at
    inside = and_(received >= partition.since, received < min(partition.until, until))
    bounds = select(func.min(received), func.max(received)).where(inside)
    first, last = connection.execute(bounds).one()
    if first is None:
        return set()
    days = (day_of(last) - day_of(first)).days + 1
    return {day_of(first) + timedelta(days=number) for number in range(days)}


def archive_day(database: Database, uri: str, day: date, now: int) -> Aged:
    """Write a day's decisions to files, verify them, and only then take the day off the table.

    A day is left as it is while one of its decisions waits to be scored again. Cut off anywhere,
    the same call goes on: files that are named in the database are not written again.

    Args:
        database: of the records.
        uri: of the archive, local or a bucket.
        day: UTC day of receipt, over for long enough that no journal still has decisions of it.
        now: microseconds since 1970 UTC.

    Raises:
        RecordsError: what was read back is not what was written, or the day's rows changed.
    """
    with database.reading() as connection:
        waiting = _waiting(connection, day)
        archived = files(connection, date=day.isoformat())
    if waiting:
        return Aged(0, waiting)
    _remove_archived(database, archived, day)
    archive_files = _export(database, uri, day, now)
    with database.writing() as connection:
        partition = _own_partition(database, connection, day)
        if partition is not None:
            _require_all(connection, partition, archive_files)
        if archive_files:
            connection.execute(insert(DECISION_ARCHIVES), [asdict(file) for file in archive_files])
        if partition is not None:
            _drop(connection, partition)
    if partition is None:
        _remove_archived(database, archive_files, day)
    return Aged(sum(file.rows for file in archive_files), 0)


def delete_day(database: Database, day: date, *, count_only: bool = False) -> Aged:
    """Remove a day's decisions and their ids from the table, without an archive.

    A day stays while one of its decisions waits to be scored again; `moved` counts what went.
    """
    with database.reading() as connection:
        waiting = _waiting(connection, day)
        counted = select(func.count()).select_from(DECISIONS).where(*_on(DECISIONS, day))
        rows = int(connection.execute(counted).scalar_one())
    if waiting or count_only:
        return Aged(0 if waiting else rows, waiting)
    with database.writing() as connection:
        partition = _own_partition(database, connection, day)
        if partition is not None:
            _drop(connection, partition)
    if partition is None:
        _delete_day_of(DECISIONS, database, day)
    _delete_day_of(DECISION_IDS, database, day)
    return Aged(rows, 0)


def delete_archived(database: Database, until: int, *, count_only: bool = False) -> int:
    """Remove files of days before that of `until`, with the ids in them; returns how many rows."""
    last = day_of(until).isoformat()
    with database.reading() as connection:
        old = [file for file in files(connection) if file.date < last]
    for file in [] if count_only else old:
        _delete_subjects_of(file, DECISION_IDS, database)
        replace_archive(database, file, None)
    return sum(file.rows for file in old)


def replace_archive(database: Database, file: ArchiveFile, fresh: ArchiveFile | None) -> None:
    """Take a file out of the database, for one in its place or none, then off its disk."""
    with database.writing() as connection:
        connection.execute(delete(DECISION_ARCHIVES).where(DECISION_ARCHIVES.c.id == file.id))
        if fresh is not None:
            connection.execute(insert(DECISION_ARCHIVES), [asdict(fresh)])
    file.storage.delete(file.path)


def _delete_day_of(table: Table, database: Database, day: date) -> None:
    """Delete the rows of a day, some at a time."""
    keys = (table.c.system, table.c.subject_id)
    some = select(*keys).where(*_on(table, day)).limit(_KEYS_PER_DELETE)
    statement = delete(table).where(tuple_(*keys).in_(some), *_on(table, day))
    deleted = 1
    while deleted:
        with database.writing() as connection:
            deleted = connection.execute(statement).rowcount


def _delete_subjects_of(
    file: ArchiveFile, table: Table, database: Database, *conditions: ColumnElement[bool]
) -> None:
    """Delete the rows about the subjects of a file, some at a time."""
    for batch in read_columns(file, ["subject_id"]):
        for part in subjects_in_parts(batch["subject_id"].to_pylist()):
            subjects = (table.c.system == file.system, table.c.subject_id.in_(part))
            with database.writing() as connection:
                connection.execute(delete(table).where(*subjects, *conditions))


def _waiting(connection: Connection, day: date) -> int:
    ids = DECISION_IDS.c
    same = and_(RESCORES.c.system == ids.system, RESCORES.c.subject_id == ids.subject_id)
    query = (
        select(func.count())
        .select_from(RESCORES.join(DECISION_IDS, same))
        .where(RESCORES.c.rescored_at.is_(None), *_on(DECISION_IDS, day))
    )
    return int(connection.execute(query).scalar_one())


def _export(database: Database, uri: str, day: date, now: int) -> list[ArchiveFile]:
    storage, archive_files = open_storage(uri), list[ArchiveFile]()
    with database.reading() as connection:
        systems = select(DECISIONS.c.system).where(*_on(DECISIONS, day)).distinct()
        for system in sorted(connection.execute(systems).scalars()):
            rows = _rows(connection, system, day)
            archive_files += write_files(rows, storage, system, day.isoformat(), now)
    return archive_files


def _on(table: Table, day: date) -> tuple[ColumnElement[bool], ...]:
    received, start = table.c.received_at, start_of(day)
    return received >= start, received < start + DAY


def _rows(connection: Connection, system: str, day: date) -> Iterator[Sequence[Any]]:
    """Rows in the order of a file's, JSON as its text; whom each concerns stands last."""
    columns = [
        cast(column, Text) if isinstance(column.type, JSON) else column
        for column in DECISIONS.columns
    ]
    name = usual_entity(system)
    entity_id = null() if name is None else DECISIONS.c.entities[name].as_string()
    query = (
        select(*columns, entity_id)
        .where(DECISIONS.c.system == system, *_on(DECISIONS, day))
        .order_by(DECISIONS.c.event_time, collated(connection, DECISIONS.c.subject_id))
        .execution_options(yield_per=ROWS_PER_GROUP // 10)
    )
    yield from connection.execute(query)


def _own_partition(database: Database, connection: Connection, day: date) -> Partition | None:
    """The partition that holds this day and nothing else, if there is one."""
    if database.is_sqlite:
        return None
    bounds = (start_of(day), start_of(day) + DAY)
    listed = partitions(connection)
    return next((each for each in listed if (each.since, each.until) == bounds), None)


def _require_all(
    connection: Connection, partition: Partition, archive_files: list[ArchiveFile]
) -> None:
    """Keep writers out of the partition, and refuse to go on where they came in meanwhile."""
    connection.execute(text(f"LOCK TABLE {partition.name} IN SHARE MODE"))
    counted = text(f"SELECT count(*) FROM {partition.name}")  # noqa: S608
    stored = int(connection.execute(counted).scalar_one())
    written = sum(file.rows for file in archive_files)
    if stored != written:
        for file in archive_files:
            file.storage.delete(file.path)
        raise RecordsError(
            f"{partition.name}: {stored} decisions, and {written} were written to the archive; "
            "some came or went meanwhile; nothing was removed, run it again"
        )


def _drop(connection: Connection, partition: Partition) -> None:
    connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    connection.execute(text(f"ALTER TABLE decisions DETACH PARTITION {partition.name}"))
    connection.execute(text(f"DROP TABLE {partition.name}"))


def _remove_archived(database: Database, archive_files: Sequence[ArchiveFile], day: date) -> None:
    """Delete from the table what files hold, some at a time; what came later stays."""
    for file in archive_files:
        with database.reading() as connection:
            condition = (DECISIONS.c.system == file.system, *_on(DECISIONS, day))
            left = select(DECISIONS.c.system).where(*condition)
            if connection.execute(left.limit(1)).first() is None:
                continue
        _delete_subjects_of(file, DECISIONS, database, *_on(DECISIONS, day))
