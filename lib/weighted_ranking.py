"""Measures of ranking over rows drawn again and again: sorted once, counted by weights after that.

A bootstrap draws entities with replacement, so every row comes as often as its entity was drawn.
To write those rows out and to sort them costs as much as all else; to weigh the sorted rows by how
often they came gives the same measures.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class SortedRows:
    """Labelled rows from the highest score to the lowest.

    Args:
        labels: (n,) True for a positive.
        scores: (n,) finite, higher means more risk.
        values: (n,) what each row is worth, 0 or more.
    """

    def __init__(self, labels: Flags, scores: Floats, values: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order]
        self._flags = labels[self._order]
        self._worth = np.where(self._flags, values[self._order], 0.0)
        # the first row of each score
        self._starts = np.flatnonzero(np.diff(ordered, prepend=np.inf) != 0)

    def weighed(self, times: Rows) -> "WeighedRows":
        """The rows, each `times` (n,) over.

        Raises:
            ValueError: only one class comes.
        """
        weights = times[self._order]
        positive = np.where(self._flags, weights, 0)
        total, positives = int(weights.sum()), int(positive.sum())
        if positives in {0, total}:
            raise ValueError(f"labels: {positives} positives among {total} rows; needs both")
        return WeighedRows(
            np.add.reduceat(positive, self._starts),
            np.add.reduceat(weights - positive, self._starts),
            np.add.reduceat(self._worth * weights, self._starts),
        )


@dataclass(frozen=True)
class WeighedRows:
    """Rows of equal score counted together, the highest score first.

    Attributes:
        positives: (scores,) positives of each score.
        negatives: (scores,) negatives.
        worth: (scores,) what the positives are worth.
    """

    positives: Rows
    negatives: Rows
    worth: Floats

    def roc_auc(self) -> float:
        """See `lib.evaluation.roc_auc`."""
        above = np.cumsum(self.positives) - self.positives
        won = (self.negatives * (above + 0.5 * self.positives)).sum()
        return float(won / (int(self.positives.sum()) * int(self.negatives.sum())))

    def average_precision(self) -> float:
        """See `lib.evaluation.average_precision`."""
        caught = np.cumsum(self.positives)
        flagged = np.maximum(np.cumsum(self.positives + self.negatives), 1)
        return float((self.positives * (caught / flagged)).sum() / caught[-1])

    def precision_at_k(self, k: int) -> float:
        """See `lib.evaluation.precision_at_k`."""
        counts = self.positives + self.negatives
        through = np.cumsum(counts)
        k = min(k, int(through[-1]))
        edge = int(np.searchsorted(through, k))
        above = int(through[edge] - counts[edge])
        caught = int(self.positives[:edge].sum())
        return float((caught + (k - above) * (self.positives[edge] / counts[edge])) / k)

    def recall_at_fpr(self, cap: float) -> float:
        """See `lib.evaluation.recall_at_fpr`."""
        return float(self.positives[: self._flagged(cap)].sum() / self.positives.sum())

    def value_recall_at_fpr(self, cap: float) -> float:
        """The same as a share of what the positives are worth."""
        total = float(self.worth.sum())
        return float(self.worth[: self._flagged(cap)].sum() / total) if total else 0.0

    def _flagged(self, cap: float) -> int:
        """How many scores are flagged while at most `cap` of the negatives are."""
        negatives = np.cumsum(self.negatives)
        allowed = int(np.floor(cap * int(negatives[-1]) + 1e-9))
        return int(np.searchsorted(negatives, allowed, side="right"))
