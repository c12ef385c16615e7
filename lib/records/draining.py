"""Moves what decision logs left on the local disk to the database."""

import operator
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from lib.durable import replace_file
from lib.records.errors import RefusedRowsError
from lib.records.models import Row
from lib.records.records import Records
from lib.records.segment import claimed, decode_row, encode_row, read_segment, segments

_BATCH = 1000


@dataclass(frozen=True)
class DrainOutcome:
    """What one drain did.

    Attributes:
        stored: decisions that are in the database now.
        repeated: decisions whose subject had one already; the first stays.
        rejected: decisions the database refused one by one, kept in `*.rejected`.
        damaged: lines that failed their checksum, kept in `*.damaged`.
        torn: appends that never finished and so were never answered.
    """

    stored: int = 0
    repeated: int = 0
    rejected: int = 0
    damaged: int = 0
    torn: int = 0

    def __add__(self, other: "DrainOutcome") -> "DrainOutcome":
        return DrainOutcome(*map(operator.add, astuple(self), astuple(other)))


def drain(directory: Path, records: Records) -> DrainOutcome:
    """Store every segment that nobody writes any more, and remove it after the commit.

    Any number of processes may do so at once: each segment is claimed by one.

    Raises:
        RecordsUnavailableError: the database is away; nothing is removed that it lacks.
    """
    outcome = DrainOutcome()
    for path in segments(directory):
        with claimed(path) as free:
            if free:
                outcome += _store(path, records)
    return outcome


def store_lines(lines: Sequence[bytes], records: Records) -> list[bytes]:
    """Store lines of a decision log that are in memory; returns those the database refuses.

    Raises:
        RecordsUnavailableError: the database is away; any of them may be stored already, and
            storing them again changes nothing.
    """
    rows = [row for line in lines if (row := decode_row(line)) is not None]
    rejected: list[Row] = []
    for start in range(0, len(rows), _BATCH):
        _store_batch(rows[start : start + _BATCH], records, rejected)
    return [encode_row(row) for row in rejected]


def _store(path: Path, records: Records) -> DrainOutcome:
    content = read_segment(path)
    outcome = DrainOutcome(damaged=len(content.damaged), torn=int(content.torn != b""))
    rejected: list[Row] = []
    for start in range(0, len(content.rows), _BATCH):
        batch = content.rows[start : start + _BATCH]
        outcome += _store_batch(batch, records, rejected)
    _keep(path.with_suffix(".damaged"), content.damaged)
    _keep(path.with_suffix(".rejected"), [encode_row(row).rstrip() for row in rejected])
    path.unlink()
    return outcome


def _store_batch(batch: list[Row], records: Records, rejected: list[Row]) -> DrainOutcome:
    try:
        done = records.record_rows(batch)
        return DrainOutcome(stored=done.stored, repeated=done.repeated)
    except RefusedRowsError:
        # one refused record must not stop the others; whatever else fails is no record's fault
        if len(batch) == 1:
            rejected.extend(batch)
            return DrainOutcome(rejected=1)
    half = len(batch) // 2
    first = _store_batch(batch[:half], records, rejected)
    return first + _store_batch(batch[half:], records, rejected)


def _keep(path: Path, lines: list[bytes]) -> None:
    if lines:
        replace_file(path, b"\n".join([*lines, b""]), mode=0o600)
