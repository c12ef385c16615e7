"""The model that is served: Cox and network blended, with bands, modes, drivers and an alarm."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.maintenance.feature_set import AssetFeatureSet, FeatureError
from lib.maintenance.history import Floats
from lib.maintenance.machine_kind import parse_kind
from lib.maintenance.model.prediction import HORIZONS, Prediction, drivers, feature_groups
from lib.registry import (
    Artifact,
    Manifest,
    TrainingRecord,
    find_parameter,
    read_artifact,
    read_parameter,
    write_artifact,
)
from lib.survival.blending import blend
from lib.survival.cox import CoxModel
from lib.survival.curves import Curves
from lib.survival.network import HazardNetwork
from lib.survival.outcomes import SurvivalError
from lib.survival.prediction_interval import PredictionInterval

SYSTEM = "maintenance"
_ABOUT = "model.json"
_BAND = 1.2816  # standard deviations of an 80% band
_TINY = 1e-12


@dataclass(frozen=True)
class Half:
    """A Cox model and a network fitted on the same rows."""

    cox: CoxModel
    network: HazardNetwork

    def curves(self, rows: Floats, weight: float, grid: Floats) -> Curves:
        """S of rows (n, features): `weight` of the network, the rest of Cox."""
        return blend(self.network.curves(rows), self.cox.curves(rows), weight, grid)


@dataclass(frozen=True)
class SurvivalModel:
    """Answers for one kind of machine.

    Attributes:
        features: what it was trained on.
        whole: fitted on all machines.
        replicates: fitted on machines drawn with replacement.
        weight: of the network in the blend.
        grid: (m,) hours of its curves, from 0.
        modes: names of the network's kinds of failure.
        likely: where the time to failure lies, see `PredictionInterval`.
        alarm_hours: what the alarm speaks of.
        alarm_threshold: chance of a failure within them from which it is raised.
        usual, spread: (features,) medians and standard deviations in training, no NaN.
        version: of the artifact that it was loaded from.
    """

    features: AssetFeatureSet
    main_half: Half
    replicates: tuple[Half, ...]
    weight: float
    grid: Floats
    modes: tuple[str, ...]
    likely: PredictionInterval
    alarm_hours: float
    alarm_threshold: float
    usual: Floats
    spread: Floats
    version: str | None = None

    @property
    def horizon(self) -> float:
        """The last hour of the curves."""
        return float(self.grid[-1])

    def curves(self, rows: Floats) -> Curves:
        """S of rows (n, features) at the grid."""
        return self.main_half.curves(rows, self.weight, self.grid)

    def risk(self, rows: Floats) -> Floats:
        """(n,) chance of a failure within the alarm's hours."""
        return np.asarray(1.0 - self.curves(rows).at(self.alarm_hours)[:, 0])

    def band(self, rows: Floats) -> tuple[Floats, Floats]:
        """(n, m) ends of an 80% band around S, by the spread of the replicates.

        On the scale of log(-log S), where it cannot leave 0 to 1. It says how much another sample
        of machines would have changed the curve, not when this machine will fail.
        """
        middle = self.curves(rows).survival
        if len(self.replicates) < 3:
            return middle, middle
        others = [
            replicate.curves(rows, self.weight, self.grid).survival for replicate in self.replicates
        ]
        spread = np.std([_doubly(survival) for survival in others], axis=0, ddof=1)
        centre = _doubly(middle)
        low, high = (np.exp(-np.exp(centre + side * _BAND * spread)) for side in (1.0, -1.0))
        low[:, 0] = high[:, 0] = 1.0
        return np.minimum.accumulate(low, axis=1), np.minimum.accumulate(high, axis=1)

    def by_mode(self, rows: Floats) -> dict[str, Curves]:
        """S of each mode alone: what if only it could end the machine?

        The blend's hazard is divided as the network divides its own.
        """
        grown = _at(self.main_half.network.cuts, self.main_half.network.cumulative(rows), self.grid)
        steps = np.diff(grown, axis=2)
        share = steps / np.maximum(steps.sum(axis=1, keepdims=True), _TINY)
        total = -np.log(np.maximum(self.curves(rows).survival, _TINY))
        hazard = np.cumsum(share * np.diff(total, axis=1)[:, None, :], axis=2)
        first = np.ones((len(rows), 1))
        return {
            name: Curves(self.grid, np.hstack([first, np.exp(-hazard[:, number])]))
            for number, name in enumerate(self.modes)
        }

    def mode_chances(self, rows: Floats) -> Floats:
        """(n, modes) chance of each mode, given a failure within the horizon."""
        incidence = self.main_half.network.incidence(rows)[:, : len(self.modes), -1]
        return np.asarray(incidence / np.maximum(incidence.sum(axis=1, keepdims=True), _TINY))

    def predict(self, rows: Floats, explain: bool = True) -> list[Prediction]:
        """Everything about rows (n, features); without `explain` no drivers (20 times faster)."""
        curves = self.curves(rows)
        low, high = self.band(rows)
        modes = self.mode_chances(rows)
        median, mean = curves.quantile(), curves.restricted_mean(self.horizon)
        first, last = self.likely.of(curves)
        alarms = 1.0 - curves.at(self.alarm_hours)[:, 0] >= self.alarm_threshold
        probabilities = 1.0 - curves.at(list(HORIZONS.values()))
        groups = feature_groups(self.features)
        return [
            Prediction(
                probabilities={
                    name: float(probabilities[at, column]) if hours <= self.horizon else None
                    for column, (name, hours) in enumerate(HORIZONS.items())
                },
                hours=tuple(self.grid.tolist()),
                survival=tuple(curves.survival[at].tolist()),
                low=tuple(low[at].tolist()),
                high=tuple(high[at].tolist()),
                median_hours=float(median[at]) if np.isfinite(median[at]) else None,
                mean_hours=float(mean[at]),
                likely_hours=(float(first[at]), float(last[at])),
                modes=dict(zip(self.modes, modes[at].tolist(), strict=True)),
                drivers=drivers(
                    rows[at], self.features.names, groups, self.usual, self.spread, self.risk
                )
                if explain
                else (),
                alarm=bool(alarms[at]),
            )
            for at in range(len(rows))
        ]

    def save(self, directory: Path | str, record: TrainingRecord) -> Manifest:
        """Write the artifact: safetensors and JSON; see `write_artifact`."""
        about = {
            "weight": self.weight,
            "grid": self.grid.tolist(),
            "modes": list(self.modes),
            "likely": {
                "edges": self.likely.edges.tolist(),
                "outside": self.likely.outside.tolist(),
            },
            "replicates": len(self.replicates),
            "usual": self.usual.tolist(),
            "spread": self.spread.tolist(),
        }
        with tempfile.TemporaryDirectory() as folder:
            for name, half in self._halves().items():
                half.cox.save(Path(folder), f"{name}_cox")
                half.network.save(Path(folder), f"{name}_hazards")
            (Path(folder) / _ABOUT).write_text(json.dumps(about, indent=1))
            return write_artifact(
                directory,
                record,
                system=SYSTEM,
                feature_set_digest=self.features.digest,
                feature_names=self.features.names,
                files={file.name: file for file in sorted(Path(folder).iterdir())},
                thresholds={
                    "alarm_hours": self.alarm_hours,
                    "alarm_threshold": self.alarm_threshold,
                },
            )

    @classmethod
    def load(cls, artifact: Artifact, features: AssetFeatureSet) -> SurvivalModel:
        """The model of a verified artifact; nothing in it is executed.

        Raises:
            SurvivalError: parts are missing or do not belong together.
        """
        folder, manifest = artifact.directory, artifact.manifest
        try:
            about = json.loads(artifact.path(_ABOUT).read_text(encoding="utf-8"))
            halves = [
                _half(folder, name)
                for name in ("whole", *(f"replicate{k}" for k in range(about["replicates"])))
            ]
            grid, usual, spread = (
                np.array(about[name], dtype=np.float64) for name in ("grid", "usual", "spread")
            )
            model = cls(
                features=features,
                main_half=halves[0],
                replicates=tuple(halves[1:]),
                weight=float(about["weight"]),
                grid=grid,
                modes=tuple(str(mode) for mode in about["modes"]),
                likely=PredictionInterval(
                    np.array(about["likely"]["edges"], dtype=np.float64),
                    np.array(about["likely"]["outside"], dtype=np.float64),
                    float(grid[-1]),
                ),
                alarm_hours=float(manifest.thresholds["alarm_hours"]),
                alarm_threshold=float(manifest.thresholds["alarm_threshold"]),
                usual=usual,
                spread=spread,
                version=manifest.version,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SurvivalError(f"{folder}: not a model of machines: {error}") from error
        width = len(features.names)
        if not len(usual) == len(spread) == width or model.main_half.network.failing != len(
            model.modes
        ):
            raise SurvivalError(f"{folder}: its parts do not belong together")
        return model

    def _halves(self) -> dict[str, Half]:
        others = {f"replicate{number}": half for number, half in enumerate(self.replicates)}
        return {"whole": self.main_half, **others}


def _half(folder: Path, name: str) -> Half:
    return Half(CoxModel.load(folder, f"{name}_cox"), HazardNetwork.load(folder, f"{name}_hazards"))


def _doubly(survival: Floats) -> Floats:
    return np.asarray(np.log(-np.log(np.clip(survival, 1e-9, 1.0 - 1e-9))))


def _at(cuts: Floats, grown: Floats, hours: Floats) -> Floats:
    """(n, k, len(hours)) of values (n, k, m) that are straight between cuts and go on so."""
    left = np.clip(np.searchsorted(cuts, hours, side="right") - 1, 0, len(cuts) - 2)
    part = (hours - cuts[left]) / (cuts[left + 1] - cuts[left])
    return np.asarray(grown[..., left] + (grown[..., left + 1] - grown[..., left]) * part)


def load_model(directory: Path | str, features: AssetFeatureSet | None = None) -> SurvivalModel:
    """A verified artifact as a model.

    Args:
        directory: of the artifact.
        features: what it must have been trained on; None takes the kind that it carries.

    Raises:
        ArtifactError: it is damaged, or of another feature set; the message names the features.
        SurvivalError: its parts do not belong together.
    """
    if features is None:
        features = read_parameter(directory, "kind", parse_kind, FeatureError, "kind of machine")
    return SurvivalModel.load(read_artifact(directory, features), features)


def kind_in(directory: Path | str) -> AssetFeatureSet | None:
    """The kind of machine that an artifact was trained on; None where it carries none.

    Raises:
        ArtifactError: it is damaged, or its kind cannot be meant.
    """
    return find_parameter(directory, "kind", parse_kind, FeatureError)
