"""Decisions of the review queue and what they come to, inside a transaction of the caller's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, insert

from lib.records.models import Json
from lib.records.repository import find_row, list_rows
from lib.records.review.audit import append_entries
from lib.records.review.claims import QueueEntry
from lib.records.review.models import (
    AuditEntry,
    ContradictedVerdictError,
    LeaseLostError,
    Outcome,
    ReviewItem,
    Verdict,
)
from lib.records.review.tables import LABELS, OUTCOMES, VERDICTS


def close_case(connection: Connection, outcome: Outcome, case: Sequence[Verdict]) -> None:
    """Keep what a case came to, its labels, and an entry with all of its decisions."""
    connection.execute(insert(OUTCOMES).values(asdict(outcome)))
    by = ",".join(verdict.reviewer for verdict in case)
    shared: dict[str, Json] = {"system": outcome.system, "subject_id": outcome.subject_id}
    shared |= {"by": by, "rule": outcome.rule, "at": outcome.at}
    shared |= {"policy_version": outcome.policy_version, "case_id": outcome.case_id}
    rows = [
        {**shared, "policy": policy, "violates": violates}
        for policy, violates in sorted(outcome.verdicts.items())
    ]
    connection.execute(insert(LABELS), rows)
    entry = AuditEntry(
        at=outcome.at, who="queue", what="closed", rule=outcome.rule, item_id=case[-1].item_id,
        case_id=outcome.case_id, system=outcome.system,
        subject_id=outcome.subject_id, policy_version=outcome.policy_version,
        model_version=outcome.model_version,
        before={verdict.item_id: dict(verdict.verdicts) for verdict in case},
        after={"verdicts": dict(outcome.verdicts)},
    )  # fmt: skip
    append_entries(connection, [entry])


def find_verdict(connection: Connection, item_id: str) -> Verdict | None:
    """The decision about an item, if there is one."""
    return find_row(connection, Verdict, VERDICTS, VERDICTS.c.item_id == item_id)


def list_of_case(connection: Connection, case_id: str) -> list[Verdict]:
    """The decisions of a case so far, in order of time."""
    table = VERDICTS.c
    order = [table.decided_at, table.item_id]
    return list_rows(connection, Verdict, VERDICTS, table.case_id == case_id, order=order)


def build_verdict(
    item: ReviewItem,
    reviewer: str,
    token: int,
    verdicts: Mapping[str, bool],
    note: str | None,
    now: int,
    key_id: str | None,
) -> Verdict:
    """A reviewer's decision about an item."""
    return Verdict(
        item_id=item.id, case_id=item.case_id, system=item.system,
        subject_id=item.subject_id, kind=item.kind,
        reviewer=reviewer, token=token, verdicts=dict(verdicts), note=note, decided_at=now,
        policy_version=item.policy_version, model_version=item.model_version,
        key_id=key_id,
    )  # fmt: skip


def require_lease(queue_item: QueueEntry, reviewer: str, token: int) -> None:
    """Refuse whoever does not hold the item under this token.

    Raises:
        LeaseLostError: it is decided, back in the queue, or with another.
    """
    if queue_item.decided_at is not None:
        raise LeaseLostError(f"item {queue_item.item.id!r} was decided already")
    if queue_item.leased_by != reviewer or queue_item.token != token:
        holder = "with another reviewer" if queue_item.leased_by else "back in the queue"
        raise LeaseLostError(
            f"item {queue_item.item.id!r} is {holder}: the lease with token {token} of "
            f"{reviewer!r} "
            "has ended; claim again"
        )


def require_same(
    verdict: Verdict, reviewer: str, token: int, verdicts: Mapping[str, bool]
) -> Verdict:
    """The decision that is kept, where the same reviewer says the same again.

    Raises:
        LeaseLostError: another decided.
        ContradictedVerdictError: the reviewer decided otherwise before.
    """
    if verdict.reviewer != reviewer or verdict.token != token:
        raise LeaseLostError(f"item {verdict.item_id!r} was decided by another reviewer")
    if dict(verdict.verdicts) != dict(verdicts):
        raise ContradictedVerdictError(
            f"item {verdict.item_id!r} was decided otherwise by {reviewer!r}; a mistake is put "
            "right "
            "by a new review of the post"
        )
    return verdict
