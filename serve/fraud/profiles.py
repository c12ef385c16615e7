"""What is known of a payment's customer, merchant and device, or what can be known without it."""

from __future__ import annotations

from collections.abc import Mapping
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
    ProfileRequest,
    StoreError,
)
from lib.fraud.payment_event import fingerprint


@dataclass(frozen=True, slots=True)
class FeatureVector:
    """What one look found.

    Attributes:
        values: features by name, NaN where missing; without the store only those of the payment.
        is_complete: whether the store answered.
        is_first: False for a payment that was seen before.
        cached_response: what was settled for it, if it was; then `values` is empty.
        fingerprint: of the payment.
    """

    values: Mapping[str, float]
    is_complete: bool = True
    is_first: bool = True
    cached_response: bytes | None = None
    fingerprint: bytes = b""


class ProfileRepository(GuardedRepository[AsyncProfileStore]):
    """Reads and updates profiles, one exchange per payment, and survives a store that is out.

    Args:
        features: the declarations.
        store: where profiles are kept.
        receipt_seconds: how long a retry is recognised.
        timeout: seconds to wait for the store.
    """

    def __init__(
        self,
        features: FeatureSet,
        store: AsyncProfileStore,
        receipt_seconds: int,
        timeout: float,
    ) -> None:
        self._online = OnlineFeatures(features, receipt_seconds, legacy_receipts=False)
        self._receipt_seconds = receipt_seconds
        super().__init__(store, GuardedCall("profile store", StoreError, timeout))
        self._without_store = known_without_store(features)

    async def fetch(self, event: Event) -> FeatureVector:
        """The payment's features as they were before it; the payment counts from then on.

        Raises:
            ReceiptConflictError: the id is that of another payment.
        """
        try:
            return await self.record_event(event)
        except StoreError:
            return self._fetch_without_store(event)

    async def record_event(self, event: Event) -> FeatureVector:
        """The same, for those who can wait.

        Raises:
            StoreError: the store is out.
            ReceiptConflictError: the id is that of another payment.
        """
        content = fingerprint(event)
        request = self._online.request(event, content)
        reply = await self._guard.run(lambda: self._store.exchange(request))
        observation = self._online.read(event, reply)
        return FeatureVector(
            observation.values, True, observation.first, observation.answer, content
        )

    async def record_label(
        self, event: Event, fact: str, at: int, is_known: bool, revision: int
    ) -> None:
        """Lets a fact about an earlier payment, known since `at`, count; each revision once.

        Raises:
            StoreError: the store is out.
        """
        request: ProfileRequest = self._online.learn(event, fact, at, is_known, revision)
        await self._guard.run(lambda: self._store.exchange(request))

    async def cache_response(self, transaction_id: str, settled: bytes) -> None:
        """Keeps what retries get.

        Raises:
            StoreError: the store is out.
        """
        receipt = self._online.receipt(transaction_id)
        await self._guard.run(lambda: self._store.settle(receipt, settled, self._receipt_seconds))

    def _fetch_without_store(self, event: Event) -> FeatureVector:
        values = self._online.unseen(event)
        known = {name: value for name, value in values.items() if name in self._without_store}
        return FeatureVector(known, is_complete=False)


def known_without_store(features: FeatureSet) -> frozenset[str]:
    """Names of the features that the payment alone decides."""
    known_names: set[str] = set()
    for feature in features.features:
        if isinstance(feature, Direct | Category) or (
            isinstance(feature, Derived) and set(feature.inputs) <= known_names
        ):
            known_names.add(feature.name)
    return frozenset(known_names & set(features.names))
