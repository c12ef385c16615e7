"""The plan of a day: whom to contact, in which order, within which limits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib.churn.customer_steps import CustomerStep
from lib.churn.health_repository import HealthEntry, HealthRepository, Override
from lib.churn.intervention_repository import (
    Intervention,
    InterventionOutcome,
    InterventionRepository,
    StoredPlan,
)
from lib.churn.interventions.contacts import OPEN_US
from lib.churn.interventions.outcome_labels import record_outcomes
from lib.churn.overrides import standing_override
from lib.console.customer import InterventionLine, StatedReason, intervention_lines, stated_reasons
from lib.console.rows_csv import rows_csv
from lib.console.source import SystemSource
from lib.feature import DAY
from lib.records import Records
from lib.registry import to_iso

MOST_EXPORTED = 10_000
_MOST_PLANS = 10
_LOOK_BACK_US = 366 * DAY
_WORDS = {"hours": "hours of the team", "budget": "budget", "most": "contacts"}
_UNITS = {"hours": "hour", "budget": "unit of budget", "most": "contact"}
_PLAYBOOK = "playbook "
_COLUMNS = (
    *("intervention", "customer", "playbook", "instruction", "probability", "expected_fall"),
    *("value", "cost", "hours", "took_place", "reported_by", "note", "gave_notice"),
)


@dataclass(frozen=True, slots=True)
class ContactsPart:
    """A part of the contacts of a day.

    Attributes:
        most: contacts at most.
        after: id of the last contact of the part before; None for the first part.
    """

    most: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a plan.

    Attributes:
        name: in words.
        used: of it, with those who are held out; None where the plan does not say.
        limit: None where there is none.
        unit: what one more of it is called.
        price: expected value that one more unit would bring, currency units; 0 where it does not
            bind; None where the plan does not say.
    """

    name: str
    used: float | None
    limit: float | None
    unit: str
    price: float | None

    @property
    def share(self) -> float | None:
        """Of it that is used; None without a limit above 0."""
        return self.used / self.limit if self.limit and self.used is not None else None


@dataclass(frozen=True)
class PlanSummary:
    """A plan in figures. Money in currency units.

    Attributes:
        plan: as it is stored.
        limits: hours, budget, and the number of contacts where that is limited.
        caps: playbooks whose cap binds, with what one more would bring.
        value: expected, of all that is chosen.
        best_other: of the best simpler way to choose; None where the plan does not say.
        considered: candidates.
        left_out: candidates without a score, with the reason.
        overridden: customers whose health a person had set.
        enabled: whether interventions were planned at all.
    """

    plan: StoredPlan
    limits: tuple[Limit, ...]
    caps: Mapping[str, float]
    value: float
    best_other: float | None
    considered: int
    left_out: Mapping[str, str]
    overridden: tuple[str, ...]
    enabled: bool

    @property
    def binding(self) -> tuple[Limit, ...]:
        """Limits that keep the plan from being worth more."""
        return tuple(limit for limit in self.limits if limit.price)


@dataclass(frozen=True)
class Contact:
    """The contact that somebody looks at.

    Attributes:
        line: the intervention and what came of it.
        instruction: of the playbook.
        reasons: why the customer is at risk, the strongest first.
        health: newest; None where it was never scored.
        override: in force; None without one.
    """

    line: InterventionLine
    instruction: str
    reasons: tuple[StatedReason, ...]
    health: HealthEntry | None
    override: Override | None


@dataclass(frozen=True)
class DayOfContacts:
    """The plan of a day. Times are microseconds since 1970 UTC.

    Attributes:
        since: its midnight.
        plans: made on it, the newest first.
        contacts: a part of them, the most valuable first.
        instructions: by playbook.
        count, known: contacts in all, and of how many it is known whether they took place.
        after: id after which the next part begins; None at the end.
        current: the contact that is looked at; None where all are done.
        latest: midnight of the latest day with a plan, where this one has none; None without.
        stop: who stopped all interventions; None while they go on.
        open_count: contacts of the last 30 days of which nothing is known.
    """

    since: int
    plans: tuple[PlanSummary, ...]
    contacts: tuple[InterventionLine, ...]
    instructions: Mapping[str, str]
    count: int
    known: int
    after: str | None
    current: Contact | None
    latest: int | None
    stop: CustomerStep | None
    open_count: int


