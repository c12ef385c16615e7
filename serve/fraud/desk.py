"""How one payment is decided: history, rules, model, policy, record."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.feature import Event, FeatureSet, StoreError
from lib.fraud.features import PAYMENT_METHODS
from lib.records import Decision
from lib.rules import Verdict
from serve.fraud import numbers
from serve.fraud.answers import Choice, choose
from serve.fraud.archive import SYSTEM, Archive
from serve.fraud.event import event_of, fingerprint, split_settled, to_json
from serve.fraud.history import History, Sight
from serve.fraud.model import Model, ModelUnavailableError, Opinion
from serve.fraud.rulings import Rulings
from serve.fraud.schema import Payment
from serve.gateway import Call, Meter, Problem

_SECOND = 1_000_000
_KNOWN_METHODS = frozenset(PAYMENT_METHODS)
_ENTITIES = ("user_id", "merchant_id", "device_id")


@dataclass(frozen=True, slots=True)
class Times:
    """When a payment may come.

    Attributes:
        window: microseconds within which a retry is recognised; older payments are refused.
        ahead: microseconds that a caller's clock may be ahead.
        now: microseconds since 1970 UTC.
    """

    window: int
    ahead: int
    now: Callable[[], int] = lambda: time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class _Considered:
    """One payment with all that its decision was made of."""

    event: Event
    sight: Sight
    verdict: Verdict
    opinion: Opinion | None
    choice: Choice
    received_at: int


class Desk:
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
    """

    def __init__(
        self,
        features: FeatureSet,
        history: History,
        rulings: Rulings,
        model: Model,
        archive: Archive,
        meter: Meter,
        later: Callable[[Callable[[], Awaitable[None]]], None],
        times: Times,
        cap: float,
    ) -> None:
        self._features, self._history, self._rulings = features, history, rulings
        self._model, self._archive, self._meter = model, archive, meter
        self._later, self._times, self._cap = later, times, cap

    async def score(self, payment: Payment, call: Call) -> bytes:
        """The answer as JSON: the first one for a retry, to the letter.

        Raises:
            Problem: 422 for a time that is too far ahead, or too old and unknown.
        """
        laps = numbers.Laps(self._meter)
        event = event_of(payment)
        received_at = self._times.now()
        call.notes["transaction_id"] = payment.transaction_id
        earlier = await self._too_late(event, received_at)
        if earlier is not None:
            return self._again(earlier, call)
        sight = await self._history.look(event)
        laps.lap("history")
        if sight.settled is not None:
            return self._retry(event, sight.settled, call)
        if not (sight.first and sight.complete):
            found = await self._archive.find_here(payment.transaction_id)
            if found is not None:
                return self._again(found, call)
        return await self._decide(event, sight, received_at, call, laps)

    async def opinion(self, values: Mapping[str, float]) -> Opinion | None:
        """What the model says of a payment's features; None while it is out."""
        row = np.array([values[name] for name in self._features.names], dtype=np.float32)
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
        self, event: Event, sight: Sight, received_at: int, call: Call, laps: numbers.Laps
    ) -> bytes:
        row = {**sight.values, **event}
        verdict = self._rulings.rules(sight.complete).evaluate(row, str(event["user_id"]))
        laps.lap("rules")
        # asked even where a rule decides: what rules stop is learned from, too
        opinion = await self.opinion(sight.values) if sight.complete else None
        laps.lap("model")
        amount = int(event["amount_minor"])
        choice = choose(verdict, opinion, sight.complete, amount, self._cap)
        made = _Considered(event, sight, verdict, opinion, choice, received_at)
        if choice.decision == "DECLINE" and sight.complete:
            await self._learn_decline(event)
        body = self._record(made, call)
        laps.lap("record")
        self._count(made, call)
        return body

    def _record(self, made: _Considered, call: Call) -> bytes:
        """Keeps the decision and returns its answer."""
        answer = _answer(made, call)
        body = json.dumps(answer).encode()
        self._archive.keep(self._decision(made, answer))
        if made.sight.complete:
            receipt, settled = str(made.event["transaction_id"]), fingerprint(made.event) + body
            self._later(lambda: self._history.settle(receipt, settled))
        return body

    async def _too_late(self, event: Event, now: int) -> Decision | None:
        """None for a payment in time; the first decision for one that is too old but known."""
        when = int(event["event_time"])
        if when > now + self._times.ahead:
            ahead = (when - now) // _SECOND
            raise Problem.of_field(
                "event_time",
                f"expected at most {self._times.ahead // _SECOND} seconds from now, got {ahead} "
                "seconds ahead; check the clock and the offset",
            )
        if when >= now - self._times.window:
            return None
        found = await self._archive.find_here(str(event["transaction_id"]))
        if found is None:
            raise Problem.of_field(
                "event_time",
                f"expected within the last {self._times.window // _SECOND} seconds, got "
                f"{(now - when) // _SECOND} seconds ago; import older payments with a job",
            )
        return found

    def _retry(self, event: Event, settled: bytes, call: Call) -> bytes:
        mark, body = split_settled(settled)
        same = mark == fingerprint(event)
        call.notes["retry"] = "same" if same else "differs"
        self._meter.count(numbers.RETRIES, call.notes["retry"])
        return body

    def _again(self, found: Decision, call: Call) -> bytes:
        call.notes["retry"] = "recorded"
        self._meter.count(numbers.RETRIES, "recorded")
        return json.dumps(found.answer).encode()

    async def _learn_decline(self, event: Event) -> None:
        try:
            await self._history.learn(event, "declined", event["event_time"], True, 0)
        except StoreError:
            self._later(
                lambda: self._history.learn(event, "declined", event["event_time"], True, 0)
            )

    def _decision(self, made: _Considered, answer: Mapping[str, Any]) -> Decision:
        event, opinion = made.event, made.opinion
        return Decision(
            system=SYSTEM,
            subject_id=event["transaction_id"],
            entities={name: event[name] for name in _ENTITIES},
            event_time=event["event_time"],
            received_at=made.received_at,
            decided_at=self._times.now(),
            decision=made.choice.decision,
            score=None if opinion is None else opinion.probability,
            method=made.choice.method,
            rule_id=answer["rule_id"],
            reasons=made.choice.reasons,
            rule_hits=made.verdict.hits,
            shadow_hits=made.verdict.shadow_hits,
            model_version=answer["model_version"],
            rules_version=self._rulings.version,
            feature_set_digest=self._features.digest,
            features=made.sight.values,
            request_id=answer["request_id"],
            latency_ms=answer["latency_ms"],
            answer=answer,
            request=to_json(event),
        )

    def _count(self, made: _Considered, call: Call) -> None:
        choice = made.choice
        self._meter.count(numbers.DECISIONS, choice.decision, choice.method)
        call.notes.update(decision=choice.decision, by=choice.method)
        if choice.method == "fallback":
            out = "model" if made.sight.complete else "history"
            self._meter.count(numbers.FALLBACKS, out)
            call.notes["out"] = out
        for rule in made.verdict.hits:
            self._meter.count(numbers.RULE_HITS, rule, "active")
        for rule in made.verdict.shadow_hits:
            self._meter.count(numbers.RULE_HITS, rule, "shadow")
        if made.event["payment_method"] not in _KNOWN_METHODS:
            self._meter.count(numbers.UNKNOWN_METHODS)
            call.notes["unknown_payment_method"] = True


def _answer(made: _Considered, call: Call) -> dict[str, Any]:
    """The body; see `ScoreAnswer`, which tests hold it to."""
    opinion, choice = made.opinion, made.choice
    decided_by_rule = made.verdict.action is not None
    return {
        "transaction_id": made.event["transaction_id"],
        "decision": choice.decision,
        "fraud_score": None if opinion is None else opinion.probability,
        "reason": choice.reason,
        "reasons": list(choice.reasons),
        "method": choice.method,
        "rule_id": made.verdict.rule_id if decided_by_rule else None,
        "model_version": None if opinion is None else opinion.model_version,
        "latency_ms": round((time.perf_counter() - call.started) * 1000.0, 3),
        "request_id": call.request_id,
    }
