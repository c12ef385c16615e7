"""What analysts do with payments: decide, refer, write a note, label together, take back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.console.payments import (
    FRAUD,
    PaymentLine,
    amount_of,
    describe,
    policy_of,
    read_labels,
    read_unmeasured,
)
from lib.console.source import SystemSource
from lib.records import Decision
from lib.records.review import LeaseLostError, ReviewItem, ReviewKey, UnknownItemError, Verdict
from lib.records.review.queue import Remark
from lib.records.review.statements import Statement, StatementResult
from lib.records.review.transitions import SENIOR

_BACK = "-back"
_SAME_NOTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class TimedReviewer:
    """Who acts, and when.

    Attributes:
        name: of the person.
        key: under which they act.
        now: microseconds since 1970 UTC.
        lease_now: the clock of leases; None is the database's.
    """

    name: str
    key: ReviewKey
    now: int
    lease_now: int | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a form wants done, once.

    Attributes:
        id: of the form: sent twice, it has one effect.
        item_id: of the queue's item that its reader saw; "" where there was none.
        label_at: when what its reader knew became known; 0 for nothing.
        note: in words.
    """

    id: str
    item_id: str = ""
    label_at: int = 0
    note: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A payment of which nothing was stated, and why, in words."""

    payment_id: str
    why: str


@dataclass(frozen=True)
class StatementView:
    """A verdict that was stated of several payments at once.

    Attributes:
        id: of the statement.
        verdicts: one of each payment.
        payments: those that are not archived, with what is known of them now.
        total: sum of their amounts, minor units.
        standing: payments of which nothing else became known since.
        back: verdicts by which it was taken back; none where it stands.
        hidden: payments that are not shown, as an opinion on them is due.
    """

    id: str
    verdicts: tuple[Verdict, ...]
    payments: tuple[PaymentLine, ...]
    total: int
    standing: tuple[str, ...]
    back: tuple[Verdict, ...]
    hidden: int


def decide_payment(
    source: SystemSource, by: TimedReviewer, payment_id: str, is_fraud: bool, effect: Effect
) -> None:
    """Say whether a payment was fraud: in the queue where it waits there, else by a statement.

    Args:
        source: of the system.
        by: who, and when.
        payment_id: of the payment.
        is_fraud: the verdict.
        effect: of the form.

    Raises:
        LeaseLostError: the payment is not as the form's reader saw it, or with somebody else.
        UnknownItemError: no decision is recorded about it, or it has no amount.
    """
    decision = _decision(source, payment_id)
    if effect.item_id:
        verdicts = {FRAUD: is_fraud}
        _decide_item(source, by, payment_id, effect, verdicts)
        return
    if not source.records.list_stated(effect.id):
        _require_unchanged(source, payment_id, effect)
    _state(source, by, [decision], is_fraud, effect)


def refer_payment(source: SystemSource, by: TimedReviewer, payment_id: str, effect: Effect) -> None:
    """Leave a payment to seniors; raises as `decide_payment` does."""
    decision = _decision(source, payment_id)
    queue, policy = source.queue, policy_of(source)
    if not effect.item_id:
        _require_unchanged(source, payment_id, effect, "referred")
        queue.refer(policy, decision, effect.id, by.name, by.now, **_remark(effect, by))
        return
    if _item_about(source, payment_id, effect).skill == SENIOR:
        return
    claim = queue.take(effect.item_id, by.name, by.lease_now, by.key)
    queue.escalate(claim.item_id, by.name, claim.token, by.lease_now, **_remark(effect, by))


def note_payment(source: SystemSource, by: TimedReviewer, payment_id: str, note: str) -> None:
    """Write a note about a payment; the same again within a minute is one."""
    decision = _decision(source, payment_id)
    for entry in reversed(source.records.list_history(payment_id)):
        is_recent = by.now - entry.at < _SAME_NOTE_US
        is_same = entry.what == "noted" and entry.who == by.name
        if is_recent and is_same and (entry.after or {}).get("note") == note:
            return
    source.queue.write_note(policy_of(source), decision, by.name, note, by.now, by.key)


def label_together(
    source: SystemSource, by: TimedReviewer, payment_ids: Sequence[str], effect: Effect
) -> StatementResult:
    """Label payments fraud; what is labelled so already, or waits for others, is left out.

    Raises:
        LeaseLostError: none of them can be labelled.
    """
    waiting = source.records.list_waiting_items(payment_ids, by.name)
    known = read_unmeasured(source, payment_ids, waiting)
    labelled = {payment_id for payment_id, label in known.items() if label.is_fraud}
    if (first := source.records.find_statement_result(effect.id)) is not None:
        labelled -= {*first.stated, *first.left_out}
    unlabelled = [name for name in dict.fromkeys(payment_ids) if name not in labelled]
    decisions = _decisions(source, unlabelled)
    if not decisions:
        raise LeaseLostError("all of these payments are labelled fraud already")
    return _state(source, by, decisions, True, effect)


def read_left_out(
    source: SystemSource, payment_ids: Sequence[str], reviewer: str, now: int
) -> tuple[LeftOut, ...]:
    """Say of payments that a statement left out why, as they are now.

    Args:
        source: of the system.
        payment_ids: that were left out.
        reviewer: who made the statement.
        now: microseconds since 1970 UTC.
    """
    waiting = source.records.list_waiting_items(payment_ids, reviewer)
    labels = read_unmeasured(source, payment_ids, waiting)
    lines = {line.subject_id: line for line in source.records.list_lines(payment_ids)}
    left_out = []
    for payment_id in payment_ids:
        item, label = waiting.get(payment_id), labels.get(payment_id)
        line = lines.get(payment_id)
        if item is not None:
            is_held = item.is_with_another(reviewer, now)
            why = "it is with another reviewer" if is_held else "it waits for another opinion"
        elif label is not None:
            why = f"it was labelled {label.word} already"
        elif line is None or amount_of(line.request) is None:
            why = "it is not recorded with an amount"
        else:
            why = "it was with another reviewer then"
        left_out.append(LeftOut(payment_id, why))
    return tuple(left_out)


def read_statement(
    source: SystemSource, statement_id: str, reader: str | None = None
) -> StatementView | None:
    """What was stated at once, and what stands of it; None where nothing was.

    Args:
        source: of the system.
        statement_id: of the statement.
        reader: who must not see what others said of payments on which an opinion is due; None
            sees all, as who made the statement does.
    """
    verdicts = source.records.list_stated(statement_id)
    if not verdicts:
        return None
    subjects = [verdict.subject_id for verdict in verdicts]
    hidden = frozenset[str]()
    if reader is not None and reader != verdicts[0].reviewer:
        hidden = frozenset(source.records.list_waiting_items(subjects, reader))
    shown = [name for name in subjects if name not in hidden]
    payments = describe(source, source.records.list_lines(shown), reader or "")
    labels = read_labels(source, subjects)
    standing = tuple(
        verdict.subject_id
        for verdict in verdicts
        if (label := labels.get(verdict.subject_id)) is not None
        and (label.at, label.is_fraud) == (verdict.decided_at, verdict.verdicts[FRAUD])
    )
    total = sum(payment.amount_minor or 0 for payment in payments)
    back = tuple(source.records.list_stated(statement_id + _BACK))
    return StatementView(
        statement_id, tuple(verdicts), payments, total, standing, back, len(hidden)
    )


def take_back(source: SystemSource, by: TimedReviewer, statement_id: str) -> StatementResult:
    """Label payments not fraud that a statement labelled fraud and of which that is the latest.

    A label is a fact in time, so the statement stays and a later one takes it back.

    Raises:
        UnknownItemError: there is no such statement.
        LeaseLostError: something else became known of all of them.
    """
    view = read_statement(source, statement_id)
    if view is None:
        raise UnknownItemError(f"there is no statement {statement_id!r}")
    if view.back:
        return StatementResult(tuple(verdict.subject_id for verdict in view.back), (), False)
    decisions = _decisions(source, view.standing)
    if not decisions:
        raise LeaseLostError("something else became known of these payments since")
    effect = Effect(statement_id + _BACK)
    return _state(source, by, decisions, False, effect)


def _state(
    source: SystemSource,
    by: TimedReviewer,
    decisions: Sequence[Decision],
    is_fraud: bool,
    effect: Effect,
) -> StatementResult:
    """State a verdict of some payments, once.

    Raises:
        LeaseLostError: all of them are left out.
    """
    statement = Statement(
        id=effect.id,
        reviewer=by.name,
        verdicts={FRAUD: is_fraud},
        at=by.now,
        note=effect.note,
        key=by.key,
    )
    result = source.queue.state(policy_of(source), decisions, statement, by.lease_now)
    if not result.stated:
        raise LeaseLostError("all of these payments wait for somebody else")
    return result


def _decide_item(
    source: SystemSource,
    by: TimedReviewer,
    payment_id: str,
    effect: Effect,
    verdicts: dict[str, bool],
) -> None:
    """Decide the item that the form's reader saw; the same again changes nothing."""
    item = _item_about(source, payment_id, effect)
    kept = [
        verdict
        for verdict in source.records.list_verdicts(item.subject_id)
        if verdict.item_id == item.id
    ]
    if kept and kept[0].reviewer == by.name and dict(kept[0].verdicts) == verdicts:
        return
    claim = source.queue.take(effect.item_id, by.name, by.lease_now, by.key)
    source.queue.decide(
        claim.item_id, by.name, claim.token, verdicts, by.now, **_remark(effect, by)
    )


