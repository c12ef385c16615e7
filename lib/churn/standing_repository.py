"""Where each customer stands: its newest health, listed by risk, and how segments fare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, update

from lib.churn.model import SYSTEM
from lib.churn.outcomes import NOTICE
from lib.feature import DAY
from lib.records.decision_store import subjects_in_parts
from lib.records.repository import Repository, find_row
from lib.records.schema import CUSTOMER_HEALTH, CUSTOMER_STANDINGS, FACTS

Order: TypeAlias = Literal["risk", "health", "id"]
MONTHS_A_YEAR = 12.0
MOST_FOLLOWED = 200
"""Customers of a segment whose scores make its curve."""
_WEEK = 7 * DAY
_LATE_US = 60 * DAY


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerStanding:
    """A customer's newest health. Money in currency units.

    Attributes:
        customer_id: of the customer.
        at: moment of the health, microseconds since 1970 UTC.
        probability: to leave, 0 to 1.
        score: 0 to 100, 100 the best.
        band: red, amber or green.
        segment: None where it is not known.
        mrr: revenue a month; None where it is not known.
        revenue_at_risk: probability by a year's revenue; 0 without one.
        noticed_at: when the customer gave notice since; None where it did not.
    """

    customer_id: str
    at: int
    probability: float
    score: float
    band: str
    segment: str | None
    mrr: float | None
    revenue_at_risk: float
    noticed_at: int | None = None


@dataclass(frozen=True, slots=True)
class StandingFilter:
    """Which customers are listed; None takes all.

    Attributes:
        segment: of that segment; "" of none.
        band: of that band.
        text: whose id holds it.
        overridden: ids of customers; only they.
        left: whether those who gave notice are listed, instead of the others.
        set_bands: by customer, the band that counts instead of the newest health's.
    """

    segment: str | None = None
    band: str | None = None
    text: str | None = None
    overridden: tuple[str, ...] | None = None
    left: bool = False
    set_bands: Mapping[str, str] = field(default_factory=dict)

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same for the columns of the table."""
        table = CUSTOMER_STANDINGS.c
        noticed = table.noticed_at
        conditions: list[ColumnElement[bool]] = [
            noticed.is_not(None) if self.left else noticed.is_(None)
        ]
        if self.segment is not None:
            is_of = table.segment == self.segment if self.segment else table.segment.is_(None)
            conditions.append(is_of)
        if self.band is not None:
            names = [name for name, band in self.set_bands.items() if band == self.band]
            is_set, is_meant = (table.customer_id.in_(part) for part in (self.set_bands, names))
            conditions.append(or_(and_(table.band == self.band, ~is_set), is_meant))
        if self.text is not None:
            conditions.append(table.customer_id.contains(self.text, autoescape=True))
        if self.overridden is not None:
            conditions.append(table.customer_id.in_(self.overridden))
        return conditions


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """Customers of a segment by band.

    Attributes:
        segment: None of customers without.
        customers: by band.
        mean_score: 0 to 100.
        revenue_at_risk: currency units a year.
    """

    segment: str | None
    customers: Mapping[str, int]
    mean_score: float
    revenue_at_risk: float

    @property
    def count(self) -> int:
        """Customers of all bands."""
        return sum(self.customers.values())


@dataclass(frozen=True, slots=True)
class WeeklyScore:
    """The mean health of a segment's scores in a week, counted from 0 on."""

    segment: str | None
    week: int
    mean_score: float


