"""Decisions of a range of event times, from the records or a Parquet export, in pieces.

A piece is read by whoever has it, in any order and any process: no lock and no transaction is held
between two tables, and a reader holds one table in memory at a time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lib.records.decision_export import conform, open_export, required_names
from lib.records.decision_table import DECISION_SCHEMA, decision_table
from lib.records.partitions import DAY
from lib.records.records import Records
from lib.records.systems import recorded_system
from lib.storage import open_storage

ROWS_PER_TABLE = 5_000
"""Rows that a reader holds at a time, with their features and documents."""
LARGEST_LEAD_US = DAY
"""An event that lies further than this after its receipt is of another clock."""
AHEAD = "event_time more than a day after received_at"
"""Why a decision is left out whose clocks disagree."""
_ROWS_PER_PIECE = 250_000


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Event times from `since` up to, and without, `until`, microseconds since 1970 UTC."""

    since: int
    until: int

    @property
    def days(self) -> list[TimeRange]:
        """Its parts by UTC day, the first and the last of which may be shorter."""
        starts = range(self.since // DAY * DAY, self.until, DAY)
        return [TimeRange(max(start, self.since), min(start + DAY, self.until)) for start in starts]

    def parts(self, count: int) -> list[TimeRange]:
        """`count` parts of about the same length."""
        cuts = np.linspace(self.since, self.until, count + 1).astype(np.int64).tolist()
        return [TimeRange(a, b) for a, b in itertools.pairwise(cuts) if b > a]

    def __str__(self) -> str:
        first, last = (
            datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="seconds")
            for at in (self.since, self.until)
        )
        return f"{first} to {last}"


@dataclass
class ReadCounts:
    """What became of the rows of a window.

    Attributes:
        rows: that were read.
        left_out: how many of them were left out, by reason.
    """

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def used(self) -> int:
        """Rows that went on."""
        return self.rows - self.left_out.total()

    def add(self, other: ReadCounts) -> None:
        """Count those of another reading too."""
        self.rows += other.rows
        self.left_out.update(other.left_out)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some decisions of a window.

    Attributes:
        range: of their event times.
        path: of a Parquet file that holds them, "" where they are in the records.
        row_groups: of that file.
    """

    range: TimeRange
    path: str = ""
    row_groups: tuple[int, ...] = ()


class DecisionReader(Protocol):
    """Decisions in pieces; an instance can be sent to other processes."""

    def pieces(self, window: TimeRange, parallel: int) -> list[Piece]:
        """Pieces that hold the decisions of a window, each once; more than `parallel` if it can."""

    def read(self, piece: Piece) -> Iterator[pa.Table]:
        """Its decisions in tables of `DECISION_SCHEMA` and features, about 5,000 rows each."""


@dataclass(frozen=True, slots=True)
class RecordedDecisions:
    """Decisions in the records database, those that are archived included.

    Args:
        url: of the database, as `Database` takes it.
        system: the risk system.
    """

    url: str
    system: str

    def pieces(self, window: TimeRange, parallel: int) -> list[Piece]:
        """Parts of UTC days."""
        days = window.days
        each = max(1, -(-parallel // len(days)))
        return [Piece(part) for day in days for part in day.parts(each)]

    def read(self, piece: Piece) -> Iterator[pa.Table]:
        """See `DecisionReader`.

        Raises:
            RecordsUnavailableError: the database or the archive cannot be read.
        """
        entity = next(iter(recorded_system(self.system).entities.values()))
        with Records(self.url) as records:
            rows = records.decisions(self.system, piece.range.since, piece.range.until)
            while part := list(itertools.islice(rows, ROWS_PER_TABLE)):
                yield decision_table(part, entity)


@dataclass(frozen=True, slots=True)
class ExportedDecisions:
    """Decisions in Parquet files with the same columns.

    Args:
        uri: of a file or a folder.
        option: by which it was given, for errors.
    """

    uri: str
    option: str = "--decisions"

    def pieces(self, window: TimeRange, parallel: int) -> list[Piece]:  # noqa: ARG002
        """Row groups of files, together at most 250,000 rows unless one alone has more.

        Raises:
            ExportError: see `open_export`.
        """
        pieces = []
        for file in self._open().get_fragments():
            fragment = file.subset(_inside(window, file.physical_schema))
            groups: list[int] = []
            rows = 0
            for group in fragment.row_groups:
                if groups and rows + group.num_rows > _ROWS_PER_PIECE:
                    pieces.append(Piece(window, fragment.path, tuple(groups)))
                    groups, rows = [], 0
                groups.append(group.id)
                rows += group.num_rows
            if groups:
                pieces.append(Piece(window, fragment.path, tuple(groups)))
        return pieces

    def read(self, piece: Piece) -> Iterator[pa.Table]:
        """See `DecisionReader`."""
        files = open_storage(self.uri).filesystem
        fragment = ds.ParquetFileFormat().make_fragment(
            piece.path, files, row_groups=list(piece.row_groups)
        )
        condition = (
            _inside(piece.range, fragment.physical_schema) | pc.field("event_time").is_null()
        )
        batches = fragment.to_batches(
            filter=condition, batch_size=ROWS_PER_TABLE, use_threads=False
        )
        for batch in batches:
            if batch.num_rows:
                table = pa.Table.from_batches([batch])
                yield conform(table, DECISION_SCHEMA, features=True)

    def _open(self) -> ds.Dataset:
        return open_export(self.uri, DECISION_SCHEMA, self.option, features=True)


def screen(table: pa.Table, counts: ReadCounts) -> pa.Table:
    """The rows that can be used; the others are counted by reason.

    Left out are rows without a value in a column that may not be null, and rows whose event lies
    more than a day after its receipt.

    Args:
        table: of `DECISION_SCHEMA`.
        counts: is added to.
    """
    counts.rows += len(table)
    for name in required_names(DECISION_SCHEMA):
        if absent := table.column(name).null_count:
            counts.left_out[f"no {name}"] += absent
            table = table.filter(pc.is_valid(table.column(name)))
    lead = pc.subtract(
        table.column("event_time").cast(pa.int64()), table.column("received_at").cast(pa.int64())
    )
    ahead = pc.greater(lead, LARGEST_LEAD_US)
    if number := pc.sum(ahead).as_py():
        counts.left_out[AHEAD] += number
        table = table.filter(pc.invert(ahead))
    return table


def _inside(window: TimeRange, schema: pa.Schema) -> ds.Expression:
    """The condition in the file's own unit and time zone, which Arrow does not convert."""
    kind = schema.field("event_time").type
    first, last = (
        pa.scalar(at, pa.timestamp("us", "UTC")).cast(pa.timestamp("us", kind.tz)).cast(kind)
        for at in (window.since, window.until)
    )
    return (pc.field("event_time") >= first) & (pc.field("event_time") < last)
