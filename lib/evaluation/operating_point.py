"""What is caught when only so many negatives may be disturbed."""

import numpy as np
import numpy.typing as npt

from lib.evaluation.checks import both_classes, checked


def threshold_at_fpr(labels: npt.ArrayLike, scores: npt.ArrayLike, cap: float) -> float:
    """Lowest threshold t such that at most `cap` of the negatives have score >= t.

    The cap holds exactly on these rows, ties included: tied negatives are all left out when they
    do not all fit.

    Args:
        labels: (n,) 0/1, both classes present.
        scores: (n,) finite, higher means more risk.
        cap: largest false positive rate, between 0 and 1.
    """
    flags, values = both_classes(labels, scores)
    if not 0.0 <= cap <= 1.0:
        raise ValueError(f"cap: expected a rate between 0 and 1, got {cap}")
    negatives = np.sort(values[~flags])[::-1]
    allowed = int(np.floor(cap * len(negatives) + 1e-9))
    if allowed >= len(negatives):
        return float(values.min())
    return float(np.nextafter(negatives[allowed], np.inf))


def recall_at_fpr(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    cap: float,
    values: npt.ArrayLike | None = None,
) -> float:
    """Share of positives caught while at most `cap` of the negatives are flagged.

    Args:
        labels: (n,) 0/1, both classes present.
        scores: (n,) finite, higher means more risk.
        cap: largest false positive rate, counted in rows.
        values: (n,) what each row is worth (for payments, minor units of money). Given, the share
            is of value instead of rows. Negative or not finite values are refused.
    """
    flags, ordered = checked(labels, scores)
    caught = flags & (ordered >= threshold_at_fpr(flags, ordered, cap))
    if values is None:
        return float(caught.sum() / flags.sum())
    worth = np.asarray(values, dtype=np.float64)
    if worth.shape != flags.shape or not (worth >= 0).all() or not np.isfinite(worth).all():
        raise ValueError("values: expected one finite amount of 0 or more for each row")
    total = worth[flags].sum()
    return float(worth[caught].sum() / total) if total else 0.0
