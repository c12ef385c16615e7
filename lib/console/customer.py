"""One customer: health and why, how it went, what was decided, and who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

from sqlalchemy import select

from lib.churn.customer_steps import CustomerStep
from lib.churn.health import COMPONENTS
from lib.churn.health_repository import HealthEntry, HealthRepository, Override
from lib.churn.intervention_repository import (
    Intervention,
    InterventionOutcome,
    InterventionRepository,
)
from lib.churn.overrides import (
    OverrideOptions,
    is_in_force,
    set_override,
    standing_override,
)
from lib.churn.standing_repository import CustomerStanding, StandingRepository
from lib.console.chart import Chart, draw
from lib.console.customers import CustomerLine
from lib.console.source import SystemSource
from lib.feature import DAY
from lib.records import RecordsError
from lib.records.repository import Repository
from lib.records.schema import DECISION_IDS, DECISIONS, SAME_DECISION

_ENTRIES, _POINTS, _ROWS = 400, 90, 20
_MONTH_US = 30 * DAY


class UnknownCustomerError(RecordsError):
    """A customer of whom nothing is stored."""


class StaleOverrideError(RecordsError):
    """Another override is in force than the one that a person saw."""


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the health.

    Attributes:
        name: see `COMPONENTS`.
        score: 0 to 100 beside the customers of the segment, 50 the middle; None without data.
        change_30d: against 30 days before; None without either.
    """

    name: str
    score: float | None
    change_30d: float | None


@dataclass(frozen=True, slots=True)
class StatedReason:
    """Why a probability is as it is.

    Attributes:
        words: the reason.
        raises: whether it raises the probability to leave.
        weight: its size beside the strongest, 0 to 1.
    """

    words: str
    raises: bool
    weight: float


@dataclass(frozen=True, slots=True)
class CustomerDecision:
    """What was decided about a customer.

    Attributes:
        subject_id: of the decision.
        event_time: moment that it is about, microseconds since 1970 UTC.
        decision, method, rule_id: what decided what.
        score: probability to leave; None where no model ran.
        model_version: None likewise.
    """

    subject_id: str
    event_time: int
    decision: str
    method: str
    rule_id: str | None
    score: float | None
    model_version: str | None


@dataclass(frozen=True, slots=True)
class InterventionLine:
    """An intervention and what came of it.

    Attributes:
        intervention: as it was planned.
        delivered: whether it took place; None where nothing is known.
        left: whether the customer gave notice; None where nothing is known.
    """

    intervention: Intervention
    delivered: InterventionOutcome | None
    left: InterventionOutcome | None


@dataclass(frozen=True)
class CustomerPage:
    """All that the page of a customer shows.

    Attributes:
        customer_id: of the customer.
        line: its newest health, and the score that counts; None where it was never scored.
        components: of the newest health.
        reasons: of the newest health, the strongest first.
        points: entries of the history, the last one of each day, the newest first.
        history: the scores of these as a curve; None below two of them.
        model_version: that scored.
        overrides: the newest first, each with whether it counts.
        interventions: the newest first; those of customers who are held out are not shown.
        decisions: the newest first.
        steps: what people did, the newest first; not about interventions that are held out.
    """

    customer_id: str
    line: CustomerLine | None
    components: tuple[Component, ...]
    reasons: tuple[StatedReason, ...]
    points: tuple[HealthEntry, ...]
    history: Chart | None
    model_version: str | None
    overrides: tuple[tuple[Override, bool], ...]
    interventions: tuple[InterventionLine, ...]
    decisions: tuple[CustomerDecision, ...]
    steps: tuple[CustomerStep, ...]


