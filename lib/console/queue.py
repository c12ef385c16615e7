"""The queue of one system: how it stands, and the item that a reviewer has before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from lib.console.source import SystemSource
from lib.records.review import Claim, ReviewKey
from lib.records.review.claims import QueueEntry
from lib.records.review.statistics import QueueFigures

SKIP_US = 10 * 60_000_000
"""For so long nobody gets an item that was skipped, microseconds."""
_HOUR = 3_600_000_000
_OF_LEASE = ("item_id", "token", "leased_until")


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who decides.

    Attributes:
        name: of the person.
        key: under which they act.
        claim_id: names what they hold in this session, so that asking again gives the same item.
        skills: that they have; without `senior` they get no item that was escalated.
    """

    name: str
    key: ReviewKey
    claim_id: str
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeasedItem:
    """An item that a reviewer has before them, under the token of its lease."""

    item_id: str
    reviewer: Reviewer
    token: int

    @property
    def lease(self) -> tuple[str, str, int]:
        """Item, name of the reviewer and token, as the queue asks for them."""
        return self.item_id, self.reviewer.name, self.token


def read_figures(source: SystemSource, now: int) -> QueueFigures:
    """How the queue stands, with rates of the last hour; every open item is counted.

    Args:
        source: of the system.
        now: microseconds since 1970 UTC.
    """
    return source.records.compute_figures(now, _HOUR)


def claim_next(source: SystemSource, reviewer: Reviewer, lease_now: int | None) -> Claim | None:
    """Claim the most urgent item, or get the one again that the session still holds.

    Args:
        source: of the system.
        reviewer: who asks.
        lease_now: the clock of leases; None is the database's.

    Returns:
        None where nothing is left for the reviewer.
    """
    claims = source.queue.claim(
        reviewer.name, 1, lease_now,
        skills=reviewer.skills, key=reviewer.key, claim_id=reviewer.claim_id,
    )  # fmt: skip
    return claims[0] if claims else None


def take_item(
    source: SystemSource, reviewer: Reviewer, item_id: str, lease_now: int | None
) -> Claim:
    """Claim one item by its id, whatever its rank; see `ReviewStore.take`."""
    return source.queue.take(item_id, reviewer.name, lease_now, reviewer.key, reviewer.claim_id)


def decide_item(
    source: SystemSource, item: LeasedItem, verdicts: Mapping[str, bool], now: int, note: str | None
) -> None:
    """Decide an item; see `ReviewQueue.decide`."""
    source.queue.decide(*item.lease, verdicts, now, note=note, key=item.reviewer.key)


def undo_decision(source: SystemSource, item: LeasedItem, now: int, lease_now: int | None) -> Claim:
    """Take a decision back; the item is before the reviewer again. See `ReviewQueue.undo`."""
    source.queue.undo(*item.lease, now, lease_now=lease_now, key=item.reviewer.key)
    return _claim_of(source.records.find_item(item.item_id))


def renew_lease(source: SystemSource, item: LeasedItem, lease_now: int | None) -> None:
    """Hold an item for longer; see `ReviewStore.renew`."""
    lease_us, key = source.queue.settings.lease_us, item.reviewer.key
    source.records.renew(*item.lease, now=lease_now, lease=lease_us, key=key)


def release_item(source: SystemSource, item: LeasedItem, lease_now: int | None) -> None:
    """Give an item back undecided; see `ReviewStore.release`."""
    source.records.release(*item.lease, now=lease_now, key=item.reviewer.key)


def skip_item(source: SystemSource, item: LeasedItem, now: int, note: str | None) -> None:
    """Give an item back that nobody gets for ten minutes; see `ReviewStore.snooze`."""
    until, key = now + SKIP_US, item.reviewer.key
    source.records.snooze(*item.lease, until, now=now, note=note, key=key)


def escalate_item(
    source: SystemSource, item: LeasedItem, lease_now: int | None, note: str | None
) -> None:
    """Give an item to seniors; see `ReviewQueue.escalate`."""
    source.queue.escalate(*item.lease, lease_now, note=note, key=item.reviewer.key)


def _claim_of(entry: QueueEntry) -> Claim:
    names = (field.name for field in fields(Claim) if field.name not in _OF_LEASE)
    shared = {name: getattr(entry.item, name) for name in names}
    until = entry.leased_until or 0
    return Claim(item_id=entry.item.id, token=entry.token, leased_until=until, **shared)
