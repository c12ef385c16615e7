"""How one payment is decided: history, rules, model, policy, record."""

import itertools
import time
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from lib.concurrency.keyed_lock import KeyedLock
from lib.feature import Event, ReceiptConflictError, StoreError
from lib.fraud.decision_policy import DecisionResult, decide
from lib.fraud.features import PAYMENT_METHODS
from lib.fraud.model.challenger import pack_features, score_of
from lib.fraud.model.inputs import as_inputs
from lib.fraud.model.scoring import ModelScore
from lib.fraud.payment_event import PaymentEventCodec, split_cached_response
from lib.fraud.payment_features import PaymentFeatures
from lib.records import Decision
from lib.records.json_codec import write_json
from lib.rules import Verdict
from serve.framework import Metrics, Problem, RequestContext
from serve.framework.decision import Decider, ServiceParts
from serve.framework.json_log import TIMED_ONE_IN
from serve.framework.profiles import FeatureVector, ProfileRepository
from serve.framework.trial import ChampionDecision, Trial
from serve.framework.validation import SECOND
from serve.fraud import metrics
from serve.fraud.model import ModelUnavailableError, ScoreProvider
from serve.fraud.schemas import Payment, to_event

_KNOWN_METHODS = frozenset(PAYMENT_METHODS)


class StageTimer:
    """Times the stages of one request."""

    __slots__ = ("_last", "_meter")

    def __init__(self, meter: Metrics | None) -> None:
        self._meter = meter
        self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        """Ends a stage; the next one begins."""
        if self._meter is not None:
            now = time.perf_counter()
            self._meter.observe(metrics.STAGE, (now - self._last) * 1000.0, stage)
            self._last = now


_NOT_TIMED = StageTimer(None)
_turns = itertools.cycle(range(TIMED_ONE_IN))


def stage_timer(meter: Metrics) -> StageTimer:
    """The watch of one request; one in `TIMED_ONE_IN` has a real one, as timing has its price."""
    return StageTimer(meter) if next(_turns) == 0 else _NOT_TIMED


