"""How well a score orders positives before negatives. Higher scores mean more risk."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from lib.evaluation.checks import both_classes, checked


def roc_auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Chance that a random positive scores above a random negative; ties count half.

    Args:
        labels: (n,) 0/1. One class only is refused with ValueError.
        scores: (n,) finite, higher means more risk.
    """
    flags, values = both_classes(labels, scores)
    return float(roc_auc_score(flags, values))


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Precision averaged over the recall steps, without interpolation.

    Its value for a random score is the prevalence, so read it beside the prevalence.

    Args:
        labels: (n,) 0/1. One class only is refused with ValueError.
        scores: (n,) finite, higher means more risk.
    """
    flags, values = both_classes(labels, scores)
    return float(average_precision_score(flags, values))


def precision_at_k(labels: npt.ArrayLike, scores: npt.ArrayLike, k: int) -> float:
    """Share of positives among the k highest scores.

    Where the k-th place is tied, the tied rows count with their mean, so the answer does not depend
    on the order of rows. With fewer than k rows all rows are taken.

    >>> precision_at_k([1, 0, 0, 1], [0.9, 0.8, 0.1, 0.8], k=2)
    0.75
    """
    flags, values = checked(labels, scores)
    if k < 1:
        raise ValueError(f"k: expected 1 or more, got {k}")
    k = min(k, len(values))
    edge = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = values > edge, values == edge
    slots = k - int(above.sum())
    return float((flags[above].sum() + slots * flags[tied].mean()) / k)
