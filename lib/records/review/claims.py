"""Leases of the review queue, inside a transaction of the caller's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, update

from lib.records.database import Database
from lib.records.errors import RecordsError
from lib.records.models import Json
from lib.records.review.audit import append_entries, audit_entry
from lib.records.review.models import (
    AuditEntry,
    Claim,
    GoldenItem,
    LeaseLostError,
    RepeatedOpinionError,
    ReviewItem,
    ReviewKey,
    UnknownItemError,
)
from lib.records.review.tables import GOLDEN, ITEMS, REVIEWERS, VERDICTS

_MOST_PER_CLAIM = 1000
_GOLDEN_CHOICE = 200
_BLIND_KINDS = ("second_opinion", "adjudication", "appeal")
_ITEM_FIELDS = tuple(field.name for field in fields(ReviewItem))
_CLAIM_FIELDS = tuple(
    field.name for field in fields(Claim) if field.name not in ("item_id", "token", "leased_until")
)


class Mixer(Protocol):
    """Chooses which of a reviewer's items are golden, and disguises them as ordinary ones."""

    def draws(self, reviewer: str, slot: int) -> bool:
        """Whether the reviewer's item number `slot` is to be golden."""

    def item(
        self, unseen: Sequence[GoldenItem], like: ReviewItem, reviewer: str, slot: int
    ) -> ReviewItem:
        """One of the posts as an item that looks like its neighbour."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who asks for how many items, when, and for how long; see `ReviewStore.claim`."""

    system: str
    reviewer: str
    most: int
    now: int
    lease: int
    languages: Collection[str] | None
    skills: Collection[str] | None
    key: ReviewKey | None = None
    claim_id: str | None = None

    @property
    def key_id(self) -> str | None:
        """The id of the key, for the audit."""
        return None if self.key is None else self.key.id

    def __post_init__(self) -> None:
        if not 1 <= self.most <= _MOST_PER_CLAIM:
            raise RecordsError(f"most: expected 1 to {_MOST_PER_CLAIM}, got {self.most}")
        if self.lease < 1:
            raise RecordsError(f"lease: expected 1 microsecond or more, got {self.lease}")


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An item with its lease: `token` counts the leases; times as in `ReviewItem`.

    `assignee` is the only one who may claim it, `snoozed_until` when it may be claimed again.
    """

    item: ReviewItem
    token: int
    leased_by: str | None
    leased_until: int | None
    decided_at: int | None
    assignee: str | None = None
    snoozed_until: int | None = None


def open_items(
    database: Database,
    connection: Connection,
    items: Sequence[ReviewItem],
    actor: str,
    at: int | None = None,
    key_id: str | None = None,
) -> int:
    """Put items into the queue and note them down, at `at` or when each was made.

    Returns how many ids are new.
    """
    rows = [{**asdict(item), "policy": item.policy, "token": 0} for item in items]
    fresh = database.insert_keys(connection, ITEMS, rows, ITEMS.c.id)
    entries = [
        audit_entry(
            item, item.created_at if at is None else at, actor, "opened",
            after=_described(item), key_id=key_id,
        )
        for item in items
        if (item.id,) in fresh
    ]  # fmt: skip
    append_entries(connection, entries)
    return len(fresh)


def _described(item: ReviewItem) -> dict[str, Json]:
    state: dict[str, Json] = {"kind": item.kind, "policies": dict(item.policies)}
    return state | {"severity": item.severity, "reach": item.reach, "due_at": item.due_at}


def find(connection: Connection, system: str, item_id: str) -> QueueEntry:
    """An item of a system, locked until the transaction ends where the database locks rows.

    Raises:
        UnknownItemError: there is none of that id.
    """
    query = select(ITEMS).where(ITEMS.c.id == item_id, ITEMS.c.system == system)
    row = connection.execute(query.with_for_update()).mappings().first()
    if row is None:
        raise UnknownItemError(f"there is no item {item_id!r}")
    return entry_of(row)


def set_lease(
    connection: Connection, queue_item: QueueEntry, reviewer: str | None, until: int | None
) -> dict[str, Json]:
    """Move or end the lease of an item that is held; returns the new state."""
    state: dict[str, Json] = {"leased_by": reviewer, "leased_until": until}
    set_state(connection, queue_item.item.id, state)
    return state


def set_state(connection: Connection, item_id: str, state: Mapping[str, Json]) -> None:
    """Change columns of an item."""
    connection.execute(update(ITEMS).where(ITEMS.c.id == item_id).values(**state))


def mark_decided(connection: Connection, item_id: str, at: int) -> None:
    """Take an item out of the queue for good."""
    set_state(connection, item_id, {"decided_at": at})


def claim(
    database: Database, connection: Connection, asks: ClaimRequest, mixer: Mixer | None
) -> list[Claim]:
    """Lease what is free; items another reviewer is claiming are passed over.

    A claim that was made before, and of which items are still held, gets those again.
    """
    first = _first_slot(database, connection, asks.reviewer)
    if asks.claim_id is not None and (again := _made_before(connection, asks)):
        return again
    waiting = [entry_of(row) for row in connection.execute(_waiting(asks)).mappings()]
    chosen: list[QueueEntry] = []
    for queue_item in waiting:
        slot = first + len(chosen)
        if mixer is not None and len(chosen) < asks.most and mixer.draws(asks.reviewer, slot):
            chosen += _golden(database, connection, asks, mixer, queue_item.item, slot)
        if len(chosen) < asks.most:
            chosen.append(queue_item)
    _lease(connection, asks, chosen)
    counted = update(REVIEWERS).where(REVIEWERS.c.reviewer == asks.reviewer)
    connection.execute(counted.values(slots=first + len(chosen)))
    return [_claim_of(entry, entry.token + 1, asks.now + asks.lease) for entry in chosen]


def take(connection: Connection, asks: ClaimRequest, item_id: str) -> Claim:
    """Lease one item by its id; see `StatementStore.take`.

    Raises:
        UnknownItemError: there is none of that id.
        LeaseLostError: it is decided, with another reviewer, or meant for one.
        RepeatedOpinionError: see `require_other_opinion`.
    """
    entry = find(connection, asks.system, item_id)
    is_held = entry.leased_until is not None and entry.leased_until > asks.now
    if entry.decided_at is not None:
        raise LeaseLostError(f"item {item_id!r} was decided already")
    if is_held and entry.leased_by != asks.reviewer:
        raise LeaseLostError(f"item {item_id!r} is with another reviewer")
    if {entry.item.for_reviewer, entry.assignee} - {None, asks.reviewer}:
        raise LeaseLostError(f"item {item_id!r} is meant for another reviewer")
    require_other_opinion(connection, entry.item, asks.reviewer, asks.key)
    if is_held:
        return _claim_of(entry, entry.token, entry.leased_until or 0)
    _lease(connection, asks, [entry])
    return _claim_of(entry, entry.token + 1, asks.now + asks.lease)


def entry_of(row: Mapping[Any, Any]) -> QueueEntry:
    """An item with the state of its lease, from its columns."""
    item = ReviewItem(**{name: row[name] for name in _ITEM_FIELDS})
    state = ("token", "leased_by", "leased_until", "decided_at", "assignee", "snoozed_until")
    return QueueEntry(item, *(row[name] for name in state))


def _made_before(connection: Connection, asks: ClaimRequest) -> list[Claim]:
    """What a claim of this name leased to the reviewer and is still held."""
    query = select(ITEMS).where(
        ITEMS.c.system == asks.system,
        ITEMS.c.claim_id == asks.claim_id,
        ITEMS.c.leased_by == asks.reviewer,
        ITEMS.c.leased_until > asks.now,
        ITEMS.c.decided_at.is_(None),
    )
    ordered = query.order_by(ITEMS.c.rank_us, ITEMS.c.id)
    rows = connection.execute(ordered).mappings().all()
    return [_claim_of(entry_of(row), row["token"], row["leased_until"]) for row in rows]


def _first_slot(database: Database, connection: Connection, reviewer: str) -> int:
    database.insert_new(connection, REVIEWERS, [{"reviewer": reviewer, "slots": 0}])
    query = select(REVIEWERS.c.slots).where(REVIEWERS.c.reviewer == reviewer).with_for_update()
    return int(connection.execute(query).scalar_one())


def _waiting(asks: ClaimRequest) -> Any:
    free = or_(ITEMS.c.leased_until.is_(None), ITEMS.c.leased_until <= asks.now)
    is_awake = or_(ITEMS.c.snoozed_until.is_(None), ITEMS.c.snoozed_until <= asks.now)
    own_items = (
        or_(column.is_(None), column == asks.reviewer)
        for column in (ITEMS.c.for_reviewer, ITEMS.c.assignee)
    )
    blind = or_(ITEMS.c.kind.not_in(_BLIND_KINDS), ~_decided_by(asks.reviewer, asks.key, ITEMS.c))
    return (
        select(ITEMS)
        .where(
            ITEMS.c.system == asks.system,
            ITEMS.c.decided_at.is_(None),
            free,
            is_awake,
            *own_items,
            blind,
            *_able(asks, ITEMS.c),
        )
        # none is decided; named for PostgreSQL, which else sorts all instead of reading by_rank
        .order_by(ITEMS.c.decided_at, ITEMS.c.rank_us, ITEMS.c.id)
        .limit(asks.most)
        .with_for_update(skip_locked=True, of=ITEMS)
    )


def _decided_by(reviewer: str, key: ReviewKey | None, subject: Any) -> Any:
    """Whether this reviewer, or anybody under this key where it is not bound, decided."""
    same: ColumnElement[bool] = VERDICTS.c.reviewer == reviewer
    if key is not None and not key.bound:
        same = or_(same, VERDICTS.c.key_id == key.id)
    return exists().where(_is_same(VERDICTS.c, subject), same)


def _is_same(columns: Any, subject: Any) -> ColumnElement[bool]:
    return and_(columns.system == subject.system, columns.subject_id == subject.subject_id)


def require_other_opinion(
    connection: Connection, item: ReviewItem, reviewer: str, key: ReviewKey | None
) -> None:
    """Refuse a second opinion, an adjudication or an appeal by who decided about the post before.

    Raises:
        RepeatedOpinionError: the reviewer did, or a key that is not bound to names.
    """
    if (
        item.kind in _BLIND_KINDS
        and connection.execute(select(_decided_by(reviewer, key, item))).scalar_one()
    ):
        raise RepeatedOpinionError(
            f"item {item.id!r}: expected a reviewer and an API key that did not decide about the "
            "post before, got one that did; release it, or decide under a key that is bound to "
            "the reviewer's name"
        )


def _able(asks: ClaimRequest, columns: Any) -> list[ColumnElement[bool]]:
    filters = ((columns.language, asks.languages), (columns.skill, asks.skills))
    return [
        or_(column.is_(None), column.in_(sorted(values)))
        for column, values in filters
        if values is not None
    ]


def _golden(
    database: Database,
    connection: Connection,
    asks: ClaimRequest,
    mixer: Mixer,
    like: ReviewItem,
    slot: int,
) -> list[QueueEntry]:
    """A golden item that the reviewer has not seen, if there is one."""
    is_seen = exists().where(ITEMS.c.for_reviewer == asks.reviewer, _is_same(ITEMS.c, GOLDEN.c))
    query = select(GOLDEN).where(
        GOLDEN.c.system == asks.system,
        GOLDEN.c.policy_version == like.policy_version,
        ~is_seen,
        ~_decided_by(asks.reviewer, None, GOLDEN.c),
        *_able(asks, GOLDEN.c),
    )
    ordered = query.order_by(GOLDEN.c.id).limit(_GOLDEN_CHOICE)
    unseen = [GoldenItem(**row) for row in connection.execute(ordered).mappings()]
    if not unseen:
        return []
    item = mixer.item(unseen, like, asks.reviewer, slot)
    open_items(database, connection, [item], "queue", asks.now)
    return [QueueEntry(item, 0, None, None, None)]


def _lease(connection: Connection, asks: ClaimRequest, chosen: Sequence[QueueEntry]) -> None:
    until = asks.now + asks.lease
    leased = update(ITEMS).where(ITEMS.c.id.in_([chosen_item.item.id for chosen_item in chosen]))
    connection.execute(
        leased.values(
            token=ITEMS.c.token + 1,
            leased_by=asks.reviewer,
            leased_until=until,
            claim_id=asks.claim_id,
        )
    )
    after: dict[str, Json] = {"leased_by": asks.reviewer, "leased_until": until}
    entries: list[AuditEntry] = []
    for entry in chosen:
        before: dict[str, Json] | None = None
        if entry.leased_by is not None:
            before = {"leased_by": entry.leased_by, "leased_until": entry.leased_until}
            entries.append(audit_entry(entry.item, asks.now, "queue", "expired", before=before))
        claimed = audit_entry(
            entry.item, asks.now, asks.reviewer, "claimed",
            before=before, after=after, key_id=asks.key_id,
        )  # fmt: skip
        entries.append(claimed)
    append_entries(connection, entries)


def _claim_of(queue_item: QueueEntry, token: int, until: int) -> Claim:
    shared = {name: getattr(queue_item.item, name) for name in _CLAIM_FIELDS}
    return Claim(item_id=queue_item.item.id, token=token, leased_until=until, **shared)
