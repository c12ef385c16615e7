"""Trees, network, meta-learner, calibration and policy as one model, and its artifact."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from lib.boosting.boosted_trees import BoostedTrees
from lib.calibration import Calibrator
from lib.feature.feature_extension import FEATURES_FILE
from lib.fraud.model.forest import Forest, read_forest
from lib.fraud.model.inputs import Floats, Matrix
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.policy import Policy
from lib.fraud.model.scoring import Scorer, stored_parts
from lib.fraud.model.stacking import MetaLearner
from lib.fraud.payment_features import PaymentFeatures
from lib.registry import Artifact, Manifest, TrainingRecord, write_artifact

SYSTEM = "fraud"


@dataclass(frozen=True)
class Ensemble:
    """The model as trained. The reference that the served graph must equal.

    Args:
        names: of the features, in the order of the matrix.
        digest: of the feature set.
        trees: the boosted half.
        networks: the neural half.
        meta: how much each half counts.
        calibrator: from raw log-odds to probability.
        policy: thresholds on the probability.
        features: what the features are, as the artifact says it.
    """

    names: tuple[str, ...]
    digest: str
    trees: BoostedTrees
    networks: Networks
    meta: MetaLearner
    calibrator: Calibrator
    policy: Policy
    features: PaymentFeatures = field(default_factory=PaymentFeatures)

    def log_odds(self, matrix: Matrix) -> Floats:
        """Raw log-odds (rows,) of features (rows, features), before calibration."""
        return self.meta.log_odds(self.trees.log_odds(matrix), self.networks.log_odds(matrix))

    def score(self, matrix: Matrix) -> Floats:
        """Calibrated probabilities (rows,) of features (rows, features); NaN is missing."""
        return self.calibrator.probabilities(self.log_odds(matrix))

    def forest(self) -> Forest:
        """The trees as flat arrays."""
        return read_forest([bytes(booster.save_raw("json")) for booster in self.trees.boosters])

    def save(self, directory: Path | str, record: TrainingRecord) -> Manifest:
        """Write the artifact: models, the trees as arrays, manifest.

        Args:
            directory: must not exist yet.
            record: what the manifest says about the training.
        """
        files: dict[str, bytes | Path] = {
            f"trees.{index}.ubj": content for index, content in enumerate(self.trees.to_bytes())
        }
        files["network.safetensors"] = save(self.networks.to_arrays())
        files["forest.safetensors"] = save(self.forest().to_arrays())
        settings = {"meta": self.meta.to_json(), "calibrator": self.calibrator.to_json()}
        content = json.dumps(settings, indent=2, sort_keys=True, allow_nan=False)
        files["ensemble.json"] = content.encode() + b"\n"
        files[FEATURES_FILE] = self.features.to_bytes()
        return write_artifact(
            directory,
            record,
            system=SYSTEM,
            feature_set_digest=self.digest,
            feature_names=self.names,
            files=files,
            thresholds=self.policy.to_thresholds(),
        )

    @classmethod
    def load(cls, artifact: Artifact) -> "Ensemble":
        """The model of a verified artifact, from its UBJ, safetensors and JSON."""
        names = sorted(name for name in artifact.manifest.files if name.endswith(".ubj"))
        names.sort(key=lambda name: int(name.split(".")[1]))
        boosters = [artifact.path(name).read_bytes() for name in names]
        return cls(
            **stored_parts(artifact),
            digest=artifact.manifest.feature_set_digest,
            trees=BoostedTrees.from_bytes(boosters, len(artifact.manifest.feature_names)),
        )

    def scorer(self) -> Scorer:
        """The served form of this model, without writing it."""
        return Scorer(
            names=self.names,
            features=self.features,
            version="unpublished",
            forest=self.forest(),
            networks=self.networks,
            meta=self.meta,
            calibrator=self.calibrator,
            policy=self.policy,
        )


def largest_difference(ensemble: Ensemble, scorer: Scorer, matrix: Matrix) -> float:
    """Largest difference in probability between the model as trained and as served."""
    if not len(matrix):
        return 0.0
    return float(np.abs(ensemble.score(matrix) - scorer.score(matrix)).max())
