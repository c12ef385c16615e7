"""What a profile store keeps of an event's entities, or what can be known without it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from lib.concurrency.guarded_call import GuardedCall, GuardedRepository
from lib.feature import (
    AsyncProfileStore,
    Category,
    Derived,
    Direct,
    Event,
    FeatureSet,
    OnlineFeatures,
    StoreError,
)

_PAUSES = (0.01, 0.02, 0.04, 0.06, 0.07)


@dataclass(frozen=True, slots=True)
class FeatureVector:
    """Features of an event.

    Attributes:
        values: features by name, NaN where missing; without the store only those of the event.
        is_complete: whether the store answered.
        is_first: False for an event that was received before.
        cached_response: of the first request, if it was cached; then `values` is empty.
        fingerprint: of the event.
    """

    values: Mapping[str, float]
    is_complete: bool = True
    is_first: bool = True
    cached_response: bytes | None = None
    fingerprint: bytes = b""


class ProfileRepository(GuardedRepository[AsyncProfileStore]):
    """Reads and updates profiles, one exchange per event, and survives a store that is out.

    Args:
        features: the declarations.
        store: where profiles are kept.
        receipt_seconds: how long a retry is recognised.
        timeout: seconds to wait for the store.
        legacy_receipts: whether receipts that older versions wrote are read.
    """

    def __init__(
        self,
        features: FeatureSet,
        store: AsyncProfileStore,
        receipt_seconds: int,
        timeout: float,
        legacy_receipts: bool = False,
    ) -> None:
        self._online = OnlineFeatures(features, receipt_seconds, legacy_receipts=legacy_receipts)
        self._receipt_seconds = receipt_seconds
        super().__init__(store, GuardedCall("profile store", StoreError, timeout, store.keeps_time))
        self._without_store = known_without_store(features)

    async def fetch(self, event: Event, fingerprint: bytes) -> FeatureVector:
        """An event's features as they were before it; the event counts from then on.

        Args:
            event: that counts, once.
            fingerprint: tells it from another event under its id.

        Raises:
            ReceiptConflictError: the id is that of another event.
        """
        try:
            return await self.record_event(event, fingerprint)
        except StoreError:
            values = self._online.unseen(event)
            known = {name: value for name, value in values.items() if name in self._without_store}
            return FeatureVector(known, is_complete=False)

    async def fetch_response(
        self, event: Event, features: FeatureVector, is_recorded: Callable[[], Awaitable[bool]]
    ) -> FeatureVector:
        """Features of a retry that overtook the first request, once another replica has answered.

        As they were, if the decision is recorded or no answer comes within 0.2 s.
        """
        for pause in _PAUSES:
            if await is_recorded():
                return features
            await asyncio.sleep(pause)
            again = await self.fetch(event, features.fingerprint)
            if again.cached_response is not None:
                return again
        return features

    async def record_event(self, event: Event, fingerprint: bytes) -> FeatureVector:
        """As `fetch`, for those who can wait.

        Raises:
            StoreError: the store is out.
            ReceiptConflictError: the id is that of another event.
        """
        request = self._online.request(event, fingerprint)
        reply = await self._guard.run(lambda: self._store.exchange(request))
        observation = self._online.read(event, reply)
        return FeatureVector(
            observation.values, True, observation.first, observation.answer, fingerprint
        )

    async def record_label(
        self, event: Event, fact: str, at: int, is_known: bool, revision: int
    ) -> None:
        """Lets a fact about an earlier event count.

        Args:
            event: what it is about.
            fact: its name.
            at: when it became known, microseconds UTC.
            is_known: False withdraws it.
            revision: number of the statement about this event; each counts once.

        Raises:
            StoreError: the store is out.
        """
        request = self._online.learn(event, fact, at, is_known, revision)
        await self._guard.run(lambda: self._store.exchange(request))

    async def cache_response(self, event_id: str, response: bytes) -> None:
        """Keeps what retries get.

        Raises:
            StoreError: the store is out.
        """
        receipt = self._online.receipt(event_id)
        await self._guard.run(lambda: self._store.settle(receipt, response, self._receipt_seconds))


def known_without_store(features: FeatureSet) -> frozenset[str]:
    """Names of the features that an event alone decides."""
    known_names: set[str] = set()
    for feature in features.features:
        if isinstance(feature, Direct | Category) or (
            isinstance(feature, Derived) and set(feature.inputs) <= known_names
        ):
            known_names.add(feature.name)
    return frozenset(known_names & set(features.names))
