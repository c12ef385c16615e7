"""What a modality's model answers, and whether a post has that modality at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]


class ModelError(ValueError):
    """Inputs that a model cannot take; the message names the field, what was expected and came."""


class Presence(IntEnum):
    """Whether a post has a modality.

    Attributes:
        ABSENT: the post has none.
        PRESENT: the post has one.
        FAILED: the post has one that could not be decoded or answered.
    """

    ABSENT = 0
    PRESENT = 1
    FAILED = 2


@dataclass(frozen=True)
class ModalityAnswer:
    """What one model says of n inputs.

    Attributes:
        embeddings: (n, width) float32.
        log_odds: (n, policies) natural log-odds that each policy is violated; exactly 0 where the
            model never learnt a policy.
    """

    embeddings: Singles
    log_odds: Floats

    def __post_init__(self) -> None:
        if len(self.embeddings) != len(self.log_odds):
            raise ModelError(
                f"answer: expected as many embeddings as log-odds, got {len(self.embeddings)} "
                f"and {len(self.log_odds)}"
            )

    def __len__(self) -> int:
        return len(self.log_odds)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> ModalityAnswer:
        """Some of the inputs."""
        return ModalityAnswer(self.embeddings[rows], self.log_odds[rows])

    def spread(self, rows: NDArray[np.int64], count: int) -> ModalityAnswer:
        """The same answers at `rows` of `count` rows, zeros elsewhere."""
        embeddings = np.zeros((count, self.embeddings.shape[1]), dtype=np.float32)
        log_odds = np.zeros((count, self.log_odds.shape[1]))
        embeddings[rows], log_odds[rows] = self.embeddings, self.log_odds
        return ModalityAnswer(embeddings, log_odds)

    def pooled(self, owners: Ints, count: int) -> ModalityAnswer:
        """One answer for each of `count` posts out of those of its pieces.

        The worst piece decides each policy (most log-odds); embeddings are averaged. Posts that own
        no piece get zeros.

        Args:
            owners: (n,) post of each piece, from 0.
            count: posts.
        """
        highest = np.full((count, self.log_odds.shape[1]), -np.inf)
        np.maximum.at(highest, owners, self.log_odds)
        total = np.zeros((count, self.embeddings.shape[1]), dtype=np.float64)
        np.add.at(total, owners, self.embeddings)
        pieces = np.bincount(owners, minlength=count)
        mean = total / np.maximum(pieces, 1)[:, None]
        return ModalityAnswer(mean.astype(np.float32), np.where(pieces[:, None] > 0, highest, 0.0))


def joined(answers: Sequence[ModalityAnswer]) -> ModalityAnswer:
    """Answers of consecutive batches as one."""
    return ModalityAnswer(
        np.concatenate([answer.embeddings for answer in answers]),
        np.concatenate([answer.log_odds for answer in answers]),
    )
