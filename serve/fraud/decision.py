"""How one payment is decided: history, rules, model, policy, record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from operator import itemgetter

import numpy as np

from lib.feature import Event, FeatureSet, ReceiptConflictError, StoreError
from lib.fraud.amounts import AmountScale
from lib.records import Decision
from lib.records.json_codec import write_json
from serve.framework import Metrics, Problem, RequestContext
from serve.framework.active_rules import ActiveRules
from serve.framework.decision_store import DecisionStore
from serve.framework.keyed_lock import KeyedLock
from serve.fraud import metrics
from serve.fraud.decision_policy import decide
from serve.fraud.decision_record import DecisionRecord
from serve.fraud.event_time import EventTimePolicy
from serve.fraud.events import fingerprint, from_json, split_cached_response, to_event
from serve.fraud.model import ModelScore, ModelUnavailableError, ScoreProvider
from serve.fraud.profiles import FeatureVector, ProfileRepository
from serve.fraud.schemas import Payment

_PAUSES = (0.01, 0.02, 0.04, 0.06, 0.07)


class PaymentDecider:
    """Decides payments, one at a time, any number at once.

    Args:
        features: the declarations.
        history: profiles.
        rulings: rules in force.
        model: where opinions come from.
        archive: where decisions go.
        meter: counts and times.
        later: runs what may follow the answer.
        times: when a payment may come.
        cap: largest amount that a fallback approves before any model was seen, minor units.
        scale: what an amount is.
    """

    def __init__(
        self,
        features: FeatureSet,
        history: ProfileRepository,
        rulings: ActiveRules,
        model: ScoreProvider,
        archive: DecisionStore,
        meter: Metrics,
        later: Callable[[Callable[[], Awaitable[None]]], None],
        times: EventTimePolicy,
        cap: float,
        scale: AmountScale,
    ) -> None:
        self._digest, self._in_order = features.digest, itemgetter(*features.names)
        self._history, self._rulings = history, rulings
        self._model, self._archive, self._meter = model, archive, meter
        self._later, self._times, self._cap = later, times, cap
        self._scale = scale
        self._turns = KeyedLock()

    async def score(self, payment: Payment, call: RequestContext) -> bytes:
        """The answer as JSON: the first one for a retry, to the letter.

        Raises:
            Problem: 409 for another payment under a known id, 422 for a time that is too far ahead,
                or too old and unknown, 503 where decisions cannot be kept.
        """
        self._archive.require_room()
        async with self._turns.of(payment.transaction_id):
            return await self._score(payment, call)

    async def _score(self, payment: Payment, call: RequestContext) -> bytes:
        timer = metrics.stage_timer(self._meter)
        event = to_event(payment, self._scale)
        received_at = self._times.now()
        call.notes["transaction_id"] = payment.transaction_id
        if not self._times.in_time(event["event_time"], received_at):
            return await self._late(event, received_at, call)
        sight = await self._look(event, call)
        timer.mark("history")
        if not sight.first and sight.complete and sight.settled is None:
            sight = await self._settled_elsewhere(event, sight)
        if sight.settled is not None:
            return self._retry(sight.settled, sight.fingerprint, call)
        if not (sight.first and sight.complete):
            decision = await self._archive.find_here(payment.transaction_id)
            if decision is not None:
                return self._again(event, decision, call)
        return await self._decide(event, sight, received_at, call, timer)

    async def opinion(self, values: Mapping[str, float]) -> ModelScore | None:
        """What the model says of a payment's features; None while it is out."""
        row = np.array(self._in_order(values), dtype=np.float32)
        try:
            opinion = await self._model.opinion(row)
        except ModelUnavailableError:
            return None
        self._cap = opinion.fallback_amount_minor
        return opinion

    async def has_model(self) -> bool:
        """Whether a model answers."""
        try:
            return (await self._model.status())["version"] is not None
        except ModelUnavailableError:
            return False

    async def _decide(
        self,
        event: Event,
        sight: FeatureVector,
        received_at: int,
        call: RequestContext,
        timer: metrics.StageTimer,
    ) -> bytes:
        row = {**sight.values, **event}
        verdict = self._rulings.rules(sight.complete).evaluate(row, event["user_id"])
        timer.mark("rules")
        # asked even where a rule decides: what rules stop is learned from, too
        opinion = await self.opinion(sight.values) if sight.complete else None
        timer.mark("model")
        choice = decide(verdict, opinion, sight.complete, event["amount_minor"], self._cap)
        now = self._times.now()
        judgement = DecisionRecord(event, sight, verdict, opinion, choice, received_at, now)
        if choice.decision == "DECLINE" and sight.complete:
            await self._learn_decline(event)
        body = self._record(judgement, call)
        timer.mark("record")
        judgement.count(self._meter, call.notes)
        return body

    def _record(self, judgement: DecisionRecord, call: RequestContext) -> bytes:
        """Keeps the decision and returns its answer."""
        answer = judgement.answer(call)
        body = write_json(answer)
        self._archive.keep(judgement.row(answer, self._rulings.version, self._digest))
        if judgement.sight.complete:
            receipt, settled = judgement.event["transaction_id"], judgement.sight.fingerprint + body
            self._later(lambda: self._history.settle(receipt, settled))
        return body

    async def _late(self, event: Event, now: int, call: RequestContext) -> bytes:
        """The first answer to a payment that is too old but known."""
        decision = await self._archive.find_here(event["transaction_id"])
        if decision is None:
            raise self._times.too_late(event["event_time"], now)
        return self._again(event, decision, call)

    async def _settled_elsewhere(self, event: Event, sight: FeatureVector) -> FeatureVector:
        """The same once another replica has answered, or as it was if it does not within 0.2 s."""
        for pause in _PAUSES:
            if await self._archive.find_here(event["transaction_id"]) is not None:
                return sight
            await asyncio.sleep(pause)
            again = await self._history.look(event)
            if again.settled is not None:
                return again
        return sight

    async def _look(self, event: Event, call: RequestContext) -> FeatureVector:
        try:
            return await self._history.look(event)
        except ReceiptConflictError:
            self._count_retry("differs", call)
            raise

    def _retry(self, settled: bytes, content: bytes, call: RequestContext) -> bytes:
        first, body = split_cached_response(settled)
        self._count_retry("same" if first == content else "differs", call)
        return body

    def _again(self, event: Event, decision: Decision, call: RequestContext) -> bytes:
        same = fingerprint(from_json(decision.request)) == fingerprint(event)
        self._count_retry("recorded" if same else "differs", call)
        return write_json(decision.answer)

    def _count_retry(self, kind: str, call: RequestContext) -> None:
        """Counts a retry.

        Raises:
            Problem: 409 for one that differs; nothing of the first payment is in it.
        """
        call.notes["retry"] = kind
        self._meter.count(metrics.RETRIES, kind)
        if kind == "differs":
            text = (
                "transaction_id: expected an id of its own for each payment, got one that was used "
                "with other fields; send a new id, or the first payment unchanged"
            )
            raise Problem(409, "conflict", text)

    async def _learn_decline(self, event: Event) -> None:
        try:
            await self._history.learn(event, "declined", event["event_time"], True, 0)
        except StoreError:
            self._later(
                lambda: self._history.learn(event, "declined", event["event_time"], True, 0)
            )