def read_contacts(
    source: SystemSource, since: int, now: int, part: ContactsPart, item: str | None = None
) -> DayOfContacts:
    """Read the plan of a day.

    Args:
        source: of the churn system.
        since: midnight of the day, microseconds since 1970 UTC.
        now: microseconds since 1970 UTC.
        part: which contacts are listed.
        item: the contact to look at; None is the first one that is open.

    Raises:
        UnknownInterventionError: there is no such contact.
    """
    book = source.records.sharing(InterventionRepository)
    plans = book.list_plans(since, since + DAY, _MOST_PLANS)
    ids = [plan.id for plan in plans]
    last = None if part.after is None else book.find_contact(part.after)
    rows = book.list_contacts(ids, part.most + 1, last)
    has_more, rows = len(rows) > part.most, rows[: part.most]
    lines, instructions = intervention_lines(book, rows), _instructions(plans)
    looked_at = _looked_at(book, lines, item)
    count, known = book.count_contacts(ids)
    return DayOfContacts(
        since=since,
        plans=tuple(summary_of(plan) for plan in plans),
        contacts=lines,
        instructions=instructions,
        count=count,
        known=known,
        after=rows[-1].id if has_more else None,
        current=None if looked_at is None else _contact(source, looked_at, instructions, now),
        latest=None if plans else _latest_day(book, since),
        stop=book.find_stop(),
        open_count=book.count_open(now - OPEN_US),
    )


def list_contacts(source: SystemSource, since: int) -> str:
    """The contacts of a day as CSV (RFC 4180) with a header."""
    book = source.records.sharing(InterventionRepository)
    plans = book.list_plans(since, since + DAY, _MOST_PLANS)
    rows = book.list_contacts([plan.id for plan in plans], MOST_EXPORTED)
    instructions = _instructions(plans)
    return rows_csv(
        _COLUMNS, [_cells(line, instructions) for line in intervention_lines(book, rows)]
    )


def report_contact(
    source: SystemSource,
    intervention_id: str,
    kind: str,
    *,
    author: str,
    key_id: str,
    note: str | None,
    now: int,
) -> Intervention:
    """Report that a contact took place (`done`), did not (`not-done`), or that notice was given.

    Args:
        source: of the churn system.
        intervention_id: of the contact.
        kind: `done`, `not-done` or `notice`.
        author: name of the person.
        key_id: of the API key.
        note: free text.
        now: microseconds since 1970 UTC.

    Raises:
        UnknownInterventionError: there is no such contact.
        ContradictedOutcomeError: the opposite is reported.
    """
    book = source.records.sharing(InterventionRepository)
    contact = book.find_contact(intervention_id)
    outcome = InterventionOutcome(
        intervention_id=intervention_id,
        kind="left" if kind == "notice" else "delivered",
        value=kind != "not-done",
        observed_at=now,
        received_at=now,
        note=note,
        author=author,
        key_id=key_id,
    )
    record_outcomes(book, source.records.sharing(Records), [outcome])
    return contact


def withdraw_report(
    source: SystemSource, intervention_id: str, *, author: str, key_id: str, now: int
) -> None:
    """Take back whether a contact took place.

    Raises:
        UnknownInterventionError: there is no such contact, or nothing was reported of it.
    """
    book = source.records.sharing(InterventionRepository)
    book.find_contact(intervention_id)
    book.withdraw_delivery(intervention_id, author, key_id, now)


