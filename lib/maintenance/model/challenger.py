"""A challenger of machines as its own process loads and asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lib.maintenance.history import Floats
from lib.maintenance.machine_kind import parse_kind
from lib.maintenance.model.model import SurvivalModel, load_model
from lib.maintenance.model.prediction import Driver, Prediction


class MachineChallenger:
    """A loaded model behind packed inputs.

    Args:
        model: the model.
    """

    def __init__(self, model: SurvivalModel) -> None:
        self._model = model
        self.about: Mapping[str, Any] = about(model)

    def answers(self, inputs: Sequence[bytes]) -> list[dict[str, Any]]:
        """`score`, see `week_risk`, and the fields of `Prediction`, for each row."""
        rows = np.stack([np.frombuffer(packed, dtype=np.float64) for packed in inputs])
        predictions = self._model.predict(rows)
        return [{"score": week_risk(each), "fields": asdict(each)} for each in predictions]


def load(directory: Path, options: Mapping[str, Any]) -> MachineChallenger:
    """The challenger in a directory.

    Args:
        directory: of the artifact.
        options: `kind`, YAML of the service's kind of machine.

    Raises:
        ArtifactError: it is damaged, or was trained on another kind of machine.
    """
    return MachineChallenger(load_model(directory, parse_kind(options["kind"])))


def about(model: SurvivalModel) -> dict[str, Any]:
    """What a decision needs of a model beside its prediction."""
    return {
        "version": model.version,
        "alarm_hours": model.alarm_hours,
        "alarm_threshold": model.alarm_threshold,
    }


def pack_features(row: Floats) -> bytes:
    """Features (features,) float64 of a machine, in the order of the feature set, as bytes."""
    return row.astype(np.float64).tobytes()


def week_risk(prediction: Prediction) -> float:
    """Probability of a failure within 7 days, or, of a shorter curve, by its last hour."""
    risk = prediction.probabilities["7d"]
    return 1.0 - prediction.survival[-1] if risk is None else risk


def prediction_of(answer: Mapping[str, Any]) -> Prediction:
    """What the challenger says of a machine, as the champion's prediction is."""
    fields = dict(answer["fields"])
    tuples = ("hours", "survival", "low", "high", "likely_hours")
    fields |= {name: tuple(fields[name]) for name in tuples}
    return Prediction(**{**fields, "drivers": tuple(Driver(**each) for each in fields["drivers"])})
