"""Decisions of a period with their outcomes, and figures made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from lib.business.measures import EntityBootstrap
from lib.business.outcomes import (
    OUTCOME_SCHEMA,
    Flags,
    Floats,
    Ints,
    column_values,
    is_ripe,
    microseconds,
    require_columns,
)
from lib.business.statement import Measure, Point, Segment
from lib.evaluation import Interval

DAY_US = 86_400_000_000
HOW_DECIDED = ("method", "rule_id", "latency_ms", "received_at", "decided_at")
"""Columns of decisions that are kept beside their outcomes."""
SEGMENT = "segment: "
"""Stands before the kind of a segment in the name of its column."""
NOT_KNOWN = Interval(float("nan"), float("nan"), float("nan"))
"""Of a figure that has no value."""
_FEWEST_IN_SEGMENT = 20
_MOST_SEGMENTS = 8
Better = Literal["more", "less", "neither"]


@dataclass(frozen=True)
class Period:
    """Decisions of a period.

    Attributes:
        rows: (n,) outcomes of one system, with `HOW_DECIDED` beside them.
        since, until: event times, microseconds since 1970 UTC; `until` is exclusive.
        as_of: what was known by then.
        acting: decisions that act.
        source: what labels are, in words.
        seed, repeats: of the intervals.
        has_labels: whether any label was ever received; if not, silence says nothing.
    """

    rows: pa.Table
    since: int
    until: int
    as_of: int
    acting: tuple[str, ...]
    source: str
    seed: int = 7
    repeats: int = 400
    has_labels: bool = True

    @cached_property
    def bootstrap(self) -> EntityBootstrap:
        """Over all entities of the period."""
        return EntityBootstrap(self.rows["entity_id"], self.seed, self.repeats)

    @cached_property
    def ripe(self) -> Flags:
        """(n,) rows with a final outcome."""
        return is_ripe(self.rows, self.as_of) & self.has_labels

    @cached_property
    def label(self) -> Floats:
        """(n,) labels of ripe rows, NaN of others."""
        return np.where(self.ripe, column_values(self.rows, "label"), np.nan)

    @cached_property
    def times(self) -> Ints:
        """(n,) event times, microseconds."""
        return microseconds(self.rows["event_time"])

    @cached_property
    def ripe_days(self) -> float:
        """Days of the period of which every row that time ripens is ripe, 0 where there is none."""
        waiting = ~self.ripe & self.rows["ripe_at"].is_valid().to_numpy()
        end = int(self.times[waiting].min()) if waiting.any() else min(self.until, self.as_of)
        return max(0.0, (end - self.since) / DAY_US)

    @cached_property
    def in_ripe_days(self) -> Flags:
        """(n,) rows of those days."""
        return self.ripe & (self.times < self.since + round(self.ripe_days * DAY_US))

    @property
    def days(self) -> float:
        """Length of the period."""
        return (self.until - self.since) / DAY_US

    @cached_property
    def is_acting(self) -> Flags:
        """(n,) rows whose decision acts."""
        return np.asarray(pc.is_in(self.rows["decision"], value_set=pa.array(self.acting)))

    @property
    def known_from(self) -> datetime | None:
        """When the last row ripens; None where all have."""
        if not len(self.ripe) or self.rows["ripe_at"].null_count == len(self.ripe):
            return None
        last = int(pc.max(self.rows["ripe_at"]).cast(pa.int64()).as_py())
        return to_time(last) if last > self.as_of else None

    def decided(self, *decisions: str) -> Flags:
        """(n,) rows with one of these decisions."""
        return np.asarray(pc.is_in(self.rows["decision"], value_set=pa.array(decisions)))

    def rests_on(self, rows: Flags | None = None) -> str:
        """A clause: of how many decisions, how ripe, by which labels."""
        count = len(self.ripe) if rows is None else int(rows.sum())
        share = f"{self.ripe.mean():.0%}" if len(self.ripe) else "none"
        return f"{count:,} decisions, {share} of the period final; {self.source}"

    def labelled(
        self, name: str, label: str, unit: str, better: Better, interval: Interval
    ) -> Measure:
        """A measure of ripe rows; it has no value where none is ripe."""
        interval = interval if self.ripe.any() else NOT_KNOWN
        rests_on = self.rests_on(self.ripe)
        if self.ripe.any() and np.isnan(interval.value):
            rests_on += "; none among them to measure it by"
        return make_measure(name, label, unit, better, interval, rests_on, self.known_from)

    def share(
        self, name: str, label: str, better: Better, above: ArrayLike, below: ArrayLike
    ) -> Measure:
        """A share of ripe rows: the sum of some (n,) over that of others."""
        interval = self.bootstrap.ratio(
            np.where(self.ripe, above, 0.0), np.where(self.ripe, below, 0.0)
        )
        return self.labelled(name, label, "share", better, interval)

    def per_day(
        self, name: str, label: str, unit: str, better: Better, values: ArrayLike
    ) -> Measure:
        """A sum of rows (n,) of the ripe days, by day."""
        if not self.ripe_days:
            return self.labelled(name, label, unit, better, NOT_KNOWN)
        rows = np.where(self.in_ripe_days, values, 0.0)
        return self.labelled(name, label, unit, better, self.bootstrap.total(rows, self.ripe_days))

    def counted(
        self, name: str, label: str, unit: str, better: Better, interval: Interval
    ) -> Measure:
        """A measure that needs no labels."""
        rests_on = f"{len(self.ripe):,} decisions of {self.days:,.4g} days"
        return make_measure(name, label, unit, better, interval, rests_on)

    def daily(self) -> tuple[Point, ...]:
        """Money of each of the ripe days."""
        chosen = self.in_ripe_days
        if not chosen.any():
            return ()
        days = self.times[chosen] // DAY_US
        money = column_values(self.rows, "money")[chosen]
        names, places = np.unique(days, return_inverse=True)
        sums = np.bincount(places, weights=money)
        return tuple(
            Point(day=to_time(int(day) * DAY_US), money=float(value))
            for day, value in zip(names, sums, strict=True)
        )

    def wrong(self) -> tuple[Flags, Flags]:
        """(n,) ripe rows that were missed (label 1 and no action), and wrongly acted on."""
        return (self.label == 1.0) & ~self.is_acting, (self.label == 0.0) & self.is_acting

    def foreseen(self) -> Interval:
        """Share of events (a failure, a notice) before which any decision acted in time.

        Each event counts once, however many decisions lie within the horizon before it.
        """
        rows = np.flatnonzero(self.label == 1.0)
        keys = np.stack([self.bootstrap.codes, microseconds(self.rows["observed_at"])])[:, rows]
        _, first, event = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        acted = np.bincount(event.ravel(), self.is_acting[rows], len(first)) > 0
        once, acted_on = np.zeros(len(self.label)), np.zeros(len(self.label))
        once[rows[first]], acted_on[rows[first]] = 1.0, acted
        return self.bootstrap.ratio(acted_on, once)

    def segments(self) -> tuple[Segment, ...]:
        """Where decisions were wrong more often than elsewhere by more than chance.

        Of parts with enough ripe rows those whose lower limit (Wilson, 95%) is above the share of
        all decisions that were wrong; the worst first.
        """
        missed, wrongly = self.wrong()
        overall = float((missed | wrongly).sum()) / max(float(self.ripe.sum()), 1.0)
        counted = (self.ripe, self.label == 1.0, missed, wrongly)
        parts = [
            Segment(
                kind=column.removeprefix(SEGMENT),
                name=name,
                decisions=int(counts[0]),
                positives=int(counts[1]),
                missed=int(counts[2]),
                wrongly_acted=int(counts[3]),
            )
            for column in self.rows.column_names
            if column.startswith(SEGMENT)
            for name, counts in _counts(self.rows[column], counted)
        ]
        enough = [part for part in parts if part.decisions >= _FEWEST_IN_SEGMENT]
        wrong = [part for part in enough if _lower_limit(part) > overall]
        wrong.sort(key=lambda part: (-part.wrong_share, part.kind, part.name))
        return tuple(wrong[:_MOST_SEGMENTS])


def _lower_limit(part: Segment) -> float:
    """Of the 95% interval of the share that was wrong: Wilson, JASA 22 (1927)."""
    wrong, rows = part.missed + part.wrongly_acted, part.decisions
    return float(binomtest(wrong, rows).proportion_ci(0.95, "wilson").low)


def _counts(
    names: pa.ChunkedArray, flags: Sequence[Flags]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Names and, by each flag (n,), how many rows of the name have it; null is left out."""
    array = names.combine_chunks()
    values = pc.unique(array).drop_null()
    places = pc.fill_null(pc.index_in(array, value_set=values), len(values)).to_numpy()
    sums = [np.bincount(places, flag, len(values) + 1) for flag in flags]
    for index, name in enumerate(values.to_pylist()):
        yield name, tuple(float(count[index]) for count in sums)


