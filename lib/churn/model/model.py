"""The model: the mean of two halves' log-odds, calibrated, with what each feature adds to it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lib.calibration import Calibrator
from lib.churn.features import added_features, churn_features
from lib.churn.health import HealthReference
from lib.churn.model import SYSTEM
from lib.churn.model.linear import Linear, RobustSquash
from lib.churn.model.trees import Trees
from lib.churn.target import Floats, Target
from lib.churn.vocabulary import ChurnError, CustomerVocabulary, parse_vocabulary
from lib.feature.feature_file import FeatureFileError
from lib.registry import (
    Artifact,
    ArtifactError,
    Manifest,
    TrainingRecord,
    read_artifact,
    read_parameter,
    write_artifact,
)

_ABOUT, _LINEAR, _REFERENCE = "model.json", "linear.safetensors", "reference.safetensors"


@dataclass(frozen=True)
class ChurnModel:
    """A fitted model.

    Attributes:
        base: vocabularies; features are those of `churn_features(base)`.
        target: what is foreseen.
        linear, trees: the halves.
        linear_share: weight of the linear half in the mean of log-odds.
        calibrator: from the mean to log-odds that mean what they say.
        usual: (features,) medians of training rows, for words.
        reference: what is usual in each segment, for health scores.
        capacity: share of customers that the team can look after in a window.
        threshold: probability above which that share of training customers lay.
        version: of the artifact that it was loaded from.
    """

    base: CustomerVocabulary
    target: Target
    linear: Linear
    trees: Trees
    linear_share: float
    calibrator: Calibrator
    usual: Floats
    reference: HealthReference
    capacity: float
    threshold: float
    version: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order of the model's inputs."""
        return churn_features(self.base).names

    def log_odds(self, matrix: Floats) -> Floats:
        """Raw log-odds (rows,) of features (rows, features); NaN is missing."""
        return blended(self.linear.log_odds(matrix), self.trees.log_odds(matrix), self.linear_share)

    def probabilities(self, matrix: Floats) -> Floats:
        """Calibrated chances (rows,) to leave within the target's window."""
        return self.calibrator.probabilities(self.log_odds(matrix))

    def contributions(self, matrix: Floats) -> Floats:
        """What each feature adds to the raw log-odds (rows, features): SHAP values of the mean."""
        of_trees, _ = self.trees.contributions(matrix)
        of_linear = self.linear.contributions(matrix)
        return blended(of_linear, of_trees, self.linear_share)

    def save(self, directory: Path | str, record: TrainingRecord) -> Manifest:
        """Write the artifact: safetensors, UBJ and JSON; see `write_artifact`."""
        features = churn_features(self.base)
        about = {
            "target": vars(self.target),
            "linear_share": self.linear_share,
            "calibrator": self.calibrator.to_json(),
            "boosters": len(self.trees.boosters),
            "capacity": self.capacity,
        }
        arrays = {
            **vars(self.linear.squash),
            "weights": self.linear.weights,
            "intercept": np.array([self.linear.intercept]),
            "usual": self.usual,
        }
        files: dict[str, bytes | Path] = {
            _ABOUT: json.dumps(about, indent=1).encode(),
            _LINEAR: save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
            _REFERENCE: save(dict(self.reference.to_arrays())),
        }
        files |= {f"trees-{k}.ubj": booster for k, booster in enumerate(self.trees.to_bytes())}
        parameters = {**record.parameters, "base": self.base.to_yaml()}
        return write_artifact(
            directory,
            replace(record, parameters=parameters),
            system=SYSTEM,
            feature_set_digest=features.digest,
            feature_names=features.names,
            files=files,
            thresholds={"churn": self.threshold},
        )


def blended(linear: Floats, trees: Floats, share: float) -> Floats:
    """The mean of two halves."""
    return np.asarray(share * linear + (1.0 - share) * trees)


def load_model(directory: Path | str, base: CustomerVocabulary | None = None) -> ChurnModel:
    """A verified artifact as a model.

    Args:
        directory: of the artifact.
        base: what it must have been trained on; None takes the one that it carries.

    Raises:
        ArtifactError: it is damaged, or of another base or feature set; the message says what
            differs.
    """
    own = base_in(directory)
    if base is not None and (differs := own.difference(base)):
        raise ArtifactError(
            f"{directory}: the model was trained on customers of another base: {differs}"
        )
    return _read(read_artifact(directory, churn_features(own)), own)


def base_in(directory: Path | str) -> CustomerVocabulary:
    """The base of customers that an artifact was trained on.

    Raises:
        ArtifactError: it is damaged, or says none.
    """
    base = read_parameter(directory, "base", parse_vocabulary, ChurnError, "base of customers")
    try:
        added_features(base, f"{directory}: feature_file")
    except FeatureFileError as error:
        raise ArtifactError(str(error)) from error
    return base


def _read(artifact: Artifact, base: CustomerVocabulary) -> ChurnModel:
    try:
        about = json.loads(artifact.path(_ABOUT).read_bytes())
        arrays = load(artifact.path(_LINEAR).read_bytes())
        squash = RobustSquash(*(arrays[name] for name in ("mean", "scale", "missing", "coded")))
        boosters = [
            artifact.path(f"trees-{k}.ubj").read_bytes() for k in range(int(about["boosters"]))
        ]
        return ChurnModel(
            base=base,
            target=Target(**about["target"]),
            linear=Linear(squash, arrays["weights"], float(arrays["intercept"][0])),
            trees=Trees.from_bytes(boosters, len(artifact.manifest.feature_names)),
            linear_share=float(about["linear_share"]),
            calibrator=Calibrator.from_json(about["calibrator"]),
            usual=arrays["usual"],
            reference=HealthReference.from_arrays(load(artifact.path(_REFERENCE).read_bytes())),
            capacity=float(about["capacity"]),
            threshold=float(artifact.manifest.thresholds["churn"]),
            version=artifact.manifest.version,
        )
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"{artifact.directory}: {type(error).__name__}: {error}") from error
