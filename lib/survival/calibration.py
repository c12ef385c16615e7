"""Whether a chance of .9 means that nine of ten survive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.outcomes import Floats, Outcomes

_LEAST = 1e-10


@dataclass(frozen=True)
class DCalibration:
    """How evenly subjects fail over the quantiles of their own curves.

    Attributes:
        shares: (bins,) of subjects that fail while S is within each tenth; even if calibrated.
        p_value: of Pearson's test that they are even; small is badly calibrated.
    """

    shares: Floats
    p_value: float


@dataclass(frozen=True)
class HorizonGroup:
    """Subjects of similar predicted risk at a horizon.

    Attributes:
        count: of subjects.
        predicted: mean of 1 - S(horizon).
        observed: 1 - Kaplan-Meier at the horizon.
        low, high: ends of its 95% interval (log-log, from Greenwood's variance).
    """

    count: int
    predicted: float
    observed: float
    low: float
    high: float


def d_calibration(outcomes: Outcomes, curves: Curves, bins: int = 10) -> DCalibration:
    """Distributional calibration: Haider, Hoehn, Davis and Greiner, JMLR 21 (2020).

    A censored subject counts in parts: what it had left of its bin, and evenly below. One that was
    watched from `entry` on is judged by its curve from there.
    """
    began = curves.own(outcomes.entry)
    probabilities = np.clip(curves.own(outcomes.time) / np.maximum(began, _LEAST), 0.0, 1.0)
    bin_index = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    counts = np.bincount(bin_index[outcomes.failed], minlength=bins).astype(np.float64)
    for probability, own in zip(
        probabilities[~outcomes.failed], bin_index[~outcomes.failed], strict=True
    ):
        left = max(probability, _LEAST)
        counts[own] += (left - own / bins) / left
        counts[:own] += 1.0 / (bins * left)
    expected = len(outcomes) / bins
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return DCalibration(counts / len(outcomes), float(chi2.sf(statistic, bins - 1)))


def horizon_calibration(
    outcomes: Outcomes, curves: Curves, horizon: float, groups: int = 10
) -> list[HorizonGroup]:
    """Predicted against observed risk of failing by `horizon`, by quantile of the prediction.

    Groups of equal predictions are not split, so there may be fewer.
    """
    risk = 1.0 - curves.at(horizon)[:, 0]
    edges = np.unique(np.quantile(risk, np.linspace(0.0, 1.0, groups + 1)[1:-1]))
    group_index = np.searchsorted(edges, risk, side="left")
    return [
        _group(outcomes.take(group_index == number), risk[group_index == number], horizon)
        for number in np.unique(group_index)
    ]


def calibration_error(groups: list[HorizonGroup]) -> float:
    """Mean distance between predicted and observed risk, each group by its size."""
    total = sum(group.count for group in groups)
    return sum(abs(group.predicted - group.observed) * group.count for group in groups) / total


def _group(outcomes: Outcomes, risk: Floats, horizon: float) -> HorizonGroup:
    estimate = KaplanMeier.fit(outcomes)
    index = int(np.searchsorted(estimate.times, horizon, side="right")) - 1
    survival, variance = estimate.survival[index], estimate.variance[index]
    low, high = survival, survival
    if 0.0 < survival < 1.0:
        spread = 1.959964 * np.sqrt(variance) / (survival * abs(np.log(survival)))
        low, high = survival ** np.exp(spread), survival ** np.exp(-spread)
    return HorizonGroup(
        len(outcomes), float(risk.mean()), float(1 - survival), float(1 - high), float(1 - low)
    )
