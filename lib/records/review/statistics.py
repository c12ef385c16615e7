"""Statistics of the review queue: its state, opinion pairs and golden answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select

from lib.records.errors import RecordsError
from lib.records.repository import Model, Repository
from lib.records.review.tables import AUDIT, ITEMS, OUTCOMES, VERDICTS

_HOUR_US = 3_600_000_000
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class OpinionPair:
    """Two independent decisions about one post; `rule` asked for the second."""

    subject_id: str
    rule: str
    first: Mapping[str, bool]
    second: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class QueueReason:
    """Why a subject came to be reviewed.

    Attributes:
        subject_id: which.
        policies: about which it was to be decided.
        selected: `random` or the method where it was drawn to learn from, None where the service
            sent it.
        propensity: probability with which a random one was drawn, None of others.
    """

    subject_id: str
    policies: tuple[str, ...]
    selected: str | None
    propensity: float | None


@dataclass(frozen=True, slots=True)
class GoldenAnswer:
    """What a reviewer decided about a golden item, beside what is right."""

    reviewer: str
    known: Mapping[str, bool]
    verdicts: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """How the queue stands; golden items count only among the decisions.

    Attributes:
        depth: open items by their most probable policy, those leased included.
        leased: how many of them somebody holds.
        oldest_age_us: of the open item that came first, 0 where there is none.
        overdue_share: of the open items, 0 where there is none.
        arrivals_per_hour: new cases, over the window.
        decisions_per_hour: over the window.
        decisions_per_case: decisions over closed cases of the window, None where none closed.
        overturned_share: of the appeals decided in the window, None where there was none.
        expired_leases: that ended without a decision in the window and were claimed again.
    """

    depth: Mapping[str, int]
    leased: int
    oldest_age_us: int
    overdue_share: float
    arrivals_per_hour: float
    decisions_per_hour: float
    decisions_per_case: float | None
    overturned_share: float | None
    expired_leases: int

    @property
    def waiting(self) -> int:
        """All open items."""
        return sum(self.depth.values())


class ReviewStatistics(Repository):
    """Statistics of the items of one system.

    Args:
        url: as of `Repository`.
        system: whose items these are; those of other systems are not counted.
    """

    def __init__(self, url: str, system: str = "moderation") -> None:
        super().__init__(url)
        self._system = system

    def _list_about(
        self, subject_id: str, model: type[Model], table: Table, order: list[Any]
    ) -> list[Model]:
        is_about = and_(table.c.system == self._system, table.c.subject_id == subject_id)
        return self._list(model, table, is_about, order=order)

    def compute_figures(self, now: int, window: int) -> QueueFigures:
        """How the queue stands at `now`, with rates over the last `window` microseconds."""
        if window < 1:
            raise RecordsError(f"window: expected 1 microsecond or more, got {window}")
        with self._database.reading() as connection:
            return _figures(connection, self._system, now, window)

    def count_verdicts(self, since: int, until: int) -> int:
        """Decisions of people from `since` until before `until`, those about golden items not."""
        decided = VERDICTS.c
        conditions = (
            decided.system == self._system, decided.kind != "golden",
            decided.decided_at >= since, decided.decided_at < until,
        )  # fmt: skip
        with self._database.reading() as connection:
            return _count(connection, *conditions)

    def list_opinion_pairs(self, since: int = 0, until: int = 2**62) -> list[OpinionPair]:
        """First and second opinions whose second was given from `since` until before `until`."""
        first, second = VERDICTS.alias("first"), VERDICTS.alias("second")
        query = (
            select(second.c.subject_id, ITEMS.c.rule, first.c.verdicts, second.c.verdicts)
            .join(first, first.c.case_id == second.c.case_id)
            .join(ITEMS, ITEMS.c.id == second.c.item_id)
            .where(
                second.c.system == self._system, first.c.kind == "review",
                second.c.kind == "second_opinion", second.c.decided_at >= since,
                second.c.decided_at < until,
            )
            .order_by(second.c.decided_at, second.c.item_id)
        )  # fmt: skip
        with self._database.reading() as connection:
            return [OpinionPair(*row) for row in connection.execute(query)]

    def iterate_reasons(self, since: int, until: int) -> Iterator[QueueReason]:
        """Why cases came into the queue from `since` until before `until`; appeals are none."""
        item = ITEMS.c
        query = (
            select(item.subject_id, item.policies, item.shown)
            .where(
                item.system == self._system, item.kind == "review", item.created_at >= since,
                item.created_at < until,
            )
            .order_by(item.created_at, item.id)
            .execution_options(yield_per=_PAGE)
        )  # fmt: skip
        with self._database.reading() as connection:
            for subject_id, policies, shown in connection.execute(query):
                drawn = shown.get("selected"), shown.get("propensity")
                yield QueueReason(subject_id, tuple(policies), *drawn)

    def list_golden_answers(self, since: int = 0) -> list[GoldenAnswer]:
        """Decisions about golden items from then on, beside what is right."""
        decided = VERDICTS.c
        query = (
            select(decided.reviewer, ITEMS.c.known, decided.verdicts)
            .join(ITEMS, ITEMS.c.id == decided.item_id)
            .where(
                decided.system == self._system, decided.kind == "golden",
                decided.decided_at >= since,
            )
            .order_by(decided.decided_at, decided.item_id)
        )  # fmt: skip
        with self._database.reading() as connection:
            return [GoldenAnswer(*row) for row in connection.execute(query)]


def _figures(connection: Connection, system: str, now: int, window: int) -> QueueFigures:
    since, hours = now - window, window / _HOUR_US

    def is_recent(time: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(time > since, time <= now)

    is_open = (ITEMS.c.system == system, ITEMS.c.decided_at.is_(None), ITEMS.c.kind != "golden")
    by_policy = select(
        ITEMS.c.policy, func.count(), func.min(ITEMS.c.created_at),
        _count_where(ITEMS.c.due_at <= now), _count_where(ITEMS.c.leased_until > now),
    ).where(*is_open).group_by(ITEMS.c.policy)  # fmt: skip
    rows = connection.execute(by_policy).all()
    depth = {str(row[0]): int(row[1]) for row in rows}
    waiting = sum(depth.values())
    oldest = min((int(row[2]) for row in rows), default=now)
    overdue, leased = (sum(int(row[column]) for row in rows) for column in (3, 4))
    arrived = _count(
        connection, ITEMS.c.system == system, ITEMS.c.kind.in_(("review", "appeal")),
        is_recent(ITEMS.c.created_at),
    )  # fmt: skip
    expired = _count(
        connection, AUDIT.c.system == system, AUDIT.c.what == "expired", is_recent(AUDIT.c.at)
    )
    recent = (VERDICTS.c.system == system, is_recent(VERDICTS.c.decided_at))
    closed = (OUTCOMES.c.system == system, is_recent(OUTCOMES.c.at))
    decisions, cases = _count(connection, *recent), _count(connection, *closed)
    appeals = _count(connection, *closed, OUTCOMES.c.kind == "appeal")
    overturned = _count(connection, *closed, OUTCOMES.c.rule == "overturned")
    return QueueFigures(
        depth=depth,
        leased=leased,
        oldest_age_us=max(now - oldest, 0),
        overdue_share=overdue / waiting if waiting else 0.0,
        arrivals_per_hour=arrived / hours,
        decisions_per_hour=decisions / hours,
        decisions_per_case=decisions / cases if cases else None,
        overturned_share=overturned / appeals if appeals else None,
        expired_leases=expired,
    )


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).where(*conditions)).scalar_one())


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))
