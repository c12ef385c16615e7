"""How one payment is decided: history, rules, model, policy, record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from operator import itemgetter

import numpy as np

from lib.feature import Event, FeatureSet, ReceiptConflictError, StoreError
from lib.fraud.amounts import AmountScale
from lib.records import Decision
from lib.records.text import write_json
from serve.fraud import numbers
from serve.fraud.answers import choose
from serve.fraud.considered import Considered
from serve.fraud.event import event_of, fingerprint, from_json, split_settled
from serve.fraud.history import History, Sight
from serve.fraud.model import Model, ModelUnavailableError, Opinion
from serve.fraud.schema import Payment
from serve.fraud.times import Times
from serve.gateway import Call, Meter, Problem
from serve.gateway.archive import Archive
from serve.gateway.rulings import Rulings
from serve.gateway.turns import Turns

_PAUSES = (0.01, 0.02, 0.04, 0.06, 0.07)


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
        scale: what an amount is.
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
        scale: AmountScale,
    ) -> None:
        self._digest, self._in_order = features.digest, itemgetter(*features.names)
        self._history, self._rulings = history, rulings
        self._model, self._archive, self._meter = model, archive, meter
        self._later, self._times, self._cap = later, times, cap
        self._scale = scale
        self._turns = Turns()

    async def score(self, payment: Payment, call: Call) -> bytes:
        """The answer as JSON: the first one for a retry, to the letter.

        Raises:
            Problem: 409 for another payment under a known id, 422 for a time that is too far ahead,
                or too old and unknown, 503 where decisions cannot be kept.
        """
        self._archive.require_room()
        async with self._turns.of(payment.transaction_id):
            return await self._score(payment, call)

    async def _score(self, payment: Payment, call: Call) -> bytes:
        laps = numbers.laps(self._meter)
        event = event_of(payment, self._scale)
        received_at = self._times.now()
        call.notes["transaction_id"] = payment.transaction_id
        if not self._times.in_time(event["event_time"], received_at):
            return await self._late(event, received_at, call)
        sight = await self._look(event, call)
        laps.lap("history")
        if not sight.first and sight.complete and sight.settled is None:
            sight = await self._settled_elsewhere(event, sight)
        if sight.settled is not None:
            return self._retry(sight.settled, sight.fingerprint, call)
        if not (sight.first and sight.complete):
            decision = await self._archive.find_here(payment.transaction_id)
            if decision is not None:
                return self._again(event, decision, call)
        return await self._decide(event, sight, received_at, call, laps)

    async def opinion(self, values: Mapping[str, float]) -> Opinion | None:
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
        self, event: Event, sight: Sight, received_at: int, call: Call, laps: numbers.Laps
    ) -> bytes:
        row = {**sight.values, **event}
        verdict = self._rulings.rules(sight.complete).evaluate(row, event["user_id"])
        laps.lap("rules")
        # asked even where a rule decides: what rules stop is learned from, too
        opinion = await self.opinion(sight.values) if sight.complete else None
        laps.lap("model")
        choice = choose(verdict, opinion, sight.complete, event["amount_minor"], self._cap)
        now = self._times.now()
        judgement = Considered(event, sight, verdict, opinion, choice, received_at, now)
        if choice.decision == "DECLINE" and sight.complete:
            await self._learn_decline(event)
        body = self._record(judgement, call)
        laps.lap("record")
        judgement.count(self._meter, call.notes)
        return body

    def _record(self, judgement: Considered, call: Call) -> bytes:
        """Keeps the decision and returns its answer."""
        answer = judgement.answer(call)
        body = write_json(answer)
        self._archive.keep(judgement.row(answer, self._rulings.version, self._digest))
        if judgement.sight.complete:
            receipt, settled = judgement.event["transaction_id"], judgement.sight.fingerprint + body
            self._later(lambda: self._history.settle(receipt, settled))
        return body

    async def _late(self, event: Event, now: int, call: Call) -> bytes:
        """The first answer to a payment that is too old but known."""
        decision = await self._archive.find_here(event["transaction_id"])
        if decision is None:
            raise self._times.too_late(event["event_time"], now)
        return self._again(event, decision, call)

    async def _settled_elsewhere(self, event: Event, sight: Sight) -> Sight:
        """The same once another replica has answered, or as it was if it does not within 0.2 s."""
        for pause in _PAUSES:
            if await self._archive.find_here(event["transaction_id"]) is not None:
                return sight
            await asyncio.sleep(pause)
            again = await self._history.look(event)
            if again.settled is not None:
                return again
        return sight

    async def _look(self, event: Event, call: Call) -> Sight:
        try:
            return await self._history.look(event)
        except ReceiptConflictError:
            self._count_retry("differs", call)
            raise

    def _retry(self, settled: bytes, content: bytes, call: Call) -> bytes:
        first, body = split_settled(settled)
        self._count_retry("same" if first == content else "differs", call)
        return body

    def _again(self, event: Event, decision: Decision, call: Call) -> bytes:
        same = fingerprint(from_json(decision.request)) == fingerprint(event)
        self._count_retry("recorded" if same else "differs", call)
        return write_json(decision.answer)

    def _count_retry(self, kind: str, call: Call) -> None:
        """Counts a retry.

        Raises:
            Problem: 409 for one that differs; nothing of the first payment is in it.
        """
        call.notes["retry"] = kind
        self._meter.count(numbers.RETRIES, kind)
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
