"""What interventions changed, from outcomes of those who got one and of those held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from lib.churn.target import Floats
from lib.churn.vocabulary import ChurnError

_LEVEL, _POWER = 0.95, 0.80


@dataclass(frozen=True)
class Effect:
    """How far the chance to leave fell by being treated, over those who were chosen.

    Attributes:
        value: fall of the chance; below 0 where it rose.
        low, high: 95% interval.
        treated, held_out: customers.
        detectable: the smallest fall that such numbers would show in four of five cases.
        power: chance to show the fall that was expected, if it is true.
    """

    value: float
    low: float
    high: float
    treated: int
    held_out: int
    detectable: float
    power: float

    @property
    def shown(self) -> bool:
        """Whether the interval excludes no effect."""
        return self.low > 0.0 or self.high < 0.0


def estimate_effect(
    left: Floats,
    treated: NDArray[np.bool_],
    propensity: Floats,
    probabilities: Floats,
    expected: float = 0.0,
) -> Effect:
    """The mean effect over everyone who was chosen, treated or held out.

    Weighted by propensities and sharpened by what was foreseen without treatment: augmented
    inverse propensity weighting with a known propensity (Robins, Rotnitzky, Zhao, 1994), whose
    estimate is unbiased however poor the forecast is.

    Args:
        left: (n,) 1 where the customer left.
        treated: (n,) who got the intervention.
        propensity: (n,) chance that it was treated when the plan was made, between 0 and 1.
        probabilities: (n,) foreseen chance to leave untreated, at that time.
        expected: fall that was expected, for the power.

    Raises:
        ChurnError: a propensity of 0 or 1, or nobody treated or held out: nothing to compare.
    """
    if len(left) == 0 or treated.all() or not treated.any():
        raise ChurnError(
            f"{int(treated.sum())} treated and {int((~treated).sum())} held out: nothing to compare"
        )
    if not ((propensity > 0.0) & (propensity < 1.0)).all():
        raise ChurnError("propensity: expected between 0 and 1; a certain choice teaches nothing")
    residual = left - probabilities
    weight = np.where(treated, 1.0 / propensity, 1.0 / (1.0 - propensity))
    arms = [_arm(residual, probabilities, weight, which) for which in (treated, ~treated)]
    value = arms[1].mean - arms[0].mean
    error = float(np.sqrt(arms[0].variance + arms[1].variance))
    reach = float(t.ppf(0.5 + _LEVEL / 2.0, _freedom(arms)))
    enough = float(norm.ppf(_POWER))
    power = float(norm.cdf(abs(expected) / error - reach)) if error > 0 else 1.0
    return Effect(
        value=float(value),
        low=float(value - reach * error),
        high=float(value + reach * error),
        treated=int(treated.sum()),
        held_out=int((~treated).sum()),
        detectable=(reach + enough) * error,
        power=power,
    )


def revised(expected: float, doubt: float, effect: Effect, mean_chance: float) -> float:
    """An assumed effect revised by what was seen, each weighted by its precision.

    Args:
        expected: assumed, as the share of the chance to leave that goes.
        doubt: standard deviation of that assumption.
        effect: seen, as a fall of the chance.
        mean_chance: foreseen, of those whom it was seen on.
    """
    estimate = effect.value / mean_chance
    error = (effect.high - effect.low) / (2.0 * float(norm.ppf(0.5 + _LEVEL / 2.0)) * mean_chance)
    weight = doubt**2 / (doubt**2 + error**2)
    return float(np.clip(expected + weight * (estimate - expected), 0.0, 0.95))


@dataclass(frozen=True)
class _Arm:
    """One side of the comparison: weighted mean, its variance, and how many rows it stands on."""

    mean: float
    variance: float
    rows: float


def _arm(residual: Floats, probabilities: Floats, weight: Floats, which: NDArray[np.bool_]) -> _Arm:
    """A Hajek mean, whose variance is at least that of the foreseen chances.

    Few leavers may scatter less than chance would have it, none not at all.
    """
    values, weights = residual[which], weight[which]
    total = weights.sum()
    mean = float((weights * values).sum() / total)
    rows = float(total**2 / (weights**2).sum())
    variance = (
        float((weights**2 * (values - mean) ** 2).sum() / total**2) * rows / max(rows - 1, 1.0)
    )
    foreseen = probabilities[which] * (1.0 - probabilities[which])
    return _Arm(mean, max(variance, float((weights**2 * foreseen).sum() / total**2)), rows)


def _freedom(arms: list[_Arm]) -> float:
    """Welch and Satterthwaite's degrees of freedom."""
    total = sum(arm.variance for arm in arms)
    parts = sum(arm.variance**2 / max(arm.rows - 1.0, 1.0) for arm in arms)
    return float(total**2 / parts) if parts > 0 else 1e9
