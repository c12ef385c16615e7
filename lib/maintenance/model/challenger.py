"""A challenger of machines as its own process loads and asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lib.experiment.challenger import Challenger
from lib.maintenance.history import Floats
from lib.maintenance.machine_kind import parse_kind
from lib.maintenance.model.model import SurvivalModel, load_model
from lib.maintenance.model.prediction import Driver, Prediction


@dataclass(frozen=True)
class AlarmSettings:
    """What a decision needs of a model beside its prediction.

    Attributes:
        version: in the registry.
        alarm_hours: what the alarm speaks of.
        alarm_threshold: probability of a failure within them from which it is raised.
    """

    version: str | None
    alarm_hours: float
    alarm_threshold: float

    @classmethod
    def of(cls, model: SurvivalModel) -> AlarmSettings:
        """Those of a model."""
        return cls(model.version, model.alarm_hours, model.alarm_threshold)


def _answers(model: SurvivalModel, inputs: Sequence[bytes]) -> list[dict[str, Any]]:
    """`score`, see `week_risk`, and the fields of `Prediction`, for each row."""
    rows = np.stack([np.frombuffer(packed, dtype=np.float64) for packed in inputs])
    predictions = model.predict(rows)
    return [{"score": week_risk(each), "fields": asdict(each)} for each in predictions]


def load(directory: Path, options: Mapping[str, Any]) -> Challenger:
    """See `lib.experiment.challenger.Loader`; `kind`: YAML of the service's kind of machine."""
    model = load_model(directory, parse_kind(options["kind"]))
    return Challenger(asdict(AlarmSettings.of(model)), partial(_answers, model))


def pack_features(row: Floats) -> bytes:
    """Features (features,) float64 of a machine, in the order of the feature set, as bytes."""
    return row.astype(np.float64).tobytes()


def week_risk(prediction: Prediction) -> float:
    """Probability of a failure within 7 days, or, of a shorter curve, by its last hour."""
    risk = prediction.probabilities["7d"]
    return 1.0 - prediction.survival[-1] if risk is None else risk


def prediction_of(
    answer: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[Prediction, AlarmSettings]:
    """What the challenger says of a machine, as the champion's prediction is."""
    fields = dict(answer["fields"])
    tuples = ("hours", "survival", "low", "high", "likely_hours")
    fields |= {name: tuple(fields[name]) for name in tuples}
    fields["drivers"] = tuple(Driver(**each) for each in fields["drivers"])
    return Prediction(**fields), AlarmSettings(**about)
