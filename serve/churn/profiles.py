"""Profiles of customers: kept up to date happening by happening, and looked at."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import pyarrow as pa

from lib.churn.features import churn_features
from lib.churn.profiles import CustomerFeatures, OnlineCustomers, probe
from lib.churn.vocabulary import CustomerVocabulary
from lib.concurrency.bounded_executor import SizedExecutor
from lib.concurrency.guarded_call import GuardedCall, GuardedRepository
from lib.feature import AsyncProfileStore, Event, ProfileReply, StoreError, events

_AT_A_TIME = 16
_LONG_ROWS, _LONG_AT_ONCE, _ROWS_AT_ONCE = 20, 2, 100


@dataclass(frozen=True)
class Tally:
    """What became of happenings.

    Attributes:
        new: how many were not known.
        contradicting: ids of those that were known with other content; the first ones stay.
    """

    new: int
    contradicting: tuple[str, ...]


class ProfileRepository(GuardedRepository[AsyncProfileStore]):
    """What is known of a base's customers.

    Args:
        base: vocabularies.
        store: where profiles are kept.
        timeout: seconds to wait for it.
        receipt_seconds: how long a row that is told again is recognised.
    """

    def __init__(
        self,
        base: CustomerVocabulary,
        store: AsyncProfileStore,
        timeout: float,
        receipt_seconds: int,
    ) -> None:
        self.base = base
        super().__init__(store, GuardedCall("profile store", StoreError, timeout))
        self._online = OnlineCustomers(base, receipt_seconds)
        self._reading = SizedExecutor("events", _LONG_AT_ONCE, _LONG_ROWS)
        self.digest = churn_features(base).digest

    async def record_events(self, happened: pa.Table) -> Tally:
        """Lets happenings count, those of a customer in their order, each once.

        Raises:
            StoreError: the store is out; the same can be told again.
        """
        waiting = await self._reading.run_sized(_by_customer, happened, happened.num_rows)
        new, contradicting = 0, list[tuple[int, str]]()

        async def count() -> None:
            nonlocal new
            while waiting:
                number, several = waiting.popleft()
                for event in several:
                    reply = await self._count(event)
                    new += reply.first
                    if not reply.same:
                        contradicting.append((number, str(event["event_id"])))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_A_TIME, len(waiting))):
                    group.create_task(count())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        contradicting.sort(key=lambda each: each[0])
        return Tally(new, tuple(name for _, name in contradicting))

    async def close(self) -> None:
        """Gives connections back, and ends the threads."""
        await super().close()
        self._reading.close()

    async def _count(self, event: Event) -> ProfileReply:
        request = self._online.request(event)
        return await self._guard.run(lambda: self._store.exchange(request))

    async def fetch(self, customer_id: str, at_us: int, request_id: str) -> CustomerFeatures:
        """A customer as of a moment that is not before its newest happening.

        Args:
            customer_id: who.
            at_us: microseconds UTC.
            request_id: names the request: one that is sent again sees what the first one saw.

        Raises:
            StoreError: the store is out.
        """
        event = probe(customer_id, at_us, request_id, self.base)
        request = self._online.look(event)
        reply = await self._guard.run(lambda: self._store.exchange(request))
        return self._online.read(event, reply)


def _by_customer(happened: pa.Table) -> deque[tuple[int, list[Event]]]:
    """The events of each customer, numbered; other threads run between batches."""
    by_customer: dict[str, list[Event]] = {}
    for start in range(0, happened.num_rows, _ROWS_AT_ONCE):
        for event in events(happened.slice(start, _ROWS_AT_ONCE)):
            by_customer.setdefault(event["customer_id"], []).append(event)
    return deque(enumerate(by_customer.values()))
