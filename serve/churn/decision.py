"""How one customer is judged: its profile, rules, model, record."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lib.churn.model.challenger import ContactSettings, pack_customer, score_of
from lib.churn.model.model import ChurnModel
from lib.churn.model.scores import score_customers
from lib.churn.profiles import CustomerFeatures
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.feature import StoreError
from lib.feature.attribute_codes import attribute_texts
from lib.records import Decision
from lib.rules import Verdict
from serve.churn.health_history import HealthHistory
from serve.churn.profiles import ProfileRepository
from serve.churn.schemas import HealthAnswer, ReasonAnswer, ScoreRequest, ScoreResponse
from serve.framework import Problem, RequestContext
from serve.framework.decision import Decider, ServiceParts, unavailable
from serve.framework.model_slot import ModelSlot
from serve.framework.trial import ChampionDecision, Trial
from serve.framework.validation import SECOND, to_datetime, to_micros

Row = Mapping[str, Any]
Scored = tuple[Row, ContactSettings]
"""A customer's score, and what is needed of its model."""

_AT_ONCE = 2


class CustomerScorer(Decider):
    """Judges customers.

    Args:
        parts: of the application.
        customers: profiles.
        model_slot: the model in force.
        health: history of scores.
    """

    def __init__(
        self,
        parts: ServiceParts,
        customers: ProfileRepository,
        model_slot: ModelSlot[ChurnModel],
        health: HealthHistory,
    ) -> None:
        super().__init__(parts, customers.digest)
        self._customers, self._model_slot, self._health = customers, model_slot, health
        self._scoring = BoundedExecutor("scores", _AT_ONCE)

    async def score(self, request: ScoreRequest, context: RequestContext) -> bytes:
        """The answer of a request.

        Raises:
            Problem: 404 for a customer of whom nothing was told, 422 for a time that is too far
                ahead or before the newest event, 503 where decisions cannot be kept.
        """
        self._decision_store.require_room()
        received = self._clock.now()
        at_us = self._clock.reject_future("at", request.at, received)
        features = await self._see(request.customer_id, at_us, context)
        values = {} if features is None else features.values
        rules = self._active_rules.current.select(features is not None)
        texts = attribute_texts(self._customers.base.attributes, values)
        row = {**values, **texts, "customer_id": request.customer_id}
        verdict = rules.evaluate(row, request.customer_id)
        trial, packed = self._begin_trial(features)
        champion = await self._champion_score(features)
        challenger = None if trial is None else await trial.decisive()
        scored, health = challenger or champion, None
        if scored is not None:
            about = {"customer_id": request.customer_id, "as_of": to_datetime(at_us)}
            health = await self._health.record({**scored[0], **about}, scored[1].version)
        decision, method, reason = decide(features, verdict, scored)
        answer = ScoreResponse(
            prediction_id=f"{request.customer_id}:{at_us}:{context.request_id}",
            customer_id=request.customer_id,
            at=to_datetime(at_us),
            decision=decision,  # type: ignore[arg-type]
            method=method,  # type: ignore[arg-type]
            reason=reason,
            rule_id=verdict.rule_id if decision == verdict.action else None,
            **_model_fields(scored, health),
            newest_event=None if features is None else _newest(features),
            model_version=None if scored is None else scored[1].version,
            rules_version=self._active_rules.current.version,
            latency_ms=context.latency_ms(),
            request_id=context.request_id,
        )
        columns = {"method": "rule"} if answer.method == "told" else {}
        self._record(
            context,
            answer.model_dump(mode="json"),
            verdict,
            values,
            "model" if features is not None else "store",
            subject_id=answer.prediction_id,
            entities={"customer_id": answer.customer_id},
            event_time=at_us,
            received_at=received,
            score=answer.chance,
            reasons=[reason.model_dump() for reason in answer.reasons],
            request={**texts, "customer_id": answer.customer_id, "at": answer.at.isoformat()},
            **columns,
        )
        if trial is not None:
            self._record_trial(trial, packed, features, verdict, champion, answer)
        return answer.model_dump_json().encode()

    async def _champion_score(self, features: CustomerFeatures | None) -> Scored | None:
        """What the champion says of a customer that models judge."""
        model = self._model_slot.current
        if features is None or model is None or features.standing.leaving:
            return None
        row = (await self._scoring.run(score_customers, model, [features])).to_pylist()[0]
        return row, ContactSettings.of(model)

    def _begin_trial(self, features: CustomerFeatures | None) -> tuple[Trial[Scored] | None, bytes]:
        """A trial of a customer that models judge, and its features as they are asked."""
        if features is None or features.standing.leaving:
            return None, b""
        trial = self._trial_of({"customer_id": features.customer_id}, score_of)
        if trial is None:
            return None, b""
        packed = pack_customer(features)
        trial.ask(packed)
        return trial, packed

    def _record_trial(
        self,
        trial: Trial[Scored],
        packed: bytes,
        features: CustomerFeatures | None,
        verdict: Verdict,
        champion: Scored | None,
        answer: ScoreResponse,
    ) -> None:
        decision = ChampionDecision(
            subject_id=answer.prediction_id,
            event_time=to_micros(answer.at),
            decided_at=self._clock.now(),
            version=None if champion is None else champion[1].version,
            decision=decide(features, verdict, champion)[0],
            score=None if champion is None else champion[0]["chance"],
            latency_ms=answer.latency_ms,
        )
        trial.record(decision, packed, lambda scored: decide(features, verdict, scored)[0])

    async def scores(
        self, names: Sequence[str], at_us: int, context: RequestContext
    ) -> tuple[pa.Table, dict[str, str]]:
        """Scores of several customers, and why others have none.

        Raises:
            Problem: 503 while model or store is out.
        """
        model = self._model_slot.current
        if model is None:
            text = "no model is loaded, so customers cannot be scored; try again later"
            raise Problem.unavailable(text, retry_after=5)
        customers: list[CustomerFeatures] = []
        left_out: dict[str, str] = {}
        for name in names:
            with unavailable("the customers' profiles are temporarily unavailable", StoreError):
                features = await self._customers.fetch(name, at_us, f"plan:{context.request_id}")
            if not features.known:
                left_out[name] = "no data of this customer are stored"
            elif features.standing.leaving:
                left_out[name] = "gave notice"
            elif (newest := features.standing.newest_us or 0) > at_us:
                left_out[name] = f"its newest event is later, {to_datetime(newest).isoformat()}"
            else:
                customers.append(features)
        table = await self._scoring.run(score_customers, model, customers)
        about = {"model_version": json.dumps(model.version)}
        return table.replace_schema_metadata(about), left_out

    async def rescore(self, decision: Decision) -> dict[str, Any] | None:
        """What the model says of a fallback's customer and time; None while a part is out."""
        model = self._model_slot.current
        if model is None:
            return None
        name = str(decision.entities["customer_id"])
        features = await self._seen_again(name, decision)
        if features is None:
            return None
        if not features.known:
            return {"decision": "MONITOR", "reason": "no data of this customer are stored"}
        row = (await self._scoring.run(score_customers, model, [features])).to_pylist()[0]
        health = await self._health.record(row, model.version)
        return {
            "decision": "CONTACT" if row["flagged"] else "MONITOR",
            "chance": row["chance"],
            "health": health.model_dump(),
            "reasons": json.loads(row["reasons"]),
            "model_version": model.version,
        }

    async def _seen_again(self, name: str, decision: Decision) -> CustomerFeatures | None:
        """The customer as it was seen, or, where nothing was, as it is since its newest event."""
        request_id = f"redo:{decision.request_id}"
        try:
            features = await self._customers.fetch(name, decision.event_time, request_id)
            newest = features.standing.newest_us or 0
            if newest > decision.event_time:
                features = await self._customers.fetch(name, newest + SECOND, f"{request_id}:later")
        except StoreError:
            return None
        if decision.features:
            return CustomerFeatures(name, decision.event_time, decision.features, features.standing)
        return features

    async def _see(self, name: str, at_us: int, context: RequestContext) -> CustomerFeatures | None:
        try:
            features = await self._customers.fetch(name, at_us, f"score:{context.request_id}")
        except StoreError:
            return None
        if not features.known:
            raise unknown_customer(name, features)
        newest = features.standing.newest_us or 0
        if at_us < newest // SECOND * SECOND:
            raise Problem.of_field(
                "at",
                f"expected {to_datetime(newest).isoformat()} or later, the newest event of this "
                f"customer, got {to_datetime(at_us).isoformat()}; older scores are in its history",
            )
        return features


