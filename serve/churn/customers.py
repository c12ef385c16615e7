"""Profiles of customers: kept up to date happening by happening, and looked at."""

from __future__ import annotations

import pyarrow as pa

from lib.churn.base import CustomerBase
from lib.churn.features import churn_features
from lib.churn.profiles import OnlineCustomers, Sight, probe
from lib.feature import AsyncProfileStore, StoreError, events
from serve.gateway.guard import Guard


class Customers:
    """What is known of a base's customers.

    Args:
        base: vocabularies.
        store: where profiles are kept.
        timeout: seconds to wait for it.
        receipt_seconds: how long a row that is told again is recognised.
    """

    def __init__(
        self, base: CustomerBase, store: AsyncProfileStore, timeout: float, receipt_seconds: int
    ) -> None:
        self.base, self._store = base, store
        self._guard = Guard("profile store", StoreError, timeout)
        self._online = OnlineCustomers(base, receipt_seconds)
        self.digest = churn_features(base).digest

    @property
    def out(self) -> bool:
        """Whether the store failed the last times it was asked."""
        return self._guard.out

    async def tell(self, happened: pa.Table) -> int:
        """Lets happenings count, in their order; returns how many are new.

        Raises:
            StoreError: the store is out; the same can be told again.
        """
        new = 0
        for event in events(happened):
            request = self._online.request(event)
            reply = await self._guard.ask(lambda request=request: self._store.exchange(request))  # type: ignore[misc]
            new += reply.first
        return new

    async def look(self, customer_id: str, at_us: int, asked: str) -> Sight:
        """A customer as of a moment that is not before its newest happening.

        Args:
            customer_id: who.
            at_us: microseconds UTC.
            asked: names the request: one that is sent again sees what the first one saw.

        Raises:
            StoreError: the store is out.
        """
        event = probe(customer_id, at_us, asked)
        request = self._online.look(event)
        reply = await self._guard.ask(lambda: self._store.exchange(request))
        return self._online.read(event, reply)

    async def ping(self) -> None:
        """Returns if the store answers."""
        await self._guard.ping(self._store.ping)

    async def close(self) -> None:
        """Gives connections back."""
        await self._store.close()