class CustomerDecisions(Repository):
    """Decisions by customer."""

    def list_decisions(self, customer_id: str, limit: int) -> list[CustomerDecision]:
        """Those that were received last, the newest first."""
        table, ids = DECISIONS.c, DECISION_IDS.c
        query = (
            select(
                table.subject_id,
                table.event_time,
                table.decision,
                table.method,
                table.rule_id,
                table.score,
                table.model_version,
            )
            .join(DECISION_IDS, SAME_DECISION)
            .where(ids.system == "churn", ids.entity_id == customer_id)
            .order_by(ids.received_at.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [CustomerDecision(*row) for row in connection.execute(query)]


def read_customer(source: SystemSource, customer_id: str, now: int) -> CustomerPage:
    """Read a customer.

    Raises:
        UnknownCustomerError: nothing is stored of it.
    """
    records = source.records
    health = records.sharing(HealthRepository)
    entries = health.list_entries(customer_id, _ENTRIES)
    overrides = health.list_overrides(customer_id)
    decisions = records.sharing(CustomerDecisions).list_decisions(customer_id, _ROWS)
    book = records.sharing(InterventionRepository)
    planned = book.list_of_customer(customer_id, _ROWS)
    held_out = {row.id for row in planned if row.held_out}
    interventions = intervention_lines(book, [row for row in planned if not row.held_out])
    if not (entries or overrides or decisions or interventions):
        raise UnknownCustomerError(f"nothing is stored of the customer {customer_id!r}")
    standing = records.sharing(StandingRepository).find_standing(customer_id)
    newest = entries[0] if entries else None
    points = _points(entries)
    before = None if newest is None else _entry_before(entries, newest.at - _MONTH_US)
    return CustomerPage(
        customer_id=customer_id,
        line=_line(standing or _standing_of(newest), overrides, newest, before, now),
        components=() if newest is None else _components(newest, before),
        reasons=() if newest is None else stated_reasons(newest.reasons),
        points=points,
        history=_history(points, now),
        model_version=None if newest is None else newest.model_version,
        overrides=tuple(
            (override, override is overrides[0] and is_in_force(override, now))
            for override in overrides
        ),
        interventions=interventions,
        decisions=tuple(decisions),
        steps=tuple(
            step
            for step in book.list_steps_of_customer(customer_id, _ROWS)
            if step.subject_id not in held_out
        ),
    )


def override_customer(
    source: SystemSource,
    customer_id: str,
    score: float | None,
    *,
    present: str | None,
    **options: Unpack[OverrideOptions],
) -> Override:
    """Set a customer's score until a time, or withdraw it.

    Args:
        source: of the churn system.
        customer_id: of the customer.
        score: 0 to 100; None withdraws.
        present: id of the override that was in force when the person looked; None for none.
        options: as `set_override` takes them.

    Raises:
        ExpiryError: `until` is past or more than a year away.
        UnknownCustomerError: the customer was never scored.
        StaleOverrideError: another one is in force meanwhile.
    """
    health = source.records.sharing(HealthRepository)
    if not health.list_entries(customer_id, 1):
        raise UnknownCustomerError(f"the customer {customer_id!r} was never scored")
    in_force = standing_override(health.list_overrides(customer_id, 1), options["now"])
    if (None if in_force is None else in_force.id) != present:
        raise StaleOverrideError(f"somebody else changed the health of {customer_id!r}")
    return set_override(
        health,
        customer_id,
        score,
        **options,
    )


def _standing_of(newest: HealthEntry | None) -> CustomerStanding | None:
    return None if newest is None else newest.standing


def _line(
    standing: CustomerStanding | None,
    overrides: Sequence[Override],
    newest: HealthEntry | None,
    before: HealthEntry | None,
    now: int,
) -> CustomerLine | None:
    if standing is None:
        return None
    change = None if newest is None or before is None else newest.score - before.score
    return CustomerLine(standing, standing_override(overrides, now), change)


def _entry_before(entries: Sequence[HealthEntry], at: int) -> HealthEntry | None:
    return next((entry for entry in entries if entry.at <= at), None)


def _components(newest: HealthEntry, before: HealthEntry | None) -> tuple[Component, ...]:
    earlier: Mapping[str, object] = {} if before is None else before.components
    components = []
    for name in COMPONENTS:
        score, past = _number(newest.components.get(name)), _number(earlier.get(name))
        change = None if score is None or past is None else score - past
        components.append(Component(name, score, change))
    return tuple(components)


def stated_reasons(reasons: Sequence[Mapping[str, object]]) -> tuple[StatedReason, ...]:
    """Reasons as they are stored, without their last words, which a page says by itself."""
    effects = [_number(reason.get("effect")) or 0.0 for reason in reasons]
    largest = max(map(abs, effects), default=0.0) or 1.0
    return tuple(
        StatedReason(_words(str(reason.get("words", ""))), effect > 0.0, abs(effect) / largest)
        for reason, effect in zip(reasons, effects, strict=True)
    )


def _words(text: str) -> str:
    return text.removesuffix("; raises the risk").removesuffix("; lowers the risk")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _points(entries: Sequence[HealthEntry]) -> tuple[HealthEntry, ...]:
    """The last entry of each day, thinned evenly where there are more than a curve has dots."""
    by_day = {entry.at // DAY: entry for entry in reversed(entries)}
    points = list(reversed(by_day.values()))
    return tuple(points[:: -(-len(points) // _POINTS) or 1])


def _history(points: Sequence[HealthEntry], now: int) -> Chart | None:
    if len(points) < 2:
        return None
    days = [(point.at - now) / DAY for point in reversed(points)]
    scores = [point.score for point in reversed(points)]
    return draw("Health", days, {"health": scores}, "days before now")


def intervention_lines(
    book: InterventionRepository, rows: Sequence[Intervention]
) -> tuple[InterventionLine, ...]:
    """Interventions with what came of each, in the same order."""
    outcomes = book.outcomes_of([row.id for row in rows])
    by_kind = {(outcome.intervention_id, outcome.kind): outcome for outcome in outcomes}
    return tuple(
        InterventionLine(row, by_kind.get((row.id, "delivered")), by_kind.get((row.id, "left")))
        for row in rows
    )