def make_measure(
    name: str,
    label: str,
    unit: str,
    better: Better,
    interval: Interval,
    rests_on: str,
    known_from: datetime | None = None,
) -> Measure:
    """A measure of an interval, in which NaN is nothing."""
    value, low, high = (
        None if not np.isfinite(number) else float(number)
        for number in (interval.value, interval.low, interval.high)
    )
    return Measure(
        name=name,
        label=label,
        unit=unit,
        better=better,
        value=value,
        low=low,
        high=high,
        rests_on=rests_on,
        known_from=known_from,
    )


def period_rows(
    decisions: pa.Table, outcomes: pa.Table, segments: Mapping[str, Sequence[str | None]]
) -> pa.Table:
    """Outcomes with how they were decided beside them, and what part of all they belong to.

    Args:
        decisions: (n,) rows.
        outcomes: (n,) rows of them.
        segments: by kind in words, the part of each row (n,), never an id; None is left out. Rule
            and method are added.

    Raises:
        OutcomeError: a column is missing.
    """
    require_columns(decisions, HOW_DECIDED, "decisions")
    require_columns(outcomes, OUTCOME_SCHEMA.names, "outcomes")
    for name in HOW_DECIDED:
        outcomes = outcomes.append_column(name, decisions[name])
    every: dict[str, Any] = {
        **segments, "rule": decisions["rule_id"], "decided by": decisions["method"]
    }  # fmt: skip
    for name, values in every.items():
        column = values if isinstance(values, pa.ChunkedArray) else pa.array(values, pa.string())
        outcomes = outcomes.append_column(f"{SEGMENT}{name}", column)
    return outcomes


def to_time(at_us: int) -> datetime:
    """Microseconds since 1970 as a time in UTC, whole seconds."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)
