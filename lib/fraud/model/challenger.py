"""A challenger of payments as its own process loads and asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lib.fraud.amounts import AmountScale
from lib.fraud.features import fraud_features
from lib.fraud.model.inputs import Matrix
from lib.fraud.model.scoring import ModelScore, Scorer
from lib.registry import read_artifact


class PaymentChallenger:
    """A loaded model behind packed inputs.

    Args:
        scorer: the model.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.about: Mapping[str, Any] = {"version": scorer.version}

    def answers(self, inputs: Sequence[bytes]) -> list[dict[str, Any]]:
        """`score`, the probability of fraud, and the fields of `ModelScore`, for each row."""
        rows = np.stack([np.frombuffer(packed, dtype=np.float32) for packed in inputs])
        scores = self._scorer.model_scores(rows)
        return [{"score": score.probability, "fields": asdict(score)} for score in scores]


def load(directory: Path, options: Mapping[str, Any]) -> PaymentChallenger:
    """The challenger in a directory.

    Args:
        directory: of the artifact.
        options: the fields of the service's `AmountScale`.

    Raises:
        ArtifactError: it was trained on other features than the service computes.
    """
    features = fraud_features(AmountScale(**options))
    return PaymentChallenger(Scorer.load(read_artifact(directory, features)))


def pack_features(row: Matrix) -> bytes:
    """Features (features,) float32 of a payment, in the order of the feature set, as bytes."""
    return row.tobytes()


def score_of(answer: Mapping[str, Any], _: Mapping[str, Any]) -> ModelScore:
    """What the challenger says of a payment, as the champion's score is."""
    fields = dict(answer["fields"])
    return ModelScore(**{**fields, "reasons": tuple(fields["reasons"])})
