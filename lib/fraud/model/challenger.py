"""A challenger of payments as its own process loads and asks it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lib.experiment.challenger import Challenger
from lib.fraud.model.inputs import Matrix
from lib.fraud.model.scoring import ModelScore, Scorer
from lib.fraud.payment_features import PaymentFeatures
from lib.registry import read_artifact


def _answers(scorer: Scorer, inputs: Sequence[bytes]) -> list[dict[str, Any]]:
    """`score`, the probability of fraud, and the fields of `ModelScore`, for each row."""
    rows = np.stack([np.frombuffer(packed, dtype=np.float32) for packed in inputs])
    scores = scorer.model_scores(rows)
    return [{"score": score.probability, "fields": asdict(score)} for score in scores]


def load(directory: Path, options: Mapping[str, Any]) -> Challenger:
    """The challenger in a directory.

    Args:
        directory: of the artifact.
        options: the service's features, as `PaymentFeatures.to_json` gives them.

    Raises:
        ArtifactError: it was trained on other features than the service computes.
    """
    features = PaymentFeatures.from_json(options)
    scorer = Scorer.load(read_artifact(directory, features.feature_set))
    return Challenger({"version": scorer.version}, partial(_answers, scorer))


def pack_features(row: Matrix) -> bytes:
    """Features (features,) float32 of a payment, in the order of the feature set, as bytes."""
    return row.tobytes()


def score_of(answer: Mapping[str, Any], _: Mapping[str, Any]) -> ModelScore:
    """What the challenger says of a payment, as the champion's score is."""
    fields = dict(answer["fields"])
    return ModelScore(**{**fields, "reasons": tuple(fields["reasons"])})
