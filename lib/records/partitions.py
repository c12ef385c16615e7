"""Partitions of decisions in PostgreSQL: one for each UTC day on which decisions were received."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

from lib.records.errors import RecordsError

DAY = 86_400_000_000
"""Microseconds of a day."""
_FIRST, _LAST = -(2**63), 2**63 - 1
_CREATION_LOCK = 0x50617274  # "Part": any number that no other program locks
_BOUNDS = re.compile(r"FROM \((?:'?(-?\d+)'?|MINVALUE)\) TO \((?:'?(-?\d+)'?|MAXVALUE)\)")
_LISTED = text(
    "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) FROM pg_inherits "
    "JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'decisions'::regclass"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition's name, and the times of receipt that it holds: [since, until), in us UTC."""

    name: str
    since: int
    until: int


def day_of(time: int) -> date:
    """The UTC day of microseconds since 1970."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).date()


def start_of(day: date) -> int:
    """The first microsecond of a UTC day, since 1970."""
    return (day - date(1970, 1, 1)).days * DAY


def partitions(connection: Connection) -> list[Partition]:
    """Every partition, the earliest first."""
    listed = [_partition(name, bounds) for name, bounds in connection.execute(_LISTED)]
    return sorted(listed, key=lambda partition: partition.since)


def create_partitions(connection: Connection, times: Iterable[int]) -> None:
    """Have a partition for each time, and for the day after the last, before midnight comes.

    Attaching a table leaves readers and writers of the others alone; two that do so at once take
    turns. The caller's transaction goes on to write, so no partition is dropped in between.

    Args:
        connection: in a transaction that writes decisions.
        times: of receipt, microseconds since 1970 UTC.
    """
    starts = {time // DAY * DAY for time in times}
    if not starts:
        return
    connection.execute(text("LOCK TABLE decisions IN ROW EXCLUSIVE MODE"))
    if not _absent(connection, starts):
        return
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
    for start in _absent(connection, starts | {max(starts) + DAY}):
        name = f"decisions_p{day_of(start):%Y%m%d}"
        connection.execute(text(f"CREATE TABLE {name} (LIKE decisions INCLUDING ALL)"))
        connection.execute(
            text(
                f"ALTER TABLE decisions ATTACH PARTITION {name} "
                f"FOR VALUES FROM ({start}) TO ({start + DAY})"
            )
        )


def _absent(connection: Connection, starts: set[int]) -> list[int]:
    present = partitions(connection)
    return sorted(
        start
        for start in starts
        if not any(
            partition.since <= start and start + DAY <= partition.until for partition in present
        )
    )


def _partition(name: str, bounds: str) -> Partition:
    matched = _BOUNDS.search(bounds)
    if matched is None:
        raise RecordsError(f"partition {name}: expected a range of received_at, got {bounds!r}")
    since, until = matched.groups()
    return Partition(name, int(since or _FIRST), int(until or _LAST))