def _remark(effect: Effect, by: TimedReviewer) -> Remark:
    return {"note": effect.note, "key": by.key}


def _item_about(source: SystemSource, payment_id: str, effect: Effect) -> ReviewItem:
    """The item that the form's reader saw.

    Raises:
        UnknownItemError: there is none, or it is about another payment.
    """
    item = source.records.find_item(effect.item_id).item
    if item.subject_id != payment_id:
        raise UnknownItemError(f"payment {payment_id!r} has no item {effect.item_id!r}")
    return item


def _require_unchanged(
    source: SystemSource, payment_id: str, effect: Effect, rule: str = ""
) -> None:
    """Refuse a form whose reader saw another label, or no item where there is one now.

    Raises:
        LeaseLostError: so it is; a form that was sent before, by its rule, is let through.
    """
    label = read_labels(source, [payment_id]).get(payment_id)
    waiting = source.records.list_waiting_items([payment_id]).get(payment_id)
    is_same = (0 if label is None else label.at) == effect.label_at
    if waiting is not None and rule:
        item = policy_of(source).chosen_item(
            _decision(source, payment_id), effect.id, rule, 0, source.queue.settings
        )
        is_same, waiting = is_same and waiting.id == item.id, None
    if waiting is not None or not is_same:
        raise LeaseLostError(f"payment {payment_id!r}: somebody decided about it, or it waits")


def _decision(source: SystemSource, payment_id: str) -> Decision:
    decisions = _decisions(source, [payment_id])
    if not decisions:
        raise UnknownItemError(f"there is no payment {payment_id!r} that can be judged")
    return decisions[0]


def _decisions(source: SystemSource, payment_ids: Sequence[str]) -> list[Decision]:
    """Decisions that can be judged: an amount says what is at stake."""
    stored = map(source.records.find_decision, payment_ids)
    return [
        decision
        for decision in stored
        if decision is not None and amount_of(decision.request) is not None
    ]
