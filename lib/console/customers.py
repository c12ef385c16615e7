"""Customers by health and revenue at risk, and how their segments fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib.churn.customer_steps import CustomerStep
from lib.churn.health import band_of
from lib.churn.health_repository import HealthRepository, Override
from lib.churn.intervention_repository import InterventionRepository
from lib.churn.standing_repository import (
    CustomerStanding,
    Order,
    SegmentFigures,
    StandingFilter,
    StandingRepository,
    WeeklyScore,
)
from lib.console.rows_csv import rows_csv
from lib.console.source import SystemSource
from lib.feature import DAY
from lib.registry import to_iso

ORDERS: Mapping[Order, str] = {
    "risk": "revenue at risk",
    "health": "worst health",
    "id": "id",
}
"""How customers may be listed, in words."""
BANDS = ("red", "amber", "green")
WEEKS = 12
"""Of the curves of segments."""
MOST_EXPORTED = 10_000
CURVE_WIDTH, CURVE_HEIGHT = 120, 32
"""Of a small curve, in its own units."""
_MONTH_US, _MARGIN = 30 * DAY, 3.0
_MOST_OVERRIDES = 2_000
_COLUMNS = (
    *("customer", "segment", "health", "band", "set_by", "change_30d", "probability"),
    *("revenue_a_month", "revenue_at_risk_a_year", "scored_at", "noticed_at"),
)


@dataclass(frozen=True, slots=True)
class CustomerFilter:
    """Which customers are listed, and in which order.

    Attributes:
        segment: None of all; "" those without a segment.
        band: None of all.
        text: whose id holds it; None of all.
        overridden: whether only those whose score a person set.
        left: whether those who gave notice, instead of the others.
        order: see `ORDERS`.
    """

    segment: str | None = None
    band: str | None = None
    text: str | None = None
    overridden: bool = False
    left: bool = False
    order: Order = "risk"


@dataclass(frozen=True, slots=True)
class CustomerLine:
    """A customer in the list.

    Attributes:
        standing: its newest health.
        override: in force; None where the model's score counts.
        change_30d: of the model's score against that of 30 days before; None without one.
    """

    standing: CustomerStanding
    override: Override | None
    change_30d: float | None

    @property
    def score(self) -> float:
        """The health that counts."""
        override = self.override
        if override is None or override.score is None:
            return self.standing.score
        return override.score

    @property
    def band(self) -> str:
        """Its band."""
        return band_of(self.score)


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """A segment.

    Attributes:
        figures: its customers by band, health and revenue at risk.
        curve: of the mean health by week as a path of SVG; "" below two weeks.
        first, last: mean health in the first and the last week of the curve; None without it.
    """

    figures: SegmentFigures
    curve: str
    first: float | None
    last: float | None

    @property
    def change(self) -> float | None:
        """Of the mean health over the weeks of the curve; None without it."""
        return None if self.first is None or self.last is None else self.last - self.first


@dataclass(frozen=True)
class CustomerList:
    """A part of the list.

    Attributes:
        customers: in the order of the filter.
        after: id after which the next part begins; None at the end.
        segments: of all customers, by revenue at risk.
        stop: who stopped all interventions; None while they go on.
    """

    customers: tuple[CustomerLine, ...]
    after: str | None
    segments: tuple[SegmentLine, ...] = field(default=())
    stop: CustomerStep | None = None


def read_customers(
    source: SystemSource, shown: CustomerFilter, now: int, most: int, after: str | None = None
) -> CustomerList:
    """Read a part of the list, with the segments.

    Args:
        source: of the churn system.
        shown: which customers.
        now: microseconds since 1970 UTC.
        most: customers at most.
        after: id of the last customer of the part before; one that is unknown begins anew.
    """
    part = list_customers(source, shown, now, most, after)
    standings = source.records.sharing(StandingRepository)
    figures, points = standings.segment_figures(), standings.weekly_scores(now, WEEKS)
    return CustomerList(
        part.customers,
        part.after,
        _segment_lines(figures, points),
        source.records.sharing(InterventionRepository).find_stop(),
    )


def list_customers(
    source: SystemSource, shown: CustomerFilter, now: int, most: int, after: str | None = None
) -> CustomerList:
    """The customers alone; see `read_customers`."""
    records = source.records
    standings, health = records.sharing(StandingRepository), records.sharing(HealthRepository)
    in_force = {row.customer_id: row for row in health.list_in_force(now, _MOST_OVERRIDES)}
    standing_filter = StandingFilter(
        shown.segment,
        shown.band,
        shown.text,
        tuple(in_force) if shown.overridden else None,
        shown.left,
        {
            name: band_of(override.score)
            for name, override in in_force.items()
            if override.score is not None
        },
    )
    last = None if after is None else standings.find_standing(after)
    rows = standings.list_standings(standing_filter, shown.order, most + 1, last)
    has_more, rows = len(rows) > most, rows[:most]
    before = standings.scores_before([row.customer_id for row in rows], now - _MONTH_US)
    lines = (_line(row, in_force, before) for row in rows)
    return CustomerList(tuple(lines), rows[-1].customer_id if has_more else None)


def customers_csv(lines: Sequence[CustomerLine]) -> str:
    """The list as CSV (RFC 4180) with a header, times in ISO 8601."""
    return rows_csv(_COLUMNS, [_cells(line) for line in lines])


def small_curve(values: Sequence[float | None], low: float, high: float) -> str:
    """A path of SVG through values between two limits, `CURVE_WIDTH` by `CURVE_HEIGHT`.

    Args:
        values: at even distances; None is left out.
        low: the value at the bottom.
        high: the value at the top.

    Returns:
        "" for fewer than two values.
    """
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    step = (CURVE_WIDTH - 2 * _MARGIN) / (len(values) - 1)
    height, span = CURVE_HEIGHT - 2 * _MARGIN, high - low or 1.0
    points = (
        f"{_MARGIN + index * step:.1f},{CURVE_HEIGHT - _MARGIN - (value - low) / span * height:.1f}"
        for index, value in known
    )
    return "M" + " L".join(points)


def _line(
    standing: CustomerStanding, in_force: Mapping[str, Override], before: Mapping[str, float]
) -> CustomerLine:
    name = standing.customer_id
    change = standing.score - before[name] if name in before else None
    return CustomerLine(standing, in_force.get(name), change)


def _segment_lines(
    figures: Sequence[SegmentFigures], points: Sequence[WeeklyScore]
) -> tuple[SegmentLine, ...]:
    scores = [point.mean_score for point in points]
    low, high = (min(scores), max(scores)) if scores else (0.0, 100.0)
    by_segment: dict[str | None, list[float | None]] = {}
    for point in points:
        weeks = by_segment.setdefault(point.segment, [None] * WEEKS)
        weeks[point.week] = point.mean_score
    return tuple(
        _segment_line(row, by_segment.get(row.segment, [None] * WEEKS), low, high)
        for row in figures
    )


def _segment_line(
    figures: SegmentFigures, weeks: Sequence[float | None], low: float, high: float
) -> SegmentLine:
    curve, known = small_curve(weeks, low, high), [week for week in weeks if week is not None]
    ends = (known[0], known[-1]) if curve else (None, None)
    return SegmentLine(figures, curve, *ends)


def _cells(line: CustomerLine) -> tuple[object, ...]:
    standing, override = line.standing, line.override
    noticed = standing.noticed_at
    return (
        standing.customer_id,
        standing.segment,
        round(line.score, 1),
        line.band,
        None if override is None else override.author,
        None if line.change_30d is None else round(line.change_30d, 1),
        round(standing.probability, 4),
        standing.mrr,
        round(standing.revenue_at_risk, 2),
        to_iso(standing.at),
        None if noticed is None else to_iso(noticed),
    )
