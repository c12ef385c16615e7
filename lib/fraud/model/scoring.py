"""Scores payments from an artifact with ONNX Runtime alone: no XGBoost, no torch in a replica.

One row of 500 trees and a 256-128-64 network costs tens of microseconds; see
`tests/benchmarks/fraud_scoring.py` for the alternatives that were measured.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from lib.calibration import Calibrator
from lib.fraud.model.forest import Forest
from lib.fraud.model.inputs import Floats, Matrix
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.onnx_export import build_graph
from lib.fraud.model.policy import Policy
from lib.fraud.model.reasons import Reason, top_reasons
from lib.fraud.model.stacking import MetaLearner
from lib.fraud.payment_features import PaymentFeatures
from lib.registry import Artifact


@dataclass(frozen=True, slots=True)
class ModelScore:
    """What the model says of one payment.

    Attributes:
        probability: of fraud, calibrated, 0..1.
        decision: by the thresholds stored with the model.
        model_version: of the model.
        fallback_amount_minor: the cap stored with the model for when none answers, minor units.
        reasons: code, words, feature, value, contribution each; none for an approval.
    """

    probability: float
    decision: str
    model_version: str
    fallback_amount_minor: float
    reasons: tuple[Reason, ...] = ()


class Scorer:
    """A loaded model, safe to call from several threads; scores by one graph call.

    Args:
        names: of the features, in the order of the matrix.
        version: of the model.
        forest: the boosted half, already checked.
        networks: the neural half.
        meta: how much each half counts.
        calibrator: from raw log-odds to probability.
        policy: thresholds.
        features: how people name those that a data set added.
    """

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        version: str,
        forest: Forest,
        networks: Networks,
        meta: MetaLearner,
        calibrator: Calibrator,
        policy: Policy,
        features: PaymentFeatures,
    ) -> None:
        self.names, self._words = names, features.words
        self.version = version
        self.policy = policy
        self._forest, self._networks, self._meta = forest, networks, meta
        self._calibrator = calibrator
        self._session = _session(build_graph(forest, networks, meta))

    @classmethod
    def load(cls, artifact: Artifact) -> "Scorer":
        """The model of a verified artifact, tried out, which also warms it.

        The graph is built from the arrays that were checked, never read from a file.

        Raises:
            ValueError, KeyError: a part is absent, its numbers contradict each other, or the model
                answers no probability.
        """
        features = len(artifact.manifest.feature_names)
        arrays = load_file(artifact.path("forest.safetensors"))
        forest = Forest.from_arrays(arrays, features)
        scorer = cls(**stored_parts(artifact), version=artifact.manifest.version, forest=forest)
        scorer.try_out()
        return scorer

    def try_out(self) -> None:
        """Scores and explains a payment of zeros and one of missing values.

        Raises:
            ValueError: an answer is not a probability.
        """
        for value in (0.0, np.nan):
            row = np.full(len(self.names), value, dtype=np.float32)
            probability = float(self.score(row[None, :])[0])
            if not 0.0 <= probability <= 1.0:
                raise ValueError(f"the model answers {probability}; expected a probability")
            self.reasons(row)

    def log_odds(self, matrix: Matrix) -> Floats:
        """Raw log-odds (rows,) of features (rows, features), before calibration."""
        if matrix.ndim != 2 or matrix.shape[1] != len(self.names):
            raise ValueError(
                f"features: expected (rows, {len(self.names)}) in the model's order, "
                f"got {matrix.shape}"
            )
        inputs = np.ascontiguousarray(matrix, dtype=np.float32)
        return np.asarray(self._session.run(None, {"features": inputs})[0][:, 0], dtype=np.float64)

    def score(self, matrix: Matrix) -> Floats:
        """Calibrated probabilities (rows,) of features (rows, features); NaN is missing."""
        return self._calibrator.probabilities(self.log_odds(matrix))

    def model_scores(self, matrix: Matrix) -> list[ModelScore]:
        """The answers to payments from features (rows, features), by one graph call.

        With 500 trees, sixteen rows cost about four times as much as one.
        """
        log_odds = self.log_odds(matrix).tolist()
        return list(map(self._model_score, matrix, log_odds))

    def contributions(self, values: Matrix) -> Floats:
        """What each feature adds to the raw log-odds (features,), against the average payment.

        Costs several times a score, so ask only for payments that are not approved, and away from
        the event loop. Trees by path, network by integrated gradients, weighed as the meta-learner
        weighs them.
        """
        trees = self._meta.trees * self._forest.contributions(values)
        return np.asarray(trees + self._meta.network * self._networks.contributions(values))

    def reasons(self, values: Matrix) -> tuple[Reason, ...]:
        """The features that raised the score most; see `contributions` for the cost."""
        return top_reasons(self.names, values, self.contributions(values), self._words)

    def _model_score(self, row: Matrix, log_odds: float) -> ModelScore:
        probability = self._calibrator.probability(log_odds)
        decision = self.policy.decide(probability)
        reasons = () if decision == "APPROVE" else self.reasons(row)
        cap = self.policy.fallback_amount_minor
        return ModelScore(probability, decision, self.version, cap, reasons)


def stored_parts(artifact: Artifact) -> dict[str, Any]:
    """What the served and the trained form of a verified artifact have in common, by argument.

    Raises:
        ValueError, KeyError: see `Scorer.load`.
    """
    settings = json.loads(artifact.path("ensemble.json").read_bytes())
    if not isinstance(settings, dict):
        kind = type(settings).__name__
        raise ValueError(f"ensemble.json: expected a JSON object, got {kind}")
    return {
        "names": tuple(artifact.manifest.feature_names),
        "features": PaymentFeatures.of_artifact(artifact),
        "networks": Networks.from_arrays(load_file(artifact.path("network.safetensors"))),
        "meta": MetaLearner.from_json(settings["meta"]),
        "calibrator": Calibrator.from_json(settings["calibrator"]),
        "policy": Policy.from_thresholds(artifact.manifest.thresholds),
    }


def _session(graph: bytes) -> Any:
    """A session of one thread that does not spin while idle."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
