"""Checks shared by every measure: arrays of one length, binary labels, finite scores."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Flags, Floats]:
    """Labels as bool (n,) and scores as float64 (n,).

    Raises ValueError naming the array that is empty, of another length, not 0/1 or not finite.
    """
    flags, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if flags.ndim != 1 or flags.shape != values.shape:
        raise ValueError(
            f"labels and scores must be two vectors of one length; got {flags.shape} "
            f"and {values.shape}"
        )
    if not len(flags):
        raise ValueError("labels: expected at least one row, got none")
    if flags.dtype != np.bool_ and not np.isin(flags, (0, 1)).all():
        raise ValueError(f"labels: expected only 0 and 1, got {np.unique(flags)[:5].tolist()}")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: {int((~np.isfinite(values)).sum())} of {len(values)} not finite")
    return flags.astype(np.bool_), values


def both_classes(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Flags, Floats]:
    """The same, for measures that compare the two classes; labels of one class are refused."""
    flags, values = checked(labels, scores)
    positives = int(flags.sum())
    if positives in {0, len(flags)}:
        raise ValueError(
            f"labels: {positives} positives among {len(flags)} rows; needs both classes"
        )
    return flags, values
