"""Decisions and labels that a job reads: of the records or of Parquet, of a window of event times.

`DecisionOptions` are the options, `DecisionSource` reads: in this process, or on Ray Data with a
task for each piece of the window. No lock is held on the records, and memory does not grow with
the rows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import tyro

from jobs.framework.options import parse_time
from jobs.framework.outcomes import labels_of
from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions, progress
from lib.contract import ContractError
from lib.records.database import absolute_address, require_database
from lib.records.decision_export import conform, open_export
from lib.records.decision_reading import (
    AHEAD,
    DecisionReader,
    ExportedDecisions,
    ReadCounts,
    RecordedDecisions,
    TimeRange,
    screen,
)
from lib.records.decision_table import DECISION_SCHEMA, LABEL_SCHEMA, label_table
from lib.records.partitions import DAY
from lib.records.records import Records
from lib.storage import open_dataset, open_storage

if TYPE_CHECKING:
    from jobs.framework.pieces_on_ray import Work

Result = TypeVar("Result")
USUAL_DAYS = 28
"""Length of the window where `--from` is absent."""
_MOST_AHEAD = 0.05
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2})$")


class DecisionSourceError(ValueError):
    """Decisions that cannot be worked on as they are; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class DecisionOptions(JobOptions):
    """Which decisions and labels a job reads."""

    records: str | None = None
    """database of decisions and labels: sqlite:///path or postgresql+psycopg://..., or env:NAME or
    file:/path, the variable or file that holds it"""
    decisions: InputPath | None = None
    """decisions in place of those of --records: a Parquet file, folder or URI with the columns of
    lib/records/decision_table.py"""
    labels: InputPath | None = None
    """labels in place of those of --records: likewise, with the columns of LABEL_SCHEMA there"""
    since: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """first event time: a date (UTC) or a time in ISO 8601 with offset; default: 28 days before
    --to (in a file of --config: since)"""
    until: Annotated[str | None, tyro.conf.arg(name="to")] = None
    """event time before which the window ends, likewise; default: the present UTC day's begin (in a
    file of --config: until)"""

    def check(self) -> None:
        """See `JobOptions`.

        Raises:
            ContractError: neither records nor decisions are given, or a time is none.
            RecordsError: there is no such database.
            ExportError: a Parquet export has other columns.
        """
        if self.records is None and self.decisions is None:
            raise ContractError("expected --records or --decisions")
        self.window(time.time_ns() // 1000)
        if self.records is not None:
            require_database(self.records)
        if self.decisions is not None:
            open_export(self.decisions, DECISION_SCHEMA, "--decisions", features=True)
        if self.labels is not None:
            open_export(self.labels, LABEL_SCHEMA, "--labels", features=False)
        super().check()

    def window(self, now: int) -> TimeRange:
        """The event times of which decisions are read.

        Args:
            now: microseconds since 1970 UTC.

        Raises:
            ContractError: a time is none, or the window ends before it begins.
        """
        until = now // DAY * DAY if self.until is None else window_time("--to", self.until)
        days = USUAL_DAYS * DAY
        since = until - days if self.since is None else window_time("--from", self.since)
        if not 0 <= since < until:
            raise ContractError(
                f"--from, --to: expected a window that ends after it begins, got "
                f"{TimeRange(max(0, since), max(0, until))}"
            )
        return TimeRange(since, until)

    def known_labels(self, source: DecisionSource) -> pa.Table:
        """What became known of a system's subjects, as rows of `LABEL_SCHEMA`."""
        return labels_of(source, self.records)


def window_time(option: str, text: str) -> int:
    """Microseconds since 1970 of a date, which begins at midnight UTC, or of a time with offset.

    Raises:
        ContractError: it is neither, naming the option.
    """
    expected = "expected a date such as 2026-11-01 or a time with offset such as 2026-11-01T00:00Z"
    if _DATE.fullmatch(text) is None and _OFFSET.search(text) is None:
        raise ContractError(f"{option}: {expected}, got {text!r}")
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
        return parse_time(option, text if day is None else f"{day}T00:00:00+00:00")
    except ValueError as error:
        raise ContractError(f"{option}: {expected}, got {text!r}") from error


class DecisionSource:
    """Decisions of a window, and what became known of them.

    Args:
        options: of the job.
        system: the risk system.
        now: microseconds since 1970 UTC; default: the present.

    Attributes:
        window: of event times.
        counts: what became of the rows that were read so far.
    """

    def __init__(self, options: DecisionOptions, system: str, now: int | None = None) -> None:
        self.system = system
        self.now = time.time_ns() // 1000 if now is None else now
        self.window = options.window(self.now)
        self.counts = ReadCounts()
        self._options = options
        self._reader = _reader_of(options, system)

    def tables(self) -> Iterator[pa.Table]:
        """Decisions in tables of some thousand rows, read in this process, one after another.

        Raises:
            DecisionSourceError: no decision is in the window, or its clocks disagree.
        """
        for piece in self._reader.pieces(self.window, 1):
            for table in self._reader.read(piece):
                yield screen(table, self.counts)
        self._require_usable()

    def table(self) -> pa.Table:
        """All of them in one table; for windows that fit into memory."""
        tables = [*self.tables()]
        return pa.concat_tables(tables, promote_options="default").combine_chunks()

    def on_ray(self, work: Work[Result]) -> Iterator[Result]:
        """What `work` makes of the decisions of each piece, on Ray Data, in any order.

        Args:
            work: takes a piece's tables, one at a time, and returns something small; runs in a
                task of its own, and again where that task is lost.

        Raises:
            DecisionSourceError: no decision is in the window, or its clocks disagree.
        """
        from jobs.framework.cluster import start_ray
        from jobs.framework.pieces_on_ray import pieces_at_least, work_on_pieces

        start_ray()
        pieces = self._reader.pieces(self.window, pieces_at_least())
        if pieces:
            results = work_on_pieces(self._reader, pieces, work, local=self._is_local)
            with progress(len(pieces), "pieces of the window", "pieces") as done:
                for result, counts in results:
                    self.counts.add(counts)
                    yield result
                    done(1)
        self._require_usable()

    def labels(self) -> pa.Table:
        """Facts about subjects of the system as rows of `LABEL_SCHEMA`, received until now.

        Empty where neither the records nor an export has any.
        """
        if self._options.labels is not None:
            storage = open_storage(self._options.labels)
            open_export(self._options.labels, LABEL_SCHEMA, "--labels", features=False)
            return conform(open_dataset(storage).to_table(), LABEL_SCHEMA, features=False)
        if self._options.records is None:
            return LABEL_SCHEMA.empty_table()
        with Records(self._options.records) as records:
            return label_table(records.facts(self.system, self.now))

    def lines(self) -> list[str]:
        """Closing lines: rows that were read, used and left out, with the reasons."""
        counts = self.counts
        return [
            f"window            {self.window}",
            f"decisions read    {counts.rows:>12,}",
            f"  used            {counts.used:>12,}",
            f"  left out        {counts.left_out.total():>12,}",
            *(f"    {count:>8,}  {reason}" for reason, count in counts.left_out.most_common()),
        ]

    @property
    def _is_local(self) -> bool:
        """Whether decisions lie in a file of this machine, which other nodes do not see."""
        return isinstance(self._reader, RecordedDecisions) and self._reader.url.startswith("sqlite")

    def _require_usable(self) -> None:
        counts = self.counts
        if not counts.rows:
            raise DecisionSourceError(self._why_empty())
        if counts.left_out[AHEAD] > _MOST_AHEAD * counts.rows:
            raise DecisionSourceError(
                f"clocks disagree: {counts.left_out[AHEAD]:,} of {counts.rows:,} decisions have an "
                f"{AHEAD}; expected both in UTC, from clocks that agree"
            )
        if not counts.used:
            reason, count = counts.left_out.most_common(1)[0]
            raise DecisionSourceError(
                f"no decision of {self.system} can be used: {reason} ({count:,} of {counts.rows:,})"
            )

    def _why_empty(self) -> str:
        message = f"no decisions of {self.system} from {self.window}"
        if isinstance(self._reader, RecordedDecisions):
            with Records(self._reader.url) as records:
                bounds = records.event_time_bounds(self.system)
            where = "the records"
        else:
            storage = open_storage(str(self._options.decisions))
            times = open_dataset(storage).to_table(columns=["event_time"]).column(0)
            limits = pc.min_max(
                times.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
            ).as_py()
            bounds = None if limits["min"] is None else (limits["min"], limits["max"])
            where = f"--decisions {self._options.decisions}"
        if bounds is None:
            return f"{message}; there are none at all in {where}"
        return f"{message}; those in {where} are from {TimeRange(*bounds)}"


def _reader_of(options: DecisionOptions, system: str) -> DecisionReader:
    if options.decisions is not None:
        return ExportedDecisions(options.decisions)
    return RecordedDecisions(absolute_address(str(options.records)), system)
