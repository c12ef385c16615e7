"""The audit: who did what when, in all that people do with a system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from sqlalchemy import ColumnElement

from lib.churn.customer_steps import CustomerStep, CustomerStepRepository
from lib.console.actor import read_actor
from lib.console.review_steps import is_open_to_all
from lib.console.rows_csv import rows_csv
from lib.console.source import SystemSource
from lib.console.system_records import StepFilter
from lib.experiment.models import ExperimentChange
from lib.maintenance.repository import ScheduleChange
from lib.records.models import Json
from lib.records.review.models import AuditEntry
from lib.records.schema import CUSTOMER_STEPS
from lib.registry import AliasChange, to_iso
from lib.rules.repository import RuleChange

KINDS = ("review", "experiment", "model", "rules", "customer", "schedule")
"""What an entry is about."""
MOST_EXPORTED = 10_000
NOT_YET = "shown once no opinion is due"
"""Stands for who did what to a subject that waits for an opinion."""
_PARTS_SHOWN = 6
_LONGEST_PART = 120
_ABSENT = object()
_TIMES = ("_at", "_until", "_us")
_NOT_SHOWN = ("digest",)
_AT = attrgetter("at")
_COLUMNS = ("at", "system", "kind", "person", "key_id", "action", "subject", "detail")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that happened.

    Attributes:
        at: microseconds since 1970 UTC.
        system: in which it did.
        kind: see `KINDS`.
        person: who did it, or the part of the service; "" while it would sway who judges next.
        key_id: of the API key; None where the audit has none.
        action: what was done; "" like the person.
        subject: to what.
        detail: from where to where, in words.
    """

    at: int
    system: str
    kind: str
    person: str
    key_id: str | None
    action: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are shown; None takes all.

    Attributes:
        kind: see `KINDS`.
        steps: who did what when.
    """

    kind: str | None = None
    steps: StepFilter = field(default_factory=StepFilter)


@dataclass(frozen=True)
class AuditPart:
    """A part of the audit.

    Attributes:
        rows: the newest first.
        has_more: whether there are older ones.
    """

    rows: tuple[AuditRow, ...]
    has_more: bool


def read_audit(source: SystemSource, audit_filter: AuditFilter, most: int) -> AuditPart:
    """Read the newest entries of a system, at most so many."""
    rows = sorted(_rows_of(source, audit_filter, most + 1), key=_AT, reverse=True)
    return AuditPart(tuple(rows[:most]), len(rows) > most)


def merge_audits(parts: Sequence[AuditPart], first: int, most: int) -> AuditPart:
    """Entries of several systems as one audit.

    Args:
        parts: the newest of each system, at least `first + most` where it has as many.
        first: how many of the newest of all are left out.
        most: entries at most.
    """
    rows = sorted((row for part in parts for row in part.rows), key=_AT, reverse=True)
    has_more = len(rows) > first + most or any(part.has_more for part in parts)
    return AuditPart(tuple(rows[first : first + most]), has_more)


def audit_csv(rows: Sequence[AuditRow]) -> str:
    """The same as CSV (RFC 4180) with a header, times in ISO 8601.

    A cell that a spreadsheet would compute is led by an apostrophe.
    """
    values = attrgetter(*_COLUMNS[1:])
    return rows_csv(_COLUMNS, [(to_iso(row.at), *values(row)) for row in rows])


def _rows_of(source: SystemSource, audit_filter: AuditFilter, most: int) -> list[AuditRow]:
    """The newest entries of a system, of each kind that is meant."""
    kinds = KINDS if audit_filter.kind is None else (audit_filter.kind,)
    steps, rows = audit_filter.steps, list[AuditRow]()
    if "review" in kinds:
        rows += _review_rows(source, steps, most)
    if "experiment" in kinds:
        entries = source.records.list_experiment_steps(steps, most)
        rows += (_of_experiment(source.system, entry) for entry in entries)
    if "customer" in kinds and source.system == "churn":
        repository = source.records.sharing(CustomerStepRepository)
        rows += map(_of_customer, repository.list_steps(*_customer_conditions(steps), limit=most))
    if "rules" in kinds:
        rows += map(_of_rules, source.records.list_rule_steps(steps, most))
    if "schedule" in kinds and source.system == "maintenance":
        rows += map(_of_schedule, source.records.list_schedule_steps(steps, most))
    if "model" in kinds:
        history = (
            _of_alias(source.system, change) for change in source.registry.history(source.system)
        )
        rows += [row for row in history if _is_meant(row, steps)]
    return rows


def _customer_conditions(steps: StepFilter) -> list[ColumnElement[bool]]:
    """Conditions on what people did about customers."""
    table = CUSTOMER_STEPS.c
    return steps.conditions(table.author, table.action, table.at)


def _is_meant(row: AuditRow, steps: StepFilter) -> bool:
    return (
        steps.since <= row.at < steps.until
        and steps.person in (None, row.person)
        and steps.action in (None, row.action)
    )


def _review_rows(source: SystemSource, steps: StepFilter, most: int) -> list[AuditRow]:
    """What happened to items; of subjects that wait for an opinion, nothing that would sway it."""
    entries = source.records.list_review_steps(steps, most)
    telling = dict.fromkeys(entry.subject_id for entry in entries if not is_open_to_all(entry))
    waiting = source.records.open_subjects(list(telling))
    return [
        _of_review(entry)
        if is_open_to_all(entry) or entry.subject_id not in waiting
        else _blinded(_of_review(entry))
        for entry in entries
    ]


def _blinded(row: AuditRow) -> AuditRow:
    return replace(row, person="", key_id=None, action="", detail=NOT_YET)


def _of_review(entry: AuditEntry) -> AuditRow:
    return AuditRow(
        entry.at, entry.system, "review", entry.who, entry.key_id, entry.what,
        entry.subject_id, _change_text(entry.before, entry.after),
    )  # fmt: skip


def _of_experiment(system: str, change: ExperimentChange) -> AuditRow:
    person, key_id = read_actor(change.by)
    detail = change.detail.get("sentence") or change.detail.get("reason")
    return AuditRow(
        change.at, system, "experiment", person, key_id, change.action,
        change.experiment_id, str(detail or _change_text(None, change.detail)),
    )  # fmt: skip


def _of_customer(step: CustomerStep) -> AuditRow:
    subject = step.customer_id or "all interventions"
    known = {name: value for name, value in step.detail.items() if value is not None}
    return AuditRow(
        step.at,
        "churn",
        "customer",
        step.author,
        step.key_id,
        step.action,
        subject,
        _change_text(None, known),
    )


def _of_rules(change: RuleChange) -> AuditRow:
    person, key_id = read_actor(change.by)
    before, after = ("file" if n is None else str(n) for n in (change.before, change.after))
    return AuditRow(
        change.at, change.system, "rules", person, key_id, change.action,
        f"{change.system} rules", f"{before} to {after}; {change.reason}",
    )  # fmt: skip


def _of_schedule(change: ScheduleChange) -> AuditRow:
    subject = change.schedule_id
    parts = []
    if change.machine_id is not None:
        subject = f"{change.machine_id} {change.component} in {change.schedule_id}"
        parts.append(f"{_start_text(change.before)} to {_start_text(change.after)}")
    numbers = {name: value for name, value in change.detail.items() if name not in _NOT_SHOWN}
    parts.append(_change_text(None, numbers))
    return AuditRow(
        change.at, "maintenance", "schedule", change.by, change.key_id, change.action,
        subject, "; ".join(part for part in parts if part),
    )  # fmt: skip


def _start_text(time_us: int | None) -> str:
    return "not this week" if time_us is None else to_iso(time_us)[:16] + "Z"


def _of_alias(system: str, change: AliasChange) -> AuditRow:
    person, key_id = read_actor(change.by)
    reasons = ("" if change.evidence is None else change.evidence.text, change.reason)
    moved = f"{change.before or 'none'} to {change.after}"
    return AuditRow(
        change.at, system, "model", person, key_id, change.action,
        f"{system} {change.alias}", "; ".join(part for part in (moved, *reasons) if part),
    )  # fmt: skip


def _change_text(before: Mapping[str, Json] | None, after: Mapping[str, Json] | None) -> str:
    """What is different after from before, in words."""
    before, after = before or {}, after or {}
    parts = [
        f"{name} {_text(name, before[name])} to {_text(name, value)}"
        if name in before
        else f"{name} {_text(name, value)}"
        for name, value in after.items()
        if before.get(name, _ABSENT) != value
    ]
    parts += [f"{name} was {_text(name, before[name])}" for name in before if name not in after]
    more = len(parts) - _PARTS_SHOWN
    return "; ".join(parts[:_PARTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _text(name: str, value: Json) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith(_TIMES):
        return to_iso(value)[:19] + "Z"
    if isinstance(value, Mapping):
        words = ", ".join(f"{part} {_text(part, of_part)}" for part, of_part in value.items())
        return words[:_LONGEST_PART]
    return str(value)[:_LONGEST_PART]
