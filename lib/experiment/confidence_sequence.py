"""Intervals that hold at every look at once, for experiments without an end.

A confidence sequence covers the true effect at all times together with the stated probability, so
that anybody may look whenever they like and stop when they like. This is the asymptotic one: the
normal mixture of Robbins (1970), applied to means whose variance is estimated. At intrinsic time
r it is wider than a single interval by

    bound(r) = sqrt((r + 1) / r * log((r + 1) / alpha**2))

standard errors instead of 1.96, narrowest near a time that is chosen before.

References:
    I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas (2024), Time-uniform central
    limit theory and asymptotic confidence sequences, Annals of Statistics 52(6), 2613-2640
    (arXiv 2103.06476), theorem 2.2 and appendix B.2.
    S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon (2021), Time-uniform, nonparametric,
    nonasymptotic confidence sequences, Annals of Statistics 49(2), 1055-1080, proposition 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw

from lib.declaration import require_share
from lib.experiment.errors import ExperimentError

Floats = npt.NDArray[np.float64]


def best_time(alpha: float = 0.05) -> float:
    """The intrinsic time at which the bound is narrowest: -W_{-1}(-alpha**2 / e) - 1.

    >>> round(best_time(0.05), 3)
    8.212
    """
    require_share("alpha", alpha, ExperimentError)
    return float(-lambertw(-(alpha**2) / np.e, -1).real - 1.0)


def time_uniform_bound(time: npt.ArrayLike, alpha: float = 0.05) -> Floats:
    """Standard errors on either side of the estimate, at intrinsic times of any shape above 0."""
    r = np.asarray(time, dtype=np.float64)
    if not (r > 0.0).all():
        raise ExperimentError(f"time: expected above 0, got {r.min()}")
    return np.sqrt((r + 1.0) / r * np.log((r + 1.0) / alpha**2))


def intrinsic_times(first: float, correlations: Sequence[float], alpha: float = 0.05) -> Floats:
    """(looks,) intrinsic times, so that the estimate is a Brownian motion over the time.

    Between two looks time grows by the square of the correlation of their standardised errors:
    for means of n independent entities that is the growth of n.

    Args:
        first: how far the first look is on the way to the one that shall be the sharpest, above 0.
        correlations: (looks - 1,) of each later look with the one before, 0 to 1.
        alpha: probability that the sequence ever misses the truth.
    """
    if not first > 0.0:
        raise ExperimentError(f"first: expected above 0, got {first}")
    squares = np.maximum(np.asarray(correlations, dtype=np.float64), 1e-6) ** 2
    return best_time(alpha) * first / np.concatenate([[1.0], np.cumprod(squares)])
