"""The model that answers, and how it is replaced while requests run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lib.feature import FeatureSet
from lib.fraud.model.scoring import Scored, Scorer
from lib.registry import read_artifact
from serve.framework.batching import MicroBatcher
from serve.framework.model_slot import ModelSlot

Row = npt.NDArray[np.float32]


class ModelUnavailableError(Exception):
    """No model answers; the message says why."""


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


class ScoreProvider(Protocol):
    """Where scores come from: the same replica, or another deployment."""

    async def score(self, row: Row) -> ModelScore:
        """What the model says of features (features,) in the order of the feature set.

        Raises:
            ModelUnavailableError: none answers.
        """
        ...

    async def status(self) -> Mapping[str, Any]:
        """`version`, `wanted` and `error` of the model in force; the first is null without one."""
        ...


class LocalModel(ModelSlot[Scorer]):
    """The model in this process.

    Args:
        registry: directory or URI of the registry.
        folder: where local copies are kept.
        features: what the model must have been trained on.
    """

    def __init__(self, registry: str, folder: Path, features: FeatureSet) -> None:
        def load(directory: Path) -> Scorer:
            scorer = Scorer.load(read_artifact(directory, features))
            _try_out(scorer, len(features.names))
            return scorer

        super().__init__("fraud", registry, folder, load)
        self._batcher: MicroBatcher[Row, ModelScore] = MicroBatcher(self.score_rows)

    async def score(self, row: Row) -> ModelScore:
        """See `Model.score`."""
        return await self._batcher.submit(row)

    async def score_rows(self, rows: Sequence[Row]) -> list[ModelScore]:
        """What the model says of each of several rows.

        Raises:
            ModelUnavailableError: no model is loaded.
        """
        scorer = self._in_force()
        scored = scorer.score_rows(np.stack(rows))
        return [_model_score(scorer, row, score) for row, score in zip(rows, scored, strict=True)]

    async def status(self) -> Mapping[str, Any]:
        """See `Model.status`."""
        return self.state()

    def _in_force(self) -> Scorer:
        if self.current is None:
            raise ModelUnavailableError(self.error or "no model has been loaded yet")
        return self.current


def _try_out(scorer: Scorer, width: int) -> None:
    """Refuses a model that cannot score what will be asked of it."""
    for row in (np.zeros(width, np.float32), np.full(width, np.nan, np.float32)):
        probability = scorer.score_row(row).probability
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"the model answers {probability}; expected a probability")


def _model_score(scorer: Scorer, row: Row, scored: Scored) -> ModelScore:
    """A model score, with reasons where it is not an approval."""
    cap = scorer.policy.fallback_amount_minor
    reasons = () if scored.decision == "APPROVE" else _reasons(scorer, row)
    return ModelScore(scored.probability, scored.decision, scorer.version, cap, reasons)


def _reasons(scorer: Scorer, row: Row) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "code": reason.code,
            "words": reason.words,
            "feature": reason.feature,
            "value": reason.value,
            "contribution": round(reason.contribution, 4),
        }
        for reason in scorer.reasons(row)
    )
