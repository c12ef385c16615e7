"""How good survival curves are: their error, their order, and whether they are calibrated."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.outcomes import Floats, Outcomes, SurvivalError

_BLOCK = 256
_SAME = 1e-8
_LEAST = 1e-10


def brier_scores(
    outcomes: Outcomes,
    curves: Curves,
    times: npt.ArrayLike,
    censoring: KaplanMeier,
) -> Floats:
    """The Brier score at each of `times` (k,): 0 is perfect, .25 is S = .5 throughout.

    Subjects whose end was seen before a time weigh 1 / G(end), those still there 1 / G(time), those
    censored before it nothing. Graf, Schmoor, Sauerbrei and Schumacher, Statistics in Medicine 18
    (1999).

    Args:
        outcomes: of n subjects.
        curves: of the same subjects.
        times: below the largest of the outcomes.
        censoring: G, usually fitted on training outcomes.

    Raises:
        SurvivalError: a time is beyond all outcomes, or G is 0 where a weight is needed.
    """
    eval_times = np.atleast_1d(np.asarray(times, dtype=np.float64))
    last = outcomes.time.max()
    if (eval_times < 0).any() or (eval_times >= last).any():
        raise SurvivalError(f"expected times from 0 to below {last}, got {eval_times.max()}")
    ended = outcomes.time[:, None] <= eval_times
    failed = ended & outcomes.failed[:, None]
    survival = curves.at(eval_times)
    counted = outcomes.failed & (outcomes.time <= eval_times.max())
    own = _weights(np.where(counted, censoring.at(outcomes.time), 1.0), outcomes.time)
    squared = np.where(failed, survival**2 * own[:, None], 0.0)
    squared += np.where(
        ~ended, (1.0 - survival) ** 2 * _weights(censoring.at(eval_times), eval_times), 0.0
    )
    return np.asarray(squared.mean(axis=0), dtype=np.float64)


def integrated_brier_score(
    outcomes: Outcomes,
    curves: Curves,
    times: npt.ArrayLike,
    censoring: KaplanMeier | None = None,
) -> float:
    """The mean of the Brier score over `times` (two or more, ascending) by the trapezoid rule.

    `censoring` is fitted on these outcomes where none is given.
    """
    eval_times = np.asarray(times, dtype=np.float64)
    scores = brier_scores(
        outcomes, curves, eval_times, censoring or KaplanMeier.fit_censoring(outcomes)
    )
    return float(np.trapezoid(scores, eval_times) / (eval_times[-1] - eval_times[0]))


def _weights(probabilities: Floats, times: Floats) -> Floats:
    if (probabilities <= 0.0).any():
        at = times[np.flatnonzero(probabilities <= 0.0)[0]]
        raise SurvivalError(f"everybody is censored by {at}: score earlier times only")
    return np.asarray(1.0 / probabilities, dtype=np.float64)


def concordance(outcomes: Outcomes, curves: Curves) -> float:
    """Time-dependent concordance: 1 is perfect, .5 is a guess.

    Of two subjects of whom one was seen to fail while the other was still at risk: how often the
    curve of the one that failed was lower at that time; a tie counts half. For proportional hazards
    this is Harrell's C. Antolini, Boracchi and Biganzoli, Statistics in Medicine 24 (2005).

    Args:
        outcomes: of n subjects.
        curves: of the same subjects.

    Raises:
        SurvivalError: lengths differ, or no two subjects can be compared.
    """
    if len(outcomes) != len(curves):
        raise SurvivalError(f"expected {len(outcomes)} curves, got {len(curves)}")
    failed = np.flatnonzero(outcomes.failed)
    right, pairs = 0.0, 0
    for start in range(0, len(failed), _BLOCK):
        block = failed[start : start + _BLOCK]
        counts = _compared(outcomes, curves.at(outcomes.time[block]), block)
        right, pairs = right + counts[0], pairs + counts[1]
    if pairs == 0:
        raise SurvivalError("no two subjects can be compared: none failed while another was there")
    return right / pairs


def _compared(outcomes: Outcomes, survival: Floats, block: np.ndarray) -> tuple[float, int]:
    """Concordant and all pairs of the failures of `block`; `survival` is (n, block)."""
    when = outcomes.time[block]
    comparable = (outcomes.time[:, None] > when) | (
        (outcomes.time[:, None] == when) & ~outcomes.failed[:, None]
    )
    ahead = survival - survival[block, np.arange(len(block))]
    tied = np.abs(ahead) <= _SAME
    right = np.where(tied, 0.5, ahead > 0.0)
    return float(right[comparable].sum()), int(comparable.sum())


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

    A censored subject counts in parts: what it had left of its bin, and evenly below.
    """
    probabilities = np.clip(curves.own(outcomes.time), 0.0, 1.0)
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
