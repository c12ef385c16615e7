"""The likelihood of hazards that are constant within intervals, and what it needs of outcomes."""

import numpy as np
from torch import Tensor

from lib.survival.outcomes import Codes, Floats, Outcomes, SurvivalError

_LEAST = 1e-12


def cut_points(
    outcomes: Outcomes, intervals: int, horizon: float | None = None, failing: int = 1
) -> Floats:
    """(m + 1,) ascending from 0 to `horizon`, with about as many failures in each interval.

    Equal times of failures make fewer intervals. As Kvamme and Borgan, Lifetime Data Analysis 27
    (2021), choose them.

    Args:
        outcomes: of training subjects.
        intervals: m at most, 1 or more.
        horizon: the last cut; the longest time of a failure where none is given.
        failing: how many of the causes, from 1 on, are failures.

    Raises:
        SurvivalError: nobody failed before the horizon, or there is no interval.
    """
    if intervals < 1:
        raise SurvivalError(f"expected 1 interval or more, got {intervals}")
    failures = outcomes.time[(outcomes.event > 0) & (outcomes.event <= failing)]
    last = float(failures.max(initial=0.0)) if horizon is None else float(horizon)
    inside = failures[failures <= last]
    if not len(inside):
        raise SurvivalError(
            f"no failures among {len(outcomes)} training outcomes within {last:g}; "
            "give more history or a longer horizon"
        )
    inner = np.quantile(inside, np.linspace(0.0, 1.0, intervals + 1)[1:-1])
    inner = inner[(inner > 0.0) & (inner < last * (1.0 - 1e-9))]
    return np.unique(np.concatenate([[0.0], inner, [last]]))


def exposures(outcomes: Outcomes, cuts: Floats) -> Floats:
    """(n, m) time at risk of each subject in each interval, over (0, time]."""
    until = np.minimum(outcomes.time[:, None], cuts[1:])
    return np.maximum(until - cuts[:-1], 0.0)


def last_intervals(outcomes: Outcomes, cuts: Floats) -> Codes:
    """(n,) the interval in which each subject ended; intervals are (cut, next cut]."""
    intervals = np.searchsorted(cuts, outcomes.time, side="left") - 1
    return np.clip(intervals, 0, len(cuts) - 2).astype(np.int64)


def occurrence_rates(outcomes: Outcomes, cuts: Floats, causes: int | None = None) -> Floats:
    """(causes, m) events over time at risk, the likelihood's maximum without covariates.

    An interval without an event of a cause is given half of one, so that no rate is 0.
    """
    at_risk = np.maximum(exposures(outcomes, cuts).sum(axis=0), 1e-12)
    intervals = last_intervals(outcomes, cuts)
    rates = np.empty((causes or outcomes.causes, len(cuts) - 1))
    for cause in range(len(rates)):
        ended = intervals[outcomes.event == cause + 1]
        counts = np.bincount(ended, minlength=len(cuts) - 1).astype(np.float64)
        rates[cause] = np.maximum(counts, 0.5) / at_risk
    return rates


def hazard_loss(hazards: Tensor, exposure: Tensor, event: Tensor, interval: Tensor) -> Tensor:
    """Mean negative log-likelihood; differentiable.

    A subject adds the hazards of all causes times its time at risk, less the log of the hazard of
    the cause that ended it in the interval where it did. Friedman, Annals of Statistics 10 (1982);
    competing causes as in Putter, Fiocco and Geskus, Statistics in Medicine 26 (2007).

    Args:
        hazards: (n, causes, m), above 0, per unit of time.
        exposure: (n, m) time at risk in each interval.
        event: (n,) 0 censored, else the cause from 1.
        interval: (n,) where it ended, 0 to m - 1.

    Raises:
        SurvivalError: shapes do not belong together.
    """
    n, _, m = hazards.shape
    if exposure.shape != (n, m) or event.shape != (n,) or interval.shape != (n,):
        raise SurvivalError(
            f"expected exposure ({n}, {m}), event and interval ({n},), got "
            f"{tuple(exposure.shape)}, {tuple(event.shape)} and {tuple(interval.shape)}"
        )
    risk = (hazards.sum(dim=1) * exposure).sum(dim=1)
    cause = (event - 1).clamp(min=0)
    at_end = hazards.gather(2, interval[:, None, None].expand(n, hazards.shape[1], 1))[:, :, 0]
    ended = at_end.gather(1, cause[:, None])[:, 0]
    gain = ended.clamp(min=_LEAST).log() * (event > 0)
    return (risk - gain).mean()