def decide(
    features: CustomerFeatures | None, verdict: Verdict, scored: Scored | None
) -> tuple[str, str, str]:
    """Decision, method and reason: what was told, then rules, then the model."""
    if features is None:
        return "MONITOR", "fallback", "the customer's profile is temporarily unavailable"
    if features.standing.leaving:
        when = to_datetime(features.standing.noticed_us or 0).date()
        return "LEAVING", "told", f"gave notice on {when}"
    if verdict.action is not None:
        return verdict.action, "rule" if scored is not None else "fallback", verdict.reason
    if scored is None:
        return "MONITOR", "fallback", "the model is temporarily unavailable; no rule matched"
    row, model = scored
    share = f"leaves within {model.window_days} days with a probability of {row['chance']:.1%}"
    if row["flagged"]:
        return "CONTACT", "model", f"{share}, among the riskiest {model.capacity:.0%}"
    return "MONITOR", "model", f"{share}, below the contact threshold of {model.threshold:.1%}"


def unknown_customer(name: str, features: CustomerFeatures) -> Problem:
    """The 404 for a customer that nobody has introduced."""
    more = " (only its events are stored)" if features.standing.newest_us else ""
    return Problem(
        404,
        "unknown-customer",
        f"customer_id: customer {name!r} is unknown{more}; send its row of `customers` to "
        "/churn/events first",
    )


def _newest(features: CustomerFeatures) -> Any:
    newest = features.standing.newest_us
    return None if newest is None else to_datetime(newest)


def _model_fields(scored: Scored | None, health: HealthAnswer | None) -> dict[str, Any]:
    """The fields of an answer that are the model's."""
    if scored is None:
        names = ("chance", "window_days", "flagged", "health")
        return {**dict.fromkeys(names), "reasons": []}
    row, model = scored
    return {
        "chance": row["chance"],
        "window_days": model.window_days,
        "flagged": row["flagged"],
        "health": health,
        "reasons": [ReasonAnswer.model_validate(reason) for reason in json.loads(row["reasons"])],
    }
