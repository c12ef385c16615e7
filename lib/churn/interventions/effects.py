"""What interventions changed, from outcomes of those who got one and of those held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import norm, t

from lib.churn.target import Floats
from lib.churn.vocabulary import ChurnError
from lib.evaluation import Interval
from lib.feature import DAY

_LEVEL, _POWER = 0.95, 0.80
_DOUBT = 0.15
MOST_SHARE = 0.95
"""The largest share of a chance to leave that any intervention is expected to take away."""
_FEWEST = 30


@dataclass(frozen=True)
class Effect(Interval):
    """How far the chance to leave fell by being treated, over those who were chosen.

    Attributes:
        value: fall of the chance; below 0 where it rose.
        low, high: 95% interval.
        treated, held_out: customers.
        detectable: the smallest fall that such numbers would show in four of five cases.
        power: chance to show the fall that was expected, if it is true.
    """

    treated: int
    held_out: int
    detectable: float
    power: float


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
    means, variances, rows = np.array(arms).T
    value = means[1] - means[0]
    error = float(np.sqrt(variances.sum()))
    # Welch and Satterthwaite's degrees of freedom
    parts = float((variances**2 / np.maximum(rows - 1.0, 1.0)).sum())
    freedom = float(variances.sum() ** 2 / parts) if parts > 0 else 1e9
    reach = float(t.ppf(0.5 + _LEVEL / 2.0, freedom))
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


@dataclass(frozen=True)
class MeasuredShare:
    """The share of the chance to leave that an intervention took away, as its outcomes show it.

    Attributes:
        value: the share; below 0 where the chance rose.
        error: its standard error.
    """

    value: float
    error: float

    @classmethod
    def of(cls, effect: Effect, mean_chance: float) -> MeasuredShare:
        """The share that a fall of the chance is.

        Args:
            effect: seen, as a fall of the chance.
            mean_chance: foreseen, of those whom it was seen on.
        """
        width = (effect.high - effect.low) / (2.0 * float(norm.ppf(0.5 + _LEVEL / 2.0)))
        return cls(effect.value / mean_chance, width / mean_chance)

    def revise(self, expected: float, doubt: float = _DOUBT) -> float:
        """An assumed share revised by this one, each weighted by its precision, 0 to 0.95.

        Args:
            expected: assumed, as the share of the chance to leave that goes.
            doubt: standard deviation of that assumption.
        """
        weight = doubt**2 / (doubt**2 + self.error**2)
        return float(np.clip(expected + weight * (self.value - expected), 0.0, MOST_SHARE))


def _arm(
    residual: Floats, probabilities: Floats, weight: Floats, which: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """A Hajek mean, its variance, at least that of the foreseen chances, and how many rows it has.

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
    return mean, max(variance, float((weights**2 * foreseen).sum() / total**2)), rows


def churned_customers(log: pa.Table, churn: pa.Table, window_days: int, until_us: int) -> Floats:
    """Of each logged intervention, 1.0 where the customer gave notice within the window after it.

    NaN where the window is not over at `until_us`.
    """
    notices = defaultdict(list)
    times = churn["event_time"].cast(pa.int64()).to_pylist()
    for name, time in zip(churn["customer_id"].to_pylist(), times, strict=True):
        notices[name].append(time)
    outcomes = np.zeros(log.num_rows)
    planned = log["planned_at"].cast(pa.int64()).to_pylist()
    for row, (name, at) in enumerate(zip(log["customer_id"].to_pylist(), planned, strict=True)):
        end = at + window_days * DAY
        left = any(at < time <= end for time in notices[name])
        outcomes[row] = left if end <= until_us else np.nan
    return outcomes


def effects_of(log: pa.Table, left: Floats) -> dict[str, Effect]:
    """What each playbook changed, where enough outcomes of both sides are known.

    Args:
        log: of earlier plans; see `log_of`.
        left: see `churned_customers`.
    """
    is_known = ~np.isnan(left)
    books = np.array(log["playbook"].to_pylist(), dtype=np.str_)
    treated = ~log["held_out"].to_numpy(zero_copy_only=False).astype(np.bool_)
    effects = {}
    for name in np.unique(books).tolist():
        rows = is_known & (books == name)
        if rows.sum() < _FEWEST:
            continue
        expected = float(log["expected_fall"].to_numpy()[rows].mean())
        try:
            effects[name] = estimate_effect(
                left[rows],
                treated[rows],
                log["propensity"].to_numpy()[rows],
                log["chance"].to_numpy()[rows],
                expected,
            )
        except ChurnError:
            continue
    return effects


def measured_shares(log: pa.Table, effects: Mapping[str, Effect]) -> dict[str, MeasuredShare]:
    """By playbook with enough outcomes, the share of the chance that it took away.

    Args:
        log: of earlier plans; see `log_of`.
        effects: of its playbooks, see `effects_of`.
    """
    books = np.array(log["playbook"].to_pylist(), dtype=np.str_)
    probabilities = log["chance"].to_numpy()
    return {
        name: MeasuredShare.of(effect, float(probabilities[books == name].mean()))
        for name, effect in effects.items()
    }
