"""Deviations that last: how much the evidence of a single day counts."""

import numpy as np

from lib.monitoring.bins import Floats, Ints

FEWEST_DAYS = 5
"""A reference of fewer days cannot say how much days differ."""

_ALIKE = 1e-12

_LAGS = 14
"""Days, or pooled days, over which deviations are looked at together."""

_RUNS = 3
"""Such spans that a reference must have; a shorter one looks at shorter spans."""

_UNEVEN = 1.5


def tempering(residuals: Floats, days: Ints) -> float:
    """Share of a window's evidence that counts where deviations last.

    The share of independent values in a long run, by what shows the lower one: the correlation r of
    consecutive days, (1 - r) / (1 + r), or the variance of means over up to two weeks beside that
    of as many independent days (Lo and MacKinlay, Review of Financial Studies 1, 1988), which also
    sees what is small from day to day and lasts. What chance explains (a standard error) counts as
    none. Days that lie apart, since they were pooled or rows are of every third day, are as
    consecutive as usual.

    Args:
        residuals: (days,) of a figure.
        days: (days,) since 1970, ascending.
    """
    centred = residuals - residuals.mean()
    sizes = float((centred**2).mean())
    if len(days) <= FEWEST_DAYS or sizes <= _ALIKE:
        return 1.0
    step = float(np.median(np.diff(days)))
    lags = min(_LAGS, len(days) // _RUNS)
    pairs = [_lagged(centred, days, lag, step) / sizes for lag in range(1, lags)]
    if len(pairs[0]) < FEWEST_DAYS:
        return 1.0
    correlations = np.array([pair.mean() if len(pair) else 0.0 for pair in pairs])
    next_day = min(max(0.0, correlations[0] - 1.0 / float(np.sqrt(len(pairs[0])))), 0.99)
    by_chance = 2.0 * (2 * lags - 1) * (lags - 1) / (3.0 * lags * len(days))
    lasting = 2.0 * float((1.0 - np.arange(1, lags) / lags) @ correlations) - np.sqrt(by_chance)
    return float(min((1.0 - next_day) / (1.0 + next_day), 1.0 / (1.0 + max(0.0, lasting))))


def _lagged(centred: Floats, days: Ints, lag: int, step: float) -> Floats:
    """Products of deviations (pairs,) that are so many usual steps apart."""
    near = days[lag:] - days[:-lag] <= _UNEVEN * lag * step
    return np.asarray((centred[lag:] * centred[:-lag])[near])
