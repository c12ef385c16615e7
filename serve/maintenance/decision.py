"""How one machine is judged: its past, rules, model, record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.feature.attribute_codes import attribute_texts
from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.features import evaluate
from lib.maintenance.history import Floats, History
from lib.maintenance.machine_store import MachineStoreError
from lib.maintenance.model.challenger import (
    AlarmSettings,
    pack_features,
    prediction_of,
    week_risk,
)
from lib.maintenance.model.model import SurvivalModel
from lib.maintenance.model.prediction import Driver, Prediction, driver_words
from lib.records import Decision
from lib.rules import Verdict
from serve.framework import Problem, RequestContext
from serve.framework.decision import Decider, ServiceParts
from serve.framework.model_slot import ModelSlot
from serve.framework.trial import ChampionDecision, Trial
from serve.framework.validation import to_datetime
from serve.maintenance.machine_states import MachineStates, sensor_faults
from serve.maintenance.schemas import (
    CurvePoint,
    DriverAnswer,
    PredictRequest,
    PredictResponse,
    SensorFault,
)

Features = Mapping[str, float]
Scored = tuple[Prediction, AlarmSettings]
"""A prediction, and what is needed of its model."""

_SHOWN_DRIVERS = 5
_AT_ONCE = 2


@dataclass(frozen=True)
class FeatureVector:
    """What a prediction is made of.

    Attributes:
        machine_id, at_us: what is asked.
        past: what is known; None while the store is out.
        values: features by name; empty while the store is out.
        faults: of sensors.
    """

    machine_id: str
    at_us: int
    past: History | None
    values: Features
    faults: list[SensorFault]


class MachinePredictor(Decider):
    """Judges machines.

    Args:
        parts: of the application.
        machines: what is known.
        model_slot: the model in force.
    """

    def __init__(
        self, parts: ServiceParts, machines: MachineStates, model_slot: ModelSlot[SurvivalModel]
    ) -> None:
        super().__init__(parts, machines.features.digest)
        self._machines, self._model_slot = machines, model_slot
        self._predicting = BoundedExecutor("predictions", _AT_ONCE)

    async def predict(self, request: PredictRequest, context: RequestContext) -> bytes:
        """The answer of a request.

        Raises:
            Problem: 404 for a machine of which nothing was told, 422 for a time that is too far
                ahead or before the last reading, 503 where decisions cannot be kept.
        """
        self._decision_store.require_room()
        context.log_fields["machine_id"] = request.machine_id
        received = self._clock.now()
        observation = await self._see(request, received)
        rules = self._active_rules.current.select(observation.past is not None)
        texts = attribute_texts(self._machines.features.attributes, observation.values)
        machine_id = observation.machine_id
        verdict = rules.evaluate(
            {**observation.values, **texts, "machine_id": machine_id}, machine_id
        )
        model = self._model_slot.current if observation.past is not None else None
        trial, packed = self._begin_trial(observation)
        champion: Scored | None = None
        if model is not None:
            prediction = await self._predicting.run(self.predict_row, model, observation.values)
            champion = prediction, AlarmSettings.of(model)
        challenger = None if trial is None else await trial.decisive()
        answer = self._answer(observation, verdict, challenger or champion, context)
        body = answer.model_dump_json().encode()
        self._record(
            context,
            answer.model_dump(mode="json"),
            verdict,
            observation.values,
            "model" if observation.past is not None else "store",
            subject_id=answer.prediction_id,
            entities={"machine_id": observation.machine_id},
            event_time=observation.at_us,
            received_at=received,
            score=None if answer.failure_within is None else answer.failure_within["7d"],
            reasons=[driver.model_dump() for driver in answer.drivers],
            request={**texts, "machine_id": machine_id, "at": answer.at.isoformat()},
        )
        if trial is not None:
            self._record_trial(trial, packed, observation, verdict, champion, answer)
        self._background.submit(
            lambda: self._machines.save_prediction(observation.machine_id, body)
        )
        return body

    def _begin_trial(self, observation: FeatureVector) -> tuple[Trial[Scored] | None, bytes]:
        """A trial of a machine whose past is known, and its features as they are asked."""
        entities = {"machine_id": observation.machine_id}
        known = observation.past is not None
        trial = self._trial_of(entities, prediction_of) if known else None
        if trial is None:
            return None, b""
        names = self._machines.features.names
        packed = pack_features(np.array([observation.values[name] for name in names]))
        trial.ask(packed)
        return trial, packed

    def _record_trial(
        self,
        trial: Trial[Scored],
        packed: bytes,
        observation: FeatureVector,
        verdict: Verdict,
        champion: Scored | None,
        answer: PredictResponse,
    ) -> None:
        known = observation.past is not None
        decision = ChampionDecision(
            subject_id=answer.prediction_id,
            event_time=observation.at_us,
            decided_at=self._clock.now(),
            version=None if champion is None else champion[1].version,
            decision=decide(verdict, champion, known)[0],
            score=None if champion is None else week_risk(champion[0]),
            latency_ms=answer.latency_ms,
        )
        trial.record(decision, packed, lambda scored: decide(verdict, scored, known)[0])

    def predict_row(self, model: SurvivalModel, values: Features) -> Prediction:
        """What the model says of features by name."""
        row = np.array([[values[name] for name in model.features.names]], dtype=np.float64)
        return model.predict(row)[0]

    async def _see(self, request: PredictRequest, now: int) -> FeatureVector:
        at = self._clock.reject_future("at", request.at, now)
        try:
            past = await self._machines.get(request.machine_id)
        except MachineStoreError:
            return FeatureVector(request.machine_id, at, None, {}, [])
        if past is None:
            raise unknown_machine(request.machine_id)
        if len(past.times_us) and at < int(past.times_us[-1]):
            raise Problem.of_field(
                "at",
                f"expected {to_datetime(int(past.times_us[-1])).isoformat()} or later, the last "
                f"reading of this machine, got {to_datetime(at).isoformat()}; older predictions "
                "are in the records",
            )
        return await self._predicting.run(self._vector, past, at)

    def _vector(self, past: History, at_us: int) -> FeatureVector:
        faults = sensor_faults(self._machines.features, past)
        return FeatureVector(past.machine_id, at_us, past, self._values(past, at_us), faults)

    def _values(self, past: History, at_us: int) -> Features:
        features = self._machines.features
        row: Floats = evaluate(features, past, [at_us])[0]
        return dict(zip(features.names, row.tolist(), strict=True))

    def _answer(
        self,
        observation: FeatureVector,
        verdict: Verdict,
        scored: Scored | None,
        context: RequestContext,
    ) -> PredictResponse:
        decision, method, reason = decide(verdict, scored, observation.past is not None)
        last = (
            None
            if observation.past is None or not len(observation.past.times_us)
            else observation.past.times_us[-1]
        )
        return PredictResponse(
            prediction_id=f"{observation.machine_id}:{observation.at_us}:{context.request_id}",
            machine_id=observation.machine_id,
            at=to_datetime(observation.at_us),
            decision=decision,  # type: ignore[arg-type]
            method=method,  # type: ignore[arg-type]
            reason=reason,
            rule_id=None if verdict.action is None else verdict.rule_id,
            **_model_fields(self._machines.features, None if scored is None else scored[0]),
            sensor_faults=observation.faults,
            last_reading=None if last is None else to_datetime(int(last)),
            model_version=None if scored is None else scored[1].version,
            rules_version=self._active_rules.current.version,
            latency_ms=context.latency_ms(),
            request_id=context.request_id,
        )

    async def rescore(self, decision: Decision) -> dict[str, Any] | None:
        """What the model says of a fallback's machine and time; None while a part is out."""
        model = self._model_slot.current
        if model is None:
            return None
        values: Features = decision.features
        if not set(model.features.names) <= values.keys():
            machine = str(decision.entities["machine_id"])
            try:
                past = await self._machines.get(machine)
            except MachineStoreError:
                return None
            if past is None:
                return {"decision": "INSPECT", "reason": "no data of this machine are stored"}
            values = await self._predicting.run(self._values, past, decision.event_time)
        prediction = await self._predicting.run(self.predict_row, model, values)
        fields = {
            name: value
            for name, value in _model_fields(model.features, prediction).items()
            if name != "survival"
        }
        fields["drivers"] = [driver.model_dump() for driver in fields["drivers"]]
        return {
            "decision": "SERVICE" if prediction.alarm else "MONITOR",
            "model_version": model.version,
            **fields,
        }


