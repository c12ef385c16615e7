"""Probability to log-odds and back, safe at both ends."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def logit(probabilities: npt.ArrayLike) -> Floats:
    """Log-odds (natural log) of probabilities, held within about +-36 so that 0 and 1 stay finite.

    >>> logit([0.5, 1.0]).round(2).tolist()
    [0.0, 36.04]
    """
    values = np.clip(np.asarray(probabilities, dtype=np.float64), 2.0**-52, 1.0 - 2.0**-52)
    return np.asarray(np.log(values) - np.log1p(-values))


def sigmoid(logits: npt.ArrayLike) -> Floats:
    """Probabilities of log-odds; large values of either sign give 0 or 1 without overflow."""
    values = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1.0, small) / (1.0 + small))
