"""How long an experiment takes to show the smallest gain worth having, and what that costs.

The history of money per entity says how much a difference of means would vary. The variance of an
entity's money over d days is a * d + b * d**2: noise from day to day, and what entities keep, which
the covariance of the history's two halves shows and CUPED takes out in part. So longer times than
the history can be planned, too. The power is that of the daily looks that the judgement uses, not
of one test at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from lib.business.outcomes import Floats, Ints
from lib.declaration import require_share
from lib.experiment.covariate import adjust, before_columns
from lib.experiment.effect import WINSOR_QUANTILE, quantiles
from lib.experiment.errors import ExperimentError
from lib.experiment.exposure import DAY, MoneyRows
from lib.experiment.sequential import boundaries, crossing_probabilities

_WEEK = 7.0
_MOST_DAYS = 182


@dataclass(frozen=True)
class History:
    """Money per entity and day of the past, with one model.

    Attributes:
        money: (entities, days) currency units, 0 where an entity had no decision.
        first_day: (entities,) the day on which an entity was first decided about, from 0.
    """

    money: Floats
    first_day: Ints

    def __post_init__(self) -> None:
        entities, days = self.money.shape
        if entities < 20 or days < 4:
            raise ExperimentError(
                f"history: expected 20 entities and 4 days with ripe outcomes or more, got "
                f"{entities} and {days}; give an earlier --from"
            )
        if not np.isfinite(self.money).all():
            raise ExperimentError("history: expected finite money")


@dataclass(frozen=True)
class Design:
    """What is planned.

    Attributes:
        share: of entities in the challenger's arm.
        smallest_gain: money a week worth having, were the challenger to decide for all.
        power: probability to show it.
        alpha: probability of a wrong conclusion.
        quantile: of winsorising.
    """

    share: float
    smallest_gain: float
    power: float = 0.8
    alpha: float = 0.05
    quantile: float = WINSOR_QUANTILE

    def __post_init__(self) -> None:
        require_share("share", self.share, ExperimentError)
        if not self.smallest_gain > 0.0:
            raise ExperimentError(f"smallest_gain: expected above 0, got {self.smallest_gain}")
        if not self.alpha < self.power < 1.0:
            raise ExperimentError(
                f"power: expected above alpha ({self.alpha}) and below 1, got {self.power}"
            )


@dataclass(frozen=True)
class PlannedTime:
    """An experiment of some days.

    Attributes:
        days: of ripe outcomes.
        entities: in both arms at its end.
        detectable: the gain, money a week, that is shown with the planned power.
        power: to show the smallest gain worth having.
        mean_days: until it is decided, were that gain true.
    """

    days: int
    entities: int
    detectable: float
    power: float
    mean_days: float


@dataclass(frozen=True)
class ExperimentPlan:
    """The shortest experiment of enough power, beside others.

    Attributes:
        design: what was asked for.
        chosen: the shortest one; None where half a year is not enough.
        times: of one week, two weeks and so on, and the chosen one.
        variance_cut: share of the variance that the time before explains, at half the history.
        cost_if_worse: money lost until it ends, were the challenger worse by the smallest gain.
        cost_of_waiting: money not gained meanwhile, were it better by that.
    """

    design: Design
    chosen: PlannedTime | None
    times: tuple[PlannedTime, ...]
    variance_cut: float
    cost_if_worse: float | None
    cost_of_waiting: float | None


def plan_experiment(history: History, design: Design) -> ExperimentPlan:
    """Find the days that an experiment needs.

    Args:
        history: of the champion's decisions.
        design: gain, power and share.
    """
    variation = _Variation.of(history, design.quantile)
    enough = _enough_days(variation, design)
    chosen = None if enough is None else _planned(variation, design, enough)
    usual = [7, 14, 21, 28, 42, 56, 84, _MOST_DAYS]
    days_listed = sorted({*usual} if enough is None else {*usual, enough})
    weeks = chosen.mean_days / _WEEK if chosen else None
    return ExperimentPlan(
        design=design,
        chosen=chosen,
        times=tuple(_planned(variation, design, days) for days in days_listed),
        variance_cut=variation.cut,
        cost_if_worse=None if weeks is None else design.smallest_gain * design.share * weeks,
        cost_of_waiting=None
        if weeks is None
        else design.smallest_gain * (1.0 - design.share) * weeks,
    )


@dataclass(frozen=True)
class _Variation:
    """Variance of an entity's money over d days, noise * d + kept * d**2, and entities by days."""

    noise: float
    kept: float
    cut: float
    entities: float
    growth: float

    @classmethod
    def of(cls, history: History, quantile: float) -> _Variation:
        days = history.money.shape[1]
        half = days // 2
        earlier = history.money[:, : days - half].sum(axis=1)
        later = history.money[:, days - half :]
        active = (later != 0.0).any(axis=1)
        if int(active.sum()) < 20:
            raise ExperimentError(
                f"history: expected 20 entities in its second half or more, got {active.sum()}"
            )
        outcome = _clipped(later[active].sum(axis=1), quantile)
        before = _clipped(earlier[active], quantile)
        known = history.first_day[active] < days - half
        columns = before_columns(np.where(known, before, np.nan))
        cut = adjust(outcome, columns, np.zeros(len(outcome), dtype=np.bool_)).variance_cut
        variance = float(outcome.var(ddof=1))
        shared = float(np.cov(before, outcome)[0, 1]) / (half * (days - half))
        kept = float(np.clip(shared, 0.0, 0.9 * variance / half**2))
        noise = variance / half - kept * half
        # of what entities keep, the days before tell the more, the more of them there are
        left = kept * noise / (noise + kept * (days - half)) if noise > 0.0 else 0.0
        weeks = [int((later[:, half - d :] != 0.0).any(axis=1).sum()) for d in (1, half)]
        growth = float(np.log(max(weeks[1], 1) / max(weeks[0], 1)) / np.log(max(half, 2)))
        growth = max(0.0, growth)
        return cls(noise, left, cut, weeks[1] / half**growth, growth)

    def entities_in(self, days: float) -> float:
        """Entities that are decided about within days."""
        return float(self.entities * days**self.growth)

    def weekly_error(self, days: float, share: float) -> float:
        """Standard error of the gain in money a week, over all entities."""
        count = self.entities_in(days)
        variance = self.noise * days + self.kept * days**2
        of_mean = np.sqrt(variance / count * (1.0 / share + 1.0 / (1.0 - share)))
        return float(of_mean * count * _WEEK / days)


