"""Decisions into the review queue, and outcomes out of it: beside requests, every few seconds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.guarded_call import GuardedCall
from lib.feature import StoreError
from lib.records import Decision, RecordsUnavailableError
from lib.records.review import Outcome, ReviewItem
from lib.review.policy import ReviewPolicy
from lib.review.queue import ReviewQueue
from serve.framework.decision import ServiceParts
from serve.framework.json_log import JsonLog
from serve.framework.problem import fault_fields

_AT_ONCE = 200
_BATCH_SECONDS = 10.0
Follow = Callable[[Outcome], Awaitable[None]]
"""Does what follows from an outcome; done again, it changes nothing."""


@dataclass(frozen=True, slots=True)
class AdmissionBatch:
    """What became of some decisions that waited for the queue.

    Attributes:
        size: how many decisions.
        admitted: new items.
        known: items that were in the queue.
        faults: why a decision could not become an item, for the log.
    """

    size: int
    admitted: int
    known: int
    faults: tuple[Mapping[str, Any], ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many decisions by what became of them."""
        left_out = self.size - self.admitted - self.known - len(self.faults)
        counts = {"admitted": self.admitted, "known": self.known, "left_out": left_out}
        return counts | {"failed": len(self.faults)}


class ReviewAdmission:
    """Puts stored decisions that people look at into the queue.

    Each of them waits from the transaction that stored it on. It is admitted, or known (its case is
    in the queue), or left out (it was erased, or an earlier decision stands), or failed (it cannot
    become an item; the log says where); the metric counts all four, and none waits any longer.

    A batch at a time is admitted, within ten seconds, in a thread that decisions do not use.

    Args:
        parts: of the application.
        queue: of the system.
        policy: what becomes an item.
        log: says what failed.
        threads: for calls of the database.
    """

    def __init__(
        self,
        parts: ServiceParts,
        queue: ReviewQueue,
        policy: ReviewPolicy,
        log: JsonLog,
        threads: BoundedExecutor,
    ) -> None:
        self._records, self._meter, self._log = parts.decision_store.records, parts.meter, log
        self._now, self._queue, self._policy = parts.clock.now, queue, policy
        self._threads = threads
        self._guard = GuardedCall("review queue", RecordsUnavailableError, _BATCH_SECONDS)
        self._counter = f"forewarn_{parts.system}_review_admissions"

    async def run_once(self) -> int:
        """Admits what waits; returns how many items are new. Nothing happens without records."""
        total = 0
        while True:
            try:
                batch = await self._guard.run(lambda: self._threads.run(self._admit))
            except RecordsUnavailableError:
                return total
            for outcome, count in batch.counts.items():
                self._meter.count(self._counter, outcome, amount=count)
            for fault in batch.faults:
                self._log.write("admission-failed", "error", **fault)
            total += batch.admitted
            if batch.size < _AT_ONCE:
                return total

    def _admit(self) -> AdmissionBatch:
        reviews = self._queue.reviews
        subjects = reviews.list_waiting(_AT_ONCE)
        if not subjects:
            return AdmissionBatch(0, 0, 0, ())
        items, faults = self._items(subjects)
        admitted = self._queue.admit(items, "routing")
        reviews.remove_waiting(subjects)
        return AdmissionBatch(len(subjects), admitted, len(items) - admitted, faults)

    def _items(
        self, subjects: Sequence[str]
    ) -> tuple[list[ReviewItem], tuple[Mapping[str, Any], ...]]:
        """The items of subjects, and why others failed to become one."""
        settings, items, faults = self._queue.settings, [], []
        for decision in self._records.list_decisions(self._policy.system, subjects):
            try:
                item = self._policy.item(decision, self._now(), settings)
            except Exception as error:  # whatever it was, the others are not held up by it
                faults.append(fault_fields(error))
                continue
            if item is not None:
                items.append(item)
        return items, tuple(faults)


class ReviewOutcomes:
    """Lets outcomes take effect once they can no longer be undone.

    An outcome counts as applied when `follow` is done, so a replica that ends in between leaves it
    to the next run. One that fails, or for which a store is away (`later`), holds up no other: it
    is counted and logged, the others go on, and it is tried again when they were all tried.

    Args:
        parts: of the application.
        queue: of the system.
        follow: does what follows.
        log: says what failed.
    """

    def __init__(
        self, parts: ServiceParts, queue: ReviewQueue, follow: Follow, log: JsonLog
    ) -> None:
        self._run, self._meter = parts.decision_store.run_blocking, parts.meter
        self._reviews, self._now = queue.reviews, parts.clock.now
        self._follow, self._log = follow, log
        self._counter = f"forewarn_{parts.system}_review_outcomes"
        self._last: Outcome | None = None

    async def run_once(self) -> int:
        """Applies what is settled; returns how many outcomes.

        Ends early where a store is away, and after a page of which nothing took effect; the next
        run goes on from there, and then with the oldest.
        """
        now, total, is_resumed = self._now(), 0, self._last is not None
        while True:
            page = partial(self._reviews.settle_outcomes, now, _AT_ONCE, self._last)
            try:
                outcomes = await self._run(page)
            except RecordsUnavailableError:
                return total
            applied = 0
            for self._last in outcomes:
                effect = await self._apply(self._last, now)
                if effect == "later":
                    return total + applied
                applied += effect == "applied"
            total += applied
            if len(outcomes) < _AT_ONCE:
                self._last = None
                if not is_resumed:
                    return total
                is_resumed = False
            elif not applied:
                return total

    async def _apply(self, outcome: Outcome, now: int) -> str:
        """Does what follows from an outcome; returns `applied`, `failed` or `later`."""
        effect = "applied"
        try:
            await self._follow(outcome)
            await self._run(partial(self._reviews.mark_applied, [outcome.case_id], now))
        except (RecordsUnavailableError, StoreError) as error:
            effect = "later"
            self._log.write("outcome-later", "warning", **fault_fields(error))
        except Exception as error:  # whatever it was, the others are not held up by it
            effect = "failed"
            self._log.write("outcome-failed", "error", **fault_fields(error))
        self._meter.count(self._counter, effect)
        return effect


def record_facts(
    policy: ReviewPolicy, parts: ServiceParts, then: Callable[[Decision], Awaitable[None]] | None
) -> Follow:
    """Stores the facts of an outcome, then does what else follows for the decision.

    An outcome of a decision that was erased has no facts.
    """
    store = parts.decision_store

    async def follow(outcome: Outcome) -> None:
        decision = await store.find(outcome.subject_id)
        if decision is None:
            return
        await store.record_labels(policy.facts(outcome, decision, parts.clock.now()))
        if then is not None:
            await then(decision)

    return follow
