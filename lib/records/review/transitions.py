"""What reviewers do with an item beside deciding it, inside a transaction of the caller's.

A decision can be undone, an item snoozed, assigned or escalated. Each of them adds to the audit,
and the same request again changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, literal, select, update

from lib.records.errors import RecordsError
from lib.records.models import Json, require_note
from lib.records.review.audit import append_entries, audit_entry
from lib.records.review.claims import QueueEntry, require_other_opinion, set_lease, set_state
from lib.records.review.models import (
    Lease,
    LeaseLostError,
    ReviewItem,
    ReviewKey,
    UndoRefusedError,
    Verdict,
)
from lib.records.review.tables import AUDIT, ITEMS, LABELS, OUTCOMES, STATEMENTS, VERDICTS
from lib.records.review.verdicts import require_lease

UNDO_US = 10_000_000
"""A decision can be undone for so long, microseconds."""
LONGEST_SNOOZE_US = 30 * 86_400_000_000
"""An item can be snoozed for so long, microseconds."""
SENIOR = "senior"
"""The skill that an escalated item needs."""
Escalate = Callable[[ReviewItem, int], ReviewItem]
"""An item and the present to the item with the severity, skill, due time and rank it gets."""
_STATEMENT = "statement "
_OPINIONS = ("review", "second_opinion", "adjudication")
_ESCALATED = ("severity", "skill", "due_at", "rank_us")


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts on an item, under which lease and key, and when.

    Attributes:
        reviewer: who.
        token: of the lease; None where there need be none.
        now: microseconds since 1970 UTC, by the clock of leases.
        note: in words, for the audit.
        key: under which the reviewer acts.
    """

    reviewer: str
    token: int | None
    now: int
    note: str | None
    key: ReviewKey | None

    @property
    def lease_token(self) -> int:
        """The token; where there is none, one that no lease has."""
        return -1 if self.token is None else self.token


@dataclass(frozen=True, slots=True)
class Change:
    """What an act does to an item: its name in the audit, and the state before and after."""

    action: str
    before: Mapping[str, Json]
    after: Mapping[str, Json]


def undo(
    connection: Connection,
    entry: QueueEntry,
    verdict: Verdict,
    now: int,
    lease: Lease,
    key: ReviewKey | None,
) -> None:
    """Take a decision back with what it led to; the item is its reviewer's again.

    Outcome, labels and an opinion that nobody has claimed go; the audit keeps what they were.

    Args:
        connection: of the transaction.
        entry: the item.
        verdict: its decision.
        now: microseconds since 1970 UTC.
        lease: that the reviewer gets.
        key: under which the reviewer acts.

    Raises:
        UndoRefusedError: the decision is too old, its case was settled, or another reviewer was
            asked for an opinion.
    """
    item = entry.item
    if now - verdict.decided_at > UNDO_US:
        raise UndoRefusedError(
            f"item {item.id!r}: expected to be undone within {UNDO_US // 1_000_000} seconds of "
            "the decision; a mistake is put right by a new review"
        )
    rule = _remove_outcome(connection, item)
    _withdraw_opinions(connection, item, now)
    connection.execute(delete(VERDICTS).where(VERDICTS.c.item_id == item.id))
    _unstate(connection, item)
    state: dict[str, Json] = {"leased_by": verdict.reviewer, "leased_until": lease.until}
    set_state(connection, item.id, {**state, "token": lease.token, "decided_at": None})
    before: dict[str, Json] = {"verdicts": dict(verdict.verdicts), "outcome": rule}
    act = Act(verdict.reviewer, verdict.token, now, None, key)
    _append(connection, entry, act, Change("undone", before, state))


def _unstate(connection: Connection, item: ReviewItem) -> None:
    """Let the statement by which an item was decided, if it was by one, stand of it no more."""
    table = STATEMENTS.c
    claim = select(ITEMS.c.claim_id).where(ITEMS.c.id == item.id).scalar_subquery()
    connection.execute(
        update(STATEMENTS)
        .where(
            table.system == item.system,
            table.subject_id == item.subject_id,
            literal(_STATEMENT) + table.statement_id == claim,
        )
        .values(is_stated=False)
    )


def statement_claim(statement_id: str) -> str:
    """The claim under which the items of a statement were decided."""
    return f"{_STATEMENT}{statement_id}"


def _remove_outcome(connection: Connection, item: ReviewItem) -> str | None:
    """The rule by which the case was closed, None where it was not; closed no more.

    Raises:
        UndoRefusedError: it is settled.
    """
    of_case = OUTCOMES.c.case_id == item.case_id
    query = select(OUTCOMES.c.rule, OUTCOMES.c.settled_at).where(of_case)
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        return None
    if row.settled_at is not None:
        raise UndoRefusedError(
            f"item {item.id!r}: its case was settled; a mistake is put right by a new review"
        )
    connection.execute(delete(LABELS).where(LABELS.c.case_id == item.case_id))
    connection.execute(delete(OUTCOMES).where(of_case))
    return str(row.rule)


def _withdraw_opinions(connection: Connection, item: ReviewItem, now: int) -> None:
    """Remove the opinion that a decision asked for.

    Raises:
        UndoRefusedError: somebody claimed it, was assigned to it, or decided it.
    """
    if item.kind not in _OPINIONS:
        return
    later = _OPINIONS[_OPINIONS.index(item.kind) + 1 :]
    is_later = (ITEMS.c.case_id == item.case_id) & ITEMS.c.kind.in_(later)
    rows = connection.execute(select(ITEMS).where(is_later).with_for_update()).mappings().all()
    if any(row["token"] or row["assignee"] is not None for row in rows):
        raise UndoRefusedError(
            f"item {item.id!r}: another reviewer was asked since; a mistake is put right there"
        )
    connection.execute(delete(ITEMS).where(is_later))
    entries = [
        audit_entry(
            item, now, "queue", "withdrawn", before={"item": row["id"], "rule": row["rule"]}
        )
        for row in rows
    ]
    append_entries(connection, entries)