def _clipped(values: Floats, quantile: float) -> Floats:
    return np.clip(values, *quantiles(values, quantile))


def _enough_days(variation: _Variation, design: Design) -> int | None:
    for days in range(1, _MOST_DAYS + 1):
        needed = _needed_drift(_look_count(days), design.alpha, design.power)
        if design.smallest_gain >= needed * variation.weekly_error(days, design.share):
            return days
    return None


def _planned(variation: _Variation, design: Design, days: int) -> PlannedTime:
    error = variation.weekly_error(days, design.share)
    count = _look_count(days)
    drift = design.smallest_gain / max(error, 1e-12)
    ends = _crossing(count, design.alpha, min(drift, 40.0))
    decided = ends.sum(axis=1)
    at = days * np.arange(1, count + 1) / count
    return PlannedTime(
        days=days,
        entities=round(variation.entities_in(days)),
        detectable=_needed_drift(count, design.alpha, design.power) * error,
        power=float(ends[:, 0].sum()),
        mean_days=float(decided @ at + (1.0 - decided.sum()) * days),
    )


def _look_count(days: int) -> int:
    """Daily looks, at most 28 of them."""
    return min(days, 28)


@lru_cache(maxsize=1024)
def _bounds(count: int, alpha: float) -> tuple[float, ...]:
    return tuple(boundaries([look / count for look in range(1, count + 1)], alpha).tolist())


def _crossing(count: int, alpha: float, drift: float) -> Floats:
    looks = [look / count for look in range(1, count + 1)]
    return crossing_probabilities(_bounds(count, alpha), looks, drift)


@lru_cache(maxsize=1024)
def _needed_drift(count: int, alpha: float, power: float) -> float:
    """Expected standardised gain at the end that is shown with this power."""
    return float(
        brentq(
            lambda drift: float(_crossing(count, alpha, drift)[:, 0].sum()) - power,
            0.0,
            12.0,
            xtol=1e-4,
        )
    )


def history_of(rows: MoneyRows) -> History:
    """The history of decisions about entities: whole UTC days whose outcomes are ripe.

    Raises:
        ExperimentError: no outcome is ripe, or there are too few days or entities.
    """
    ripe = ~np.isnan(rows.money)
    if not ripe.any():
        raise ExperimentError(
            f"history: none of {len(ripe):,} outcomes is ripe; give an earlier --from and --to"
        )
    day = rows.decided_at // DAY
    first, last = int(day[ripe].min()), int(day[ripe].max())
    inside = ripe & (day >= first) & (day <= last)
    codes, entity = np.unique(rows.entity[inside], return_inverse=True)
    days = last - first + 1
    money = np.zeros((len(codes), days))
    at = day[inside] - first
    np.add.at(money, (entity, at), rows.money[inside])
    first_day = np.full(len(codes), days, dtype=np.int64)
    np.minimum.at(first_day, entity, at)
    return History(money, first_day)
