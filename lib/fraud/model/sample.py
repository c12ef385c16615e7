"""Rows to fit on: which, with which labels and weights."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.fraud.model.inputs import Flags, Floats, Matrix


@dataclass(frozen=True)
class Sample:
    """Rows to fit on: features (n, d), labels (n,), weights (n,)."""

    matrix: Matrix
    labels: Flags
    weights: Floats

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: Any) -> "Sample":
        """The chosen rows, by mask or place."""
        return Sample(self.matrix[chosen], self.labels[chosen], self.weights[chosen])


def kept_rows(labels: Flags, negative_share: float, seed: int) -> Flags:
    """Mask of all positives and a random share of the negatives."""
    if not 0.0 < negative_share <= 1.0:
        raise ValueError(f"negative_share: expected above 0 and up to 1, got {negative_share}")
    if negative_share == 1.0:
        return np.ones(len(labels), dtype=np.bool_)
    drawn = np.random.default_rng(seed).random(len(labels)) < negative_share
    return np.asarray(labels | drawn)


def refuse_one_class(labels: Flags) -> None:
    """Training needs frauds and good payments both."""
    positives = int(labels.sum())
    if positives in {0, len(labels)}:
        raise ValueError(
            f"labels: {positives} frauds among {len(labels)} payments to train on; both classes "
            "are needed: check that the labels cover these days and that their observed_at is not "
            "later than the time the model is trained at"
        )
