"""Writes what happened to an item; rows are added, never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, insert

from lib.records.models import Json
from lib.records.review.models import AuditEntry, ReviewItem, ReviewKey
from lib.records.review.tables import AUDIT


def audit_entry(
    item: ReviewItem,
    at: int,
    actor: str,
    action: str,
    *,
    before: Mapping[str, Json] | None = None,
    after: Mapping[str, Json] | None = None,
    key_id: str | None = None,
) -> AuditEntry:
    """An entry about an item, by the rule that asked for the item."""
    return AuditEntry(
        at=at, who=actor, what=action, rule=item.rule, item_id=item.id, case_id=item.case_id,
        system=item.system, subject_id=item.subject_id, policy_version=item.policy_version,
        model_version=item.model_version, before=before, after=after,
        key_id=key_id,
    )  # fmt: skip


def append_entries(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Append entries in their order."""
    if entries:
        connection.execute(insert(AUDIT), [asdict(entry) for entry in entries])


def append_step(
    connection: Connection,
    item: ReviewItem,
    at: int,
    actor: str,
    action: str,
    key: ReviewKey | None,
    after: Mapping[str, Json] | None = None,
) -> None:
    """Append what a reviewer did with an item, under which key, and the state after it."""
    key_id = None if key is None else key.id
    append_entries(connection, [audit_entry(item, at, actor, action, after=after, key_id=key_id)])
