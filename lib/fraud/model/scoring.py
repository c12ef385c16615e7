"""Scores payments from an artifact with ONNX Runtime alone: no XGBoost, no torch in a replica.

One row of 500 trees and a 256-128-64 network costs tens of microseconds; see
`tests/benchmarks/fraud_scoring.py` for the alternatives that were measured.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from lib.calibration import Calibrator
from lib.fraud.model.forest import Forest
from lib.fraud.model.inputs import Floats, Matrix
from lib.fraud.model.json_io import read_json
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.onnx_export import build_graph
from lib.fraud.model.policy import Policy
from lib.fraud.model.reasons import Reason, top_reasons
from lib.fraud.model.stacking import MetaLearner
from lib.registry import Artifact


@dataclass(frozen=True)
class Scored:
    """One payment's answer: calibrated probability, decision, and both halves' log-odds."""

    probability: float
    decision: str
    trees: float
    network: float


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
    reasons: tuple[Mapping[str, Any], ...] = ()


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
        threads: of one call; 1 in a replica, more for batches.
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
        threads: int = 1,
    ) -> None:
        self.names = names
        self.version = version
        self.policy = policy
        self._forest, self._networks, self._meta = forest, networks, meta
        self._calibrator = calibrator
        self._session = _session(build_graph(forest, networks, meta), threads)

    @classmethod
    def load(cls, artifact: Artifact, threads: int = 1) -> "Scorer":
        """The model of a verified artifact, tried out, which also warms it.

        The graph is built from the arrays that were checked, never read from a file.

        Raises:
            ValueError, KeyError: a part is absent, its numbers contradict each other, or the model
                answers no probability.
        """
        settings = read_json(artifact.path("ensemble.json"))
        scorer = cls(
            names=tuple(artifact.manifest.feature_names),
            version=artifact.manifest.version,
            forest=Forest.from_arrays(
                load_file(artifact.path("forest.safetensors")), len(artifact.manifest.feature_names)
            ),
            networks=Networks.from_arrays(load_file(artifact.path("network.safetensors"))),
            meta=MetaLearner.from_json(settings["meta"]),
            calibrator=Calibrator.from_json(settings["calibrator"]),
            policy=Policy.from_thresholds(artifact.manifest.thresholds),
            threads=threads,
        )
        scorer.try_out()
        return scorer

    def try_out(self) -> None:
        """Scores and explains a payment of zeros and one of missing values.

        Raises:
            ValueError: an answer is not a probability.
        """
        for value in (0.0, np.nan):
            row = np.full(len(self.names), value, dtype=np.float32)
            scored = self.score_row(row)
            if not 0.0 <= scored.probability <= 1.0:
                raise ValueError(f"the model answers {scored.probability}; expected a probability")
            self.reasons(row)

    def log_odds(self, matrix: Matrix) -> Floats:
        """Raw log-odds (rows,) of features (rows, features), before calibration."""
        return self._run(matrix)[0].astype(np.float64)

    def score(self, matrix: Matrix) -> Floats:
        """Calibrated probabilities (rows,) of features (rows, features); NaN is missing."""
        return self._calibrator.probabilities(self.log_odds(matrix))

    def score_row(self, values: Matrix) -> Scored:
        """One payment's answer from features (features,); NaN is missing."""
        return self.score_rows(values.reshape(1, -1))[0]

    def score_rows(self, matrix: Matrix) -> list[Scored]:
        """The answers to payments from features (rows, features), by one graph call.

        With 500 trees, sixteen rows cost about four times as much as one.
        """
        halves = zip(*(output.tolist() for output in self._run(matrix)), strict=True)
        return [self._scored(*logits) for logits in halves]

    def model_scores(self, matrix: Matrix) -> list[ModelScore]:
        """The answers to payments as `score_rows` gives them, each with its reasons."""
        return [
            self._model_score(row, scored)
            for row, scored in zip(matrix, self.score_rows(matrix), strict=True)
        ]

    def row(self, features: Mapping[str, float]) -> Matrix:
        """Features (features,) float32 in the model's order; a missing name is a KeyError."""
        return np.array([features[name] for name in self.names], dtype=np.float32)

    def contributions(self, values: Matrix) -> Floats:
        """What each feature adds to the raw log-odds (features,), against the average payment.

        Costs several times a score, so ask only for payments that are not approved, and away from
        the event loop. Trees by path, network by integrated gradients, weighed as the meta-learner
        weighs them.
        """
        trees = self._meta.trees * self._forest.contributions(values)
        return np.asarray(trees + self._meta.network * self._networks.contributions(values))

    def reasons(self, values: Matrix, most: int = 3) -> tuple[Reason, ...]:
        """The features that raised the score most; see `contributions` for the cost."""
        return top_reasons(self.names, values, self.contributions(values), most)

    def _scored(self, log_odds: float, trees: float, network: float) -> Scored:
        probability = self._calibrator.probability(log_odds)
        return Scored(probability, self.policy.decide(probability), trees, network)

    def _model_score(self, row: Matrix, scored: Scored) -> ModelScore:
        cap = self.policy.fallback_amount_minor
        reasons: tuple[Mapping[str, Any], ...] = ()
        if scored.decision != "APPROVE":
            reasons = tuple(
                asdict(reason) | {"contribution": round(reason.contribution, 4)}
                for reason in self.reasons(row)
            )
        return ModelScore(scored.probability, scored.decision, self.version, cap, reasons)

    def _run(self, matrix: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.names):
            raise ValueError(
                f"features: expected (rows, {len(self.names)}) in the model's order, "
                f"got {matrix.shape}"
            )
        inputs = np.ascontiguousarray(matrix, dtype=np.float32)
        total, trees, network = self._session.run(None, {"features": inputs})
        return total[:, 0], trees[:, 0], network[:, 0]


def _session(graph: bytes, threads: int) -> Any:
    """A session of so many threads that does not spin while idle."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