class StandingRepository(Repository):
    """Customers' newest health."""

    def list_standings(
        self,
        standing_filter: StandingFilter,
        order: Order,
        limit: int,
        after: CustomerStanding | None = None,
    ) -> list[CustomerStanding]:
        """Customers by revenue at risk (the most first), by health (the worst first), or by id.

        Args:
            standing_filter: which.
            order: see above.
            limit: customers at most.
            after: the last one of the part before.
        """
        table = CUSTOMER_STANDINGS.c
        conditions = standing_filter.conditions()
        if after is not None:
            conditions.append(_comes_after(order, after))
        orders: Mapping[Order, list[ColumnElement[object]]] = {
            "risk": [table.revenue_at_risk.desc(), table.customer_id.desc()],
            "health": [table.score, table.customer_id],
            "id": [table.customer_id],
        }
        return self._list(
            CustomerStanding, CUSTOMER_STANDINGS, *conditions, order=orders[order], limit=limit
        )

    def find_standing(self, customer_id: str) -> CustomerStanding | None:
        """Where a customer stands; None where it was never scored."""
        with self._database.reading() as connection:
            table = CUSTOMER_STANDINGS
            return find_row(connection, CustomerStanding, table, table.c.customer_id == customer_id)

    def segment_figures(self) -> list[SegmentFigures]:
        """How segments fare, by revenue at risk; customers who gave notice are left out."""
        table = CUSTOMER_STANDINGS.c
        figures = (func.count(), func.sum(table.score), func.sum(table.revenue_at_risk))
        query = select(table.segment, table.band, *figures).where(table.noticed_at.is_(None))
        by_segment: dict[str | None, list[tuple[str, int, float, float]]] = {}
        with self._database.reading() as connection:
            for segment, *row in connection.execute(query.group_by(table.segment, table.band)):
                by_segment.setdefault(segment, []).append(tuple(row))
        return sorted(
            (_figures_of(segment, rows) for segment, rows in by_segment.items()),
            key=lambda figures: (-figures.revenue_at_risk, figures.segment or ""),
        )

    def weekly_scores(self, until: int, weeks: int) -> list[WeeklyScore]:
        """Mean scores by segment and week, of the `weeks` before a moment, the earliest first.

        They are those of the same customers each week: of each segment every n-th by id, so that
        no more than `MOST_FOLLOWED` are read.
        """
        table, since = CUSTOMER_HEALTH.c, until - weeks * _WEEK
        week = case(
            *((table.at < since + number * _WEEK, number - 1) for number in range(1, weeks)),
            else_=weeks - 1,
        ).label("week")
        query = (
            select(table.segment, week, func.avg(table.score))
            .where(table.customer_id.in_(_followed()), table.at >= since, table.at < until)
            .group_by(table.segment, week)
            .order_by(table.segment, week)
        )
        with self._database.reading() as connection:
            return [
                WeeklyScore(segment, int(number), float(score))
                for segment, number, score in connection.execute(query)
            ]

    def scores_before(self, customer_ids: Sequence[str], at: int) -> dict[str, float]:
        """By customer, its newest score at a moment or before; of those that have one."""
        table, scores = CUSTOMER_HEALTH.c, dict[str, float]()
        with self._database.reading() as connection:
            for part in subjects_in_parts(customer_ids):
                newest = (
                    select(table.customer_id, func.max(table.at).label("at"))
                    .where(table.customer_id.in_(part), table.at <= at)
                    .group_by(table.customer_id)
                    .subquery()
                )
                same = and_(newest.c.customer_id == table.customer_id, newest.c.at == table.at)
                query = select(table.customer_id, table.score).join(newest, same)
                scores.update(
                    (str(name), float(score)) for name, score in connection.execute(query)
                )
        return scores

    def note_notices(self, noticed: Mapping[str, int]) -> None:
        """Note when customers gave notice; their next score lists them again.

        A notice that lies more than 60 days before the newest score is that of an earlier contract.
        One that is a fact already was noted before, and changes nothing; nor does an earlier one.

        Args:
            noticed: by customer, microseconds since 1970 UTC.
        """
        table = CUSTOMER_STANDINGS.c
        with self._database.writing() as connection:
            for customer_id, at in sorted(noticed.items()):
                fact = and_(
                    FACTS.c.system == SYSTEM, FACTS.c.subject_id == customer_id,
                    FACTS.c.kind == NOTICE, FACTS.c.observed_at == at,
                )  # fmt: skip
                which = and_(
                    table.customer_id == customer_id,
                    table.at <= at + _LATE_US,
                    or_(table.noticed_at.is_(None), table.noticed_at < at),
                    ~exists(select(FACTS.c.id).where(fact)),
                )
                connection.execute(update(CUSTOMER_STANDINGS).where(which).values(noticed_at=at))


def _followed() -> Select[tuple[str]]:
    """Every n-th customer of each segment, `MOST_FOLLOWED` of each at most."""
    table = CUSTOMER_STANDINGS.c
    places = select(
        table.customer_id,
        func.row_number().over(partition_by=table.segment, order_by=table.customer_id).label("at"),
        func.count().over(partition_by=table.segment).label("size"),
    ).subquery()
    step = (places.c.size + MOST_FOLLOWED - 1) // MOST_FOLLOWED
    return select(places.c.customer_id).where(places.c.at % step == 0)


def _comes_after(order: Order, last: CustomerStanding) -> ColumnElement[bool]:
    table = CUSTOMER_STANDINGS.c
    if order == "id":
        return table.customer_id > last.customer_id
    if order == "health":
        tied = and_(table.score == last.score, table.customer_id > last.customer_id)
        return or_(table.score > last.score, tied)
    risk = table.revenue_at_risk
    tied = and_(risk == last.revenue_at_risk, table.customer_id < last.customer_id)
    return or_(risk < last.revenue_at_risk, tied)


def _figures_of(segment: str | None, rows: list[tuple[str, int, float, float]]) -> SegmentFigures:
    count = sum(customers for _, customers, _, _ in rows)
    return SegmentFigures(
        segment,
        {band: customers for band, customers, _, _ in rows},
        sum(score for _, _, score, _ in rows) / count,
        sum(risk for _, _, _, risk in rows),
    )