def lease_after_undo(entry: QueueEntry, reviewer: str, token: int) -> Lease:
    """The lease that an undo of the decision under `token` gave, where it is asked for again.

    Raises:
        LeaseLostError: nothing was decided under this token, or the item went to another.
    """
    if entry.leased_by != reviewer or entry.token != token + 1 or entry.leased_until is None:
        raise LeaseLostError(
            f"item {entry.item.id!r}: expected an item that {reviewer!r} decided with token "
            f"{token}, got one that is not decided"
        )
    return Lease(entry.token, entry.leased_until)


def snooze(connection: Connection, entry: QueueEntry, act: Act, until: int) -> None:
    """Give an item back that nobody gets before `until`.

    Raises:
        LeaseLostError: it is not the reviewer's under this token.
        RecordsError: `until` is not within 30 days from now.
    """
    if not act.now < until <= act.now + LONGEST_SNOOZE_US:
        raise RecordsError(f"until: expected a time within 30 days from now, got {until}")
    if _is_free_since(entry, act.lease_token) and entry.snoozed_until == until:
        return
    require_lease(entry, act.reviewer, act.lease_token)
    before, after = {"snoozed_until": entry.snoozed_until}, {"snoozed_until": until}
    _give_back(connection, entry, act, Change("snoozed", before, after))


def assign(connection: Connection, entry: QueueEntry, act: Act, assignee: str | None) -> None:
    """Let only `assignee` claim an item, or anybody again (None).

    An item that is leased is assigned by its holder, who gives it back so; any other by anybody.
    A golden item stays its reviewer's, see `_give_back`.

    Raises:
        LeaseLostError: it is decided, or held by another or under another token.
        RepeatedOpinionError: the assignee decided about the subject before.
    """
    is_held = entry.leased_until is not None and entry.leased_until > act.now
    if is_held or entry.decided_at is not None:
        require_lease(entry, act.reviewer, act.lease_token)
    elif assignee == _assignee_of(connection, entry):
        return
    if assignee is not None:
        require_other_opinion(connection, entry.item, assignee, None)
    before, after = {"assignee": entry.assignee}, {"assignee": assignee}
    _give_back(connection, entry, act, Change("assigned", before, after))


def escalate(connection: Connection, entry: QueueEntry, act: Act, change: Escalate) -> ReviewItem:
    """Give an item back to those with the skill `senior`, more severe than it was.

    A golden item stays as it is, see `_give_back`.

    Returns:
        The item as it is then; a golden one as it would be if it were any other.

    Raises:
        LeaseLostError: it is not the reviewer's under this token.
    """
    if _is_free_since(entry, act.lease_token):
        if last := _last_step(connection, entry, "escalated"):
            return replace(entry.item, **{name: last[name] for name in _ESCALATED})
        if entry.item.skill == SENIOR:
            return entry.item
    require_lease(entry, act.reviewer, act.lease_token)
    escalated = change(entry.item, act.now)
    before, after = (
        {name: getattr(item, name) for name in _ESCALATED} for item in (entry.item, escalated)
    )
    if not _is_golden(entry):
        set_state(connection, entry.item.id, {"assignee": None})
    _give_back(connection, entry, act, Change("escalated", before, after))
    return escalated


def _is_free_since(entry: QueueEntry, token: int) -> bool:
    """Whether nobody claimed an item after the lease with this token ended."""
    return entry.decided_at is None and entry.leased_by is None and entry.token == token


def _is_golden(entry: QueueEntry) -> bool:
    return entry.item.kind == "golden"


def _assignee_of(connection: Connection, entry: QueueEntry) -> Json:
    """To whom an item is assigned, as its reviewers know it; None for anybody."""
    if not _is_golden(entry):
        return entry.assignee
    assignee: Json = _last_step(connection, entry, "assigned").get("assignee")
    return assignee


def _last_step(connection: Connection, entry: QueueEntry, action: str) -> Mapping[str, Any]:
    """The state after the last thing that happened to a golden item, if that was this action.

    Golden items keep their columns, so that only the audit knows what was done before.
    """
    if not _is_golden(entry):
        return {}
    step = AUDIT.c
    query = select(step.what, step.after).where(
        step.subject_id == entry.item.subject_id, step.item_id == entry.item.id
    )
    row = connection.execute(query.order_by(step.number.desc()).limit(1)).first()
    return row.after or {} if row is not None and row.what == action else {}


def _give_back(connection: Connection, entry: QueueEntry, act: Act, change: Change) -> None:
    """End the lease of an item, change its columns, and append all that with a note.

    A golden item is its reviewer's alone: assigned to another or left to seniors, nobody could
    claim it any more. It keeps its columns then; the answer and the audit are those of any item.
    """
    set_lease(connection, entry, None, None)
    if not (_is_golden(entry) and change.action in ("assigned", "escalated")):
        set_state(connection, entry.item.id, change.after)
    noted = replace(change, after={**change.after, **_noted(act.note)})
    _append(connection, entry, act, noted)


def _append(connection: Connection, entry: QueueEntry, act: Act, change: Change) -> None:
    """Append what a reviewer did, with the state before and after it."""
    key_id = None if act.key is None else act.key.id
    step = audit_entry(
        entry.item,
        act.now,
        act.reviewer,
        change.action,
        before=change.before,
        after=change.after,
        key_id=key_id,
    )
    append_entries(connection, [step])


def _noted(note: str | None) -> dict[str, Json]:
    if note is None:
        return {}
    require_note("note", note)
    return {"note": note}
