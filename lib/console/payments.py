"""Payments as analysts look for them: by who paid whom, when, how much, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib.console.decision_search import (
    DecidedSubject,
    DecisionFilter,
    DecisionLine,
    DecisionPart,
    Key,
    WaitingItem,
)
from lib.console.rows_csv import rows_csv
from lib.console.source import SystemSource
from lib.fraud.outcomes import AMOUNT
from lib.fraud.review import PaymentReview
from lib.records import Fact
from lib.records.models import Json
from lib.records.review import Outcome
from lib.registry import to_iso

FRAUD = "fraud"
"""Name of the system, of the question that people answer, and of the facts that they state."""
USER, MERCHANT, DEVICE = "user_id", "merchant_id", "device_id"
MOST_EXPORTED = 5_000
_COLUMNS = (
    *("payment", "event_time", "decision", "score", "amount", "currency", "customer"),
    *("merchant", "device", "rule", "label", "label_source", "waits"),
)


@dataclass(frozen=True, slots=True)
class LabelState:
    """What is known of a payment.

    Attributes:
        is_fraud: whether it was fraud.
        source: who says so.
        at: when it became known, microseconds since 1970 UTC.
        is_pending: whether it takes effect within seconds, and can be undone until then.
    """

    is_fraud: bool
    source: str
    at: int
    is_pending: bool = False

    @property
    def word(self) -> str:
        """In a word."""
        return "fraud" if self.is_fraud else "not fraud"


@dataclass(frozen=True, slots=True)
class PaymentLine(DecidedSubject):
    """A payment in a list.

    Attributes:
        line: its decision.
        amount_minor: in minor units of the settlement currency; None where the request has none.
        amount: the same in units, as text; "" likewise.
        label: what is known of it; None for nothing.
        waiting: its undecided item of the queue, if there is one.
    """

    amount_minor: int | None
    amount: str
    label: LabelState | None
    waiting: WaitingItem | None

    @property
    def currency(self) -> str:
        """In which it was made."""
        return str(self.line.request.get("currency") or "")

    def entity(self, name: str) -> str:
        """The id of an entity; "" where there is none."""
        return str(self.line.entities.get(name) or "")


@dataclass(frozen=True)
class PaymentList:
    """A part of a search.

    Attributes:
        payments: the latest first.
        after: where the next part begins; None at the end.
        is_cut: see `DecisionPart`.
    """

    payments: tuple[PaymentLine, ...]
    after: Key | None
    is_cut: bool

    @property
    def total(self) -> int:
        """Sum of the amounts, minor units."""
        return sum(payment.amount_minor or 0 for payment in self.payments)


def read_payments(
    source: SystemSource, sought: DecisionFilter, most: int, before: Key | None, reviewer: str
) -> PaymentList:
    """Search payments, the latest first; see `DecisionSearch.search` and `describe`."""
    part: DecisionPart = source.records.search(sought, most, before)
    return PaymentList(describe(source, part.lines, reviewer), part.after, part.is_cut)


def describe(
    source: SystemSource, lines: Sequence[DecisionLine], reviewer: str
) -> tuple[PaymentLine, ...]:
    """Payments with what is known of them and whether they wait, in the same order.

    One that measures the reviewer looks like any that waits: nothing is known of it yet.
    """
    subjects = [line.subject_id for line in lines]
    waiting = source.records.list_waiting_items(subjects, reviewer)
    labels = read_unmeasured(source, subjects, waiting)
    return tuple(
        PaymentLine(
            line,
            amount_of(line.request),
            amount_text(source, line.request),
            labels.get(line.subject_id),
            waiting.get(line.subject_id),
        )
        for line in lines
    )


def read_unmeasured(
    source: SystemSource, subjects: Sequence[str], waiting: Mapping[str, WaitingItem]
) -> dict[str, LabelState]:
    """What is known of payments but for those that are to measure whom their items wait for."""
    measuring = {name for name, item in waiting.items() if item.kind == "golden"}
    return read_labels(source, [name for name in subjects if name not in measuring])


def read_labels(source: SystemSource, subjects: Sequence[str]) -> dict[str, LabelState]:
    """What is known of each of some payments; those of which nothing is are left out."""
    facts = source.records.list_facts(subjects, FRAUD)
    outcomes = source.records.list_unapplied(subjects)
    return {
        subject: state
        for subject in subjects
        if (state := label_state(facts.get(subject, ()), outcomes.get(subject))) is not None
    }


def label_state(facts: Sequence[Fact], outcome: Outcome | None) -> LabelState | None:
    """What is known, from facts in the order in which they became known and what is to be one."""
    latest = facts[-1] if facts else None
    is_newer = outcome is not None and (latest is None or outcome.at > latest.observed_at)
    if outcome is not None and is_newer and FRAUD in outcome.verdicts:
        return LabelState(outcome.verdicts[FRAUD], "review", outcome.at, is_pending=True)
    if latest is None:
        return None
    return LabelState(latest.value, latest.source, latest.observed_at)


def amount_of(request: Mapping[str, Json]) -> int | None:
    """Minor units of the settlement currency; None where the request has none."""
    value = request.get(AMOUNT)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number else None  # type: ignore[arg-type]


def amount_text(source: SystemSource, request: Mapping[str, Json]) -> str:
    """The same in units, as text."""
    minor = amount_of(request)
    return "" if minor is None else source.scale.text(minor)


def policy_of(source: SystemSource) -> PaymentReview:
    """What payments become in the queue."""
    return PaymentReview(scale=source.scale)


def payments_csv(payments: Sequence[PaymentLine]) -> str:
    """Payments as CSV (RFC 4180) with a header; see `rows_csv`."""
    return rows_csv(_COLUMNS, [_cells(payment) for payment in payments])


def _cells(payment: PaymentLine) -> tuple[str | None, ...]:
    line, label = payment.line, payment.label
    return (
        payment.id,
        to_iso(line.event_time),
        line.decision,
        line.score_text,
        payment.amount.replace(",", ""),
        payment.currency,
        payment.entity(USER),
        payment.entity(MERCHANT),
        payment.entity(DEVICE),
        line.rule_id,
        None if label is None else label.word,
        None if label is None else label.source,
        "yes" if payment.waiting else "no",
    )