class PaymentDecider(Decider):
    """Decides payments, one at a time, any number at once.

    Args:
        parts: of the application.
        features: of the payments.
        profiles: profiles.
        model: where scores come from.
        cap: largest amount that a fallback approves before any model was seen, minor units.

    Attributes:
        codec: of the events.
    """

    def __init__(
        self,
        parts: ServiceParts,
        features: PaymentFeatures,
        profiles: ProfileRepository,
        model: ScoreProvider,
        cap: float,
    ) -> None:
        super().__init__(parts, features.feature_set.digest)
        self._in_order = itemgetter(*features.names)
        self._profiles, self._model, self._cap = profiles, model, cap
        self._scale, self._attributes = features.scale, features.attributes
        self.codec = PaymentEventCodec(features.attributes)
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
        timer = stage_timer(self._meter)
        event = to_event(payment, self._scale, self._attributes)
        received_at = self._clock.now()
        context.log_fields["transaction_id"] = payment.transaction_id
        if not self._clock.is_in_time(event["event_time"], received_at):
            return await self._late(event, received_at, context)
        features = await self._look(event, context)
        timer.mark("history")
        if not features.is_first and features.is_complete and features.cached_response is None:
            features = await self._profiles.fetch_response(
                event, features, lambda: self._is_recorded(payment.transaction_id)
            )
        if features.cached_response is not None:
            return self._retry(features.cached_response, features.fingerprint, context)
        if not (features.is_first and features.is_complete):
            decision = await self._decision_store.find_if_available(payment.transaction_id)
            if decision is not None:
                return self._again(event, decision, context)
        return await self._decide(event, features, received_at, context, timer)

    async def model_score(self, values: Mapping[str, float]) -> ModelScore | None:
        """What the model says of a payment's features; None while it is out."""
        row = as_inputs(self._in_order(values))
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
        timer: StageTimer,
    ) -> bytes:
        row = {**features.values, **event}
        verdict = self._active_rules.current.select(features.is_complete).evaluate(
            row, event["user_id"]
        )
        timer.mark("rules")

        def decided(model_score: ModelScore | None) -> DecisionResult:
            amount, cap = event["amount_minor"], self._cap
            return decide(verdict, model_score, features.is_complete, amount, cap)

        trial, packed = self._begin_trial(event, features)
        # asked even where a rule decides: what rules stop is learned from, too
        champion = await self.model_score(features.values) if features.is_complete else None
        challenger = None if trial is None else await trial.decisive()
        model_score = challenger or champion
        timer.mark("model")
        result = decided(model_score)
        if result.decision == "DECLINE" and features.is_complete:
            await self._learn_decline(event)
        answer = _answer(event, verdict, model_score, result, context)
        body = write_json(answer)
        self._record(
            context,
            answer,
            verdict,
            features.values,
            "model" if features.is_complete else "history",
            subject_id=event["transaction_id"],
            entities={name: event[name] for name in ("user_id", "merchant_id", "device_id")},
            event_time=event["event_time"],
            received_at=received_at,
            score=answer["fraud_score"],
            reasons=answer["reasons"],
            request=self.codec.to_json(event),
        )
        if features.is_complete:
            receipt, settled = event["transaction_id"], features.fingerprint + body
            self._background.submit(lambda: self._profiles.cache_response(receipt, settled))
        if trial is not None:
            self._record_trial(trial, packed, event, champion, decided, answer["latency_ms"])
        timer.mark("record")
        if event["payment_method"] not in _KNOWN_METHODS:
            self._meter.count(metrics.UNKNOWN_METHODS)
            context.log_fields["unknown_payment_method"] = True
        self._count_attributes(event)
        return body

    def _count_attributes(self, event: Event) -> None:
        """Counts attributes that the payment lacks, and values that the model never saw."""
        for attribute in self._attributes:
            value = event[attribute.name]
            if value is None or value != value:  # noqa: PLR0124
                self._meter.count(metrics.ATTRIBUTES, attribute.name, "missing")
            elif attribute.encoding == "code" and value not in attribute.vocabulary:
                self._meter.count(metrics.ATTRIBUTES, attribute.name, "unknown")

    def _begin_trial(
        self, event: Event, features: FeatureVector
    ) -> tuple[Trial[ModelScore] | None, bytes]:
        """A trial of a payment whose features are complete, and the payment as it is asked."""
        trial = self._trial_of(event, score_of) if features.is_complete else None
        if trial is None:
            return None, b""
        packed = pack_features(as_inputs(self._in_order(features.values)))
        trial.ask(packed)
        return trial, packed

    def _record_trial(
        self,
        trial: Trial[ModelScore],
        packed: bytes,
        event: Event,
        champion: ModelScore | None,
        decided: Callable[[ModelScore | None], DecisionResult],
        latency_ms: float,
    ) -> None:
        decision = ChampionDecision(
            subject_id=event["transaction_id"],
            event_time=event["event_time"],
            decided_at=self._clock.now(),
            version=None if champion is None else champion.model_version,
            decision=decided(champion).decision,
            score=None if champion is None else champion.probability,
            latency_ms=latency_ms,
        )
        trial.record(decision, packed, lambda score: decided(score).decision)

    async def _late(self, event: Event, now: int, context: RequestContext) -> bytes:
        """The first answer to a payment that is too old but known."""
        decision = await self._decision_store.find_if_available(event["transaction_id"])
        if decision is None:
            raise Problem.of_field(
                "event_time",
                f"expected within the last {self._clock.window // SECOND} seconds, got "
                f"{(now - event['event_time']) // SECOND} seconds ago; import older payments with "
                "a job",
            )
        return self._again(event, decision, context)

    async def _is_recorded(self, transaction_id: str) -> bool:
        return await self._decision_store.find_if_available(transaction_id) is not None

    async def _look(self, event: Event, context: RequestContext) -> FeatureVector:
        try:
            return await self._profiles.fetch(event, self.codec.fingerprint(event))
        except ReceiptConflictError:
            self._count_retry("differs", context)
            raise

    def _retry(self, settled: bytes, content: bytes, context: RequestContext) -> bytes:
        first, body = split_cached_response(settled)
        self._count_retry("same" if first == content else "differs", context)
        return body

    def _again(self, event: Event, decision: Decision, context: RequestContext) -> bytes:
        stored = self.codec.from_json(decision.request)
        same = self.codec.fingerprint(stored) == self.codec.fingerprint(event)
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
            raise Problem.conflict(text)

    async def _learn_decline(self, event: Event) -> None:
        try:
            await self._profiles.record_label(event, "declined", event["event_time"], True, 0)
        except StoreError:
            self._background.submit(
                lambda: self._profiles.record_label(event, "declined", event["event_time"], True, 0)
            )


def _answer(
    event: Event,
    verdict: Verdict,
    model_score: ModelScore | None,
    result: DecisionResult,
    context: RequestContext,
) -> dict[str, Any]:
    """The body; see `ScoreResponse`, which tests hold it to."""
    return {
        "transaction_id": event["transaction_id"],
        "decision": result.decision,
        "fraud_score": None if model_score is None else model_score.probability,
        "reason": result.reason,
        "reasons": list(result.reasons),
        "method": result.method,
        "rule_id": None if verdict.action is None else verdict.rule_id,
        "model_version": None if model_score is None else model_score.model_version,
        "latency_ms": context.latency_ms(),
        "request_id": context.request_id,
    }