def set_interventions(
    source: SystemSource,
    *,
    stopped: bool,
    author: str,
    key_id: str,
    reason: str,
    now: int,
    request_id: str,
) -> None:
    """Stop all interventions, or let them go on.

    Raises:
        SwitchUnchangedError: it is so already.
        RepeatedSwitchError: the id names a request that did the opposite.
    """
    source.records.sharing(InterventionRepository).set_switch(
        stopped=stopped, author=author, key_id=key_id, reason=reason, at=now, request_id=request_id
    )


def summary_of(plan: StoredPlan) -> PlanSummary:
    """A plan in figures, also of one that was made before it said what binds."""
    summary, request = plan.summary, plan.request
    prices = _numbers(summary.get("prices")) if "prices" in summary else None
    used = {"hours": _number(summary.get("hours")), "budget": _number(summary.get("cost"))}
    names = [*used, *(["most"] if request.get("most") is not None else [])]
    limits = tuple(
        Limit(
            _WORDS[name],
            used.get(name),
            _optional(request.get(name)),
            _UNITS[name],
            None if prices is None else prices.get(name, 0.0),
        )
        for name in names
    )
    others = _numbers(summary.get("other_ways"))
    return PlanSummary(
        plan=plan,
        limits=limits,
        caps={
            name.removeprefix(_PLAYBOOK): price
            for name, price in (prices or {}).items()
            if name.startswith(_PLAYBOOK)
        },
        value=_number(summary.get("value")),
        best_other=max(others.values()) if others else None,
        considered=round(_number(summary.get("considered"))),
        left_out=_texts(summary.get("not_considered")),
        overridden=tuple(_numbers(summary.get("overridden"))),
        enabled=summary.get("enabled") is not False,
    )


def _looked_at(
    book: InterventionRepository, lines: Sequence[InterventionLine], item: str | None
) -> InterventionLine | None:
    if item is not None:
        return intervention_lines(book, [book.find_contact(item)])[0]
    return next((line for line in lines if line.delivered is None and line.left is None), None)


def _contact(
    source: SystemSource, line: InterventionLine, instructions: Mapping[str, str], now: int
) -> Contact:
    health = source.records.sharing(HealthRepository)
    customer_id = line.intervention.customer_id
    newest = next(iter(health.list_entries(customer_id, 1)), None)
    return Contact(
        line,
        instructions.get(line.intervention.playbook, line.intervention.playbook),
        () if newest is None else stated_reasons(newest.reasons),
        newest,
        standing_override(health.list_overrides(customer_id, 1), now),
    )


def _latest_day(book: InterventionRepository, since: int) -> int | None:
    earlier = book.list_plans(since - _LOOK_BACK_US, since, 1)
    return earlier[0].created_at // DAY * DAY if earlier else None


def _instructions(plans: Sequence[StoredPlan]) -> dict[str, str]:
    return {
        name: words
        for plan in reversed(plans)
        for name, words in _texts(plan.summary.get("words")).items()
    }


def _cells(line: InterventionLine, instructions: Mapping[str, str]) -> tuple[object, ...]:
    row, delivered, left = line.intervention, line.delivered, line.left
    return (
        row.id,
        row.customer_id,
        row.playbook,
        instructions.get(row.playbook),
        round(row.chance, 4),
        round(row.expected_fall, 4),
        round(row.value, 2),
        round(row.cost, 2),
        row.hours,
        None if delivered is None else delivered.value,
        None if delivered is None else delivered.author,
        None if delivered is None else delivered.note,
        None if left is None or not left.value else to_iso(left.observed_at),
    )


def _number(value: object) -> float:
    return _optional(value) or 0.0


def _optional(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


def _numbers(value: object) -> dict[str, float]:
    items = value.items() if isinstance(value, Mapping) else ()
    return {str(name): _number(number) for name, number in items}


def _texts(value: object) -> dict[str, str]:
    items = value.items() if isinstance(value, Mapping) else ()
    return {str(name): str(text) for name, text in items}