def unknown_machine(machine_id: str) -> Problem:
    """The 404 for a machine that nobody has told of."""
    return Problem(
        404,
        "unknown-machine",
        f"machine_id: machine {machine_id!r} is unknown; send its readings to "
        "/maintenance/readings first",
    )


def decide(verdict: Verdict, scored: Scored | None, complete: bool) -> tuple[str, str, str]:
    """Decision, method and reason: rules first, then the model; without one of them, a look."""
    if not complete:
        return "INSPECT", "fallback", "the machine's readings are temporarily unavailable"
    if verdict.action is not None:
        return verdict.action, "rule" if scored is not None else "fallback", verdict.reason
    if scored is None:
        return "INSPECT", "fallback", "the model is temporarily unavailable; no rule matched"
    prediction, model = scored
    risk = 1.0 - float(np.interp(model.alarm_hours, prediction.hours, prediction.survival))
    within = f"fails within {model.alarm_hours:g} h with a probability of {risk:.1%}"
    if prediction.alarm:
        return "SERVICE", "model", f"{within}, likely by its {prediction.likely_mode}"
    return "MONITOR", "model", f"{within}, below the alarm's {model.alarm_threshold:.1%}"


def _model_fields(features: AssetFeatureSet, prediction: Prediction | None) -> dict[str, Any]:
    """The fields of an answer that are the model's."""
    if prediction is None:
        names = ("failure_within", "survival", "median_hours", "mean_hours", "likely_hours")
        return {**dict.fromkeys(names), "likely_mode": None, "modes": None, "drivers": []}
    points = zip(
        prediction.hours, prediction.survival, prediction.low, prediction.high, strict=True
    )
    return {
        "failure_within": prediction.probabilities,
        "survival": [
            CurvePoint(hours=hours, survival=middle, low=low, high=high)
            for hours, middle, low, high in points
        ],
        "median_hours": prediction.median_hours,
        "mean_hours": prediction.mean_hours,
        "likely_hours": prediction.likely_hours,
        "likely_mode": prediction.likely_mode,
        "modes": prediction.modes,
        "drivers": [_driver(features, each) for each in prediction.drivers[:_SHOWN_DRIVERS]],
    }


def _driver(features: AssetFeatureSet, driver: Driver) -> DriverAnswer:
    return DriverAnswer(
        what=driver.what,
        words=driver_words(features, driver),
        effect=driver.effect,
        feature=driver.feature,
        value=driver.value,
        usual=driver.usual,
    )


def without_survival(body: dict[str, Any]) -> dict[str, Any]:
    """An answer without its curve, for lists."""
    return {name: value for name, value in body.items() if name != "survival"}
