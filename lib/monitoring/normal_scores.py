"""A number's location and spread on the scale of a normal distribution, from counts by bin."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]
_DENSITY = 1.0 / np.sqrt(2.0 * np.pi)


@dataclass(frozen=True)
class NormalScores:
    """Scores of each bin, whose mean over the reference's rows is 0 and 1.

    Attributes:
        location: (bins,) mean of a standard normal variable within the bin; van der Waerden's
            scores for grouped data. A shift of a normal feature by d standard deviations moves
            their mean by about d, and outliers of heavy tails do not reach them.
        spread: (bins,) mean of its square.
    """

    location: Floats
    spread: Floats


def normal_scores(counts: npt.ArrayLike) -> NormalScores:
    """Scores of bins by the rows (bins,) of the reference; zero rows get the score of their edge.

    Source: Hájek, Šidák and Sen, Theory of rank tests (1999), section 4.3 (grouped data).
    """
    rows = np.asarray(counts, dtype=np.float64)
    total = max(float(rows.sum()), 1.0)
    upper = np.clip(np.cumsum(rows) / total, 0.0, 1.0)
    lower = np.concatenate([[0.0], upper[:-1]])
    share = np.maximum(upper - lower, 1e-12)
    low, high = _cut(lower, total), _cut(upper, total)
    filled = upper - lower > 1e-12
    location = np.where(filled, (_phi(low) - _phi(high)) / share, low)
    spread = np.where(filled, 1.0 + (low * _phi(low) - high * _phi(high)) / share, low**2)
    return NormalScores(location, spread)


def _cut(shares: Floats, total: float) -> Floats:
    edge = 0.25 / (total + 1.0)
    return np.asarray(ndtri(np.clip(shares, edge, 1.0 - edge)))


def _phi(values: Floats) -> Floats:
    return np.asarray(_DENSITY * np.exp(-0.5 * values**2))
