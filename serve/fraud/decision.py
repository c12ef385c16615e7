"""How one payment is decided: history, rules, model, policy, record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from operator import itemgetter

import numpy as np

from lib.feature import Event, FeatureSet, ReceiptConflictError, StoreError
from lib.fraud.amounts import AmountScale
from lib.records import Decision
from lib.records.json_codec import write_json
from serve.framework import Metrics, Problem, RequestContext
from serve.framework.active_rules import ActiveRules
from serve.framework.background import BackgroundTasks
from serve.framework.decision_record import DecisionCounter
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
        profiles: profiles.
        active_rules: rules in force.
        model: where scores come from.
        decision_store: where decisions go.
        meter: counts and times.
        background: runs what may follow the answer.
        times: when a payment may come.
        cap: largest amount that a fallback approves before any model was seen, minor units.
        scale: what an amount is.
    """

    def __init__(
        self,
        features: FeatureSet,
        profiles: ProfileRepository,
        active_rules: ActiveRules,
        model: ScoreProvider,
        decision_store: DecisionStore,
        meter: Metrics,
        background: BackgroundTasks,
        times: EventTimePolicy,
        cap: float,
        scale: AmountScale,
    ) -> None:
        self._digest, self._in_order = features.digest, itemgetter(*features.names)
        self._profiles, self._active_rules = profiles, active_rules
        self._model, self._decision_store, self._meter = model, decision_store, meter
        self._background, self._times, self._cap = background, times, cap
        self._scale = scale
        self._counter = DecisionCounter(meter, metrics.SYSTEM)
        self._turns = KeyedLock()

    async def score(self, payment: Payment, context: RequestContext) -> bytes:
        """The answer as JSON: the first one for a retry, to the letter.

        Raises:
            Problem: 409 for another payment under a known id, 422 for a time that is too far ahead,
                or too old and unknown, 503 where decisions cannot be kept.
        """
        self._decision_store.require_room()
        async with self._turns.of(payment.transaction_id):
            return await self._score(payment, context)

    async def _score(self, payment: Payment, context: RequestContext) -> bytes:
        timer = metrics.stage_timer(self._meter)
        event = to_event(payment, self._scale)
        received_at = self._times.now()
        context.log_fields["transaction_id"] = payment.transaction_id
        if not self._times.accepts(event["event_time"], received_at):
            return await self._late(event, received_at, context)
        features = await self._look(event, context)
        timer.mark("history")
        if not features.is_first and features.is_complete and features.cached_response is None:
            features = await self._settled_elsewhere(event, features)
        if features.cached_response is not None:
            return self._retry(features.cached_response, features.fingerprint, context)
        if not (features.is_first and features.is_complete):
            decision = await self._decision_store.find_if_available(payment.transaction_id)
            if decision is not None:
                return self._again(event, decision, context)
        return await self._decide(event, features, received_at, context, timer)

    async def model_score(self, values: Mapping[str, float]) -> ModelScore | None:
        """What the model says of a payment's features; None while it is out."""
        row = np.array(self._in_order(values), dtype=np.float32)
        try:
            model_score = await self._model.score(row)
        except ModelUnavailableError:
            return None
        self._cap = model_score.fallback_amount_minor
        return model_score

    async def has_model(self) -> bool:
        """Whether a model answers."""
        try:
            return (await self._model.status())["version"] is not None
        except ModelUnavailableError:
            return False

    async def _decide(
        self,
        event: Event,
        features: FeatureVector,
        received_at: int,
        context: RequestContext,
        timer: metrics.StageTimer,
    ) -> bytes:
        row = {**features.values, **event}
        verdict = self._active_rules.rules(features.is_complete).evaluate(row, event["user_id"])
        timer.mark("rules")
        # asked even where a rule decides: what rules stop is learned from, too
        model_score = await self.model_score(features.values) if features.is_complete else None
        timer.mark("model")
        result = decide(
            verdict, model_score, features.is_complete, event["amount_minor"], self._cap
        )
        now = self._times.now()
        record = DecisionRecord(event, features, verdict, model_score, result, received_at, now)
        if result.decision == "DECLINE" and features.is_complete:
            await self._learn_decline(event)
        body = self._record(record, context)
        timer.mark("record")
        record.count(self._counter, self._meter, context.log_fields)
        return body

    def _record(self, record: DecisionRecord, context: RequestContext) -> bytes:
        """Keeps the decision and returns its answer."""
        answer = record.answer(context)
        body = write_json(answer)
        self._decision_store.append(record.row(answer, self._active_rules.version, self._digest))
        if record.features.is_complete:
            receipt, settled = record.event["transaction_id"], record.features.fingerprint + body
            self._background.submit(lambda: self._profiles.cache_response(receipt, settled))
        return body

    async def _late(self, event: Event, now: int, context: RequestContext) -> bytes:
        """The first answer to a payment that is too old but known."""
        decision = await self._decision_store.find_if_available(event["transaction_id"])
        if decision is None:
            raise self._times.rejection(event["event_time"], now)
        return self._again(event, decision, context)

    async def _settled_elsewhere(self, event: Event, features: FeatureVector) -> FeatureVector:
        """The same once another replica has answered, or as it was if it does not within 0.2 s."""
        for pause in _PAUSES:
            if await self._decision_store.find_if_available(event["transaction_id"]) is not None:
                return features
            await asyncio.sleep(pause)
            again = await self._profiles.fetch(event)
            if again.cached_response is not None:
                return again
        return features

    async def _look(self, event: Event, context: RequestContext) -> FeatureVector:
        try:
            return await self._profiles.fetch(event)
        except ReceiptConflictError:
            self._count_retry("differs", context)
            raise

    def _retry(self, settled: bytes, content: bytes, context: RequestContext) -> bytes:
        first, body = split_cached_response(settled)
        self._count_retry("same" if first == content else "differs", context)
        return body

    def _again(self, event: Event, decision: Decision, context: RequestContext) -> bytes:
        same = fingerprint(from_json(decision.request)) == fingerprint(event)
        self._count_retry("recorded" if same else "differs", context)
        return write_json(decision.answer)

    def _count_retry(self, kind: str, context: RequestContext) -> None:
        """Counts a retry.

        Raises:
            Problem: 409 for one that differs; nothing of the first payment is in it.
        """
        context.log_fields["retry"] = kind
        self._meter.count(metrics.RETRIES, kind)
        if kind == "differs":
            text = (
                "transaction_id: expected an id of its own for each payment, got one that was used "
                "with other fields; send a new id, or the first payment unchanged"
            )
            raise Problem(409, "conflict", text)

    async def _learn_decline(self, event: Event) -> None:
        try:
            await self._profiles.record_label(event, "declined", event["event_time"], True, 0)
        except StoreError:
            self._background.submit(
                lambda: self._profiles.record_label(event, "declined", event["event_time"], True, 0)
            )
