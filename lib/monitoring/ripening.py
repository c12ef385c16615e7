"""When labels come in: their share by age, and what a window's counts will be in the end.

Only labels that came by now can be seen, so short delays are seen too often, the more so the
younger the events. With delay U and age A (now less the event's time) a label is seen where U <= A:
right truncation. In reversed time the delays are left-truncated, and the product-limit estimator
holds: Lagakos, Barraj and De Gruttola, Nonparametric analysis of truncated survival data, with
application to AIDS, Biometrika 75 (1988); Kalbfleisch and Lawless, JASA 84 (1989). What it gives is
the share among labels that come within the oldest age, as nobody has seen longer delays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.evaluation import Interval
from lib.monitoring.scored_rows import DAY, Codes, Floats, MonitoringError

FEWEST_LABELS = 20
"""Labels below which no curve is fitted."""
_FEWEST_AT_RISK = 10.0


@dataclass(frozen=True)
class LabelDelays:
    """Labels that came by `as_of`; arrays (n,).

    Attributes:
        entity: code of the entity, the same for the same one.
        event_time: microseconds since 1970 UTC.
        observed_at: when the label became known, likewise; not before the event.
        as_of: likewise; later labels are left out.
    """

    entity: Codes
    event_time: Codes
    observed_at: Codes
    as_of: int

    def __post_init__(self) -> None:
        if not len(self.entity) == len(self.event_time) == len(self.observed_at):
            raise MonitoringError(
                f"observed_at: expected {len(self.event_time)} rows, got {len(self.observed_at)}"
            )

    @property
    def in_time(self) -> npt.NDArray[np.bool_]:
        """(n,) labels that had come by `as_of`."""
        return np.asarray(self.observed_at <= self.as_of)

    @property
    def delay(self) -> Floats:
        """(n,) days from event to label; a label before its event counts as none."""
        return np.asarray(np.maximum(self.observed_at - self.event_time, 0) / DAY)

    @property
    def age(self) -> Floats:
        """(n,) days from event to `as_of`."""
        return np.asarray(np.maximum(self.as_of - self.event_time, 0) / DAY)


@dataclass(frozen=True)
class RipeningCurve:
    """Share of labels that are in, by age of the event.

    Attributes:
        ages: (m,) days, rising: where the share rises.
        shares: (m,) from each age on, up to 1.
        oldest: days, the longest delay that it knows of; labels that come later are not in it.
        labels: that it was learnt from.
    """

    ages: Floats
    shares: Floats
    oldest: float
    labels: int

    def share(self, age: npt.ArrayLike) -> Floats:
        """Share of labels in at ages (days) of any shape."""
        index = np.searchsorted(self.ages, np.asarray(age, dtype=np.float64), side="right")
        return np.asarray(np.r_[0.0, self.shares][index], dtype=np.float64)

    def age(self, share: float) -> float:
        """Days after which at least this share of labels is in."""
        index = int(np.searchsorted(self.shares, share - 1e-12, side="left"))
        return float(self.ages[min(index, len(self.ages) - 1)])

    def ripeness(self, event_time: Codes, as_of: int) -> Floats:
        """(n,) share of labels in for events at these times, microseconds since 1970 UTC."""
        return self.share((as_of - event_time) / DAY)


def fit_ripening(delays: LabelDelays, weight: Floats | None = None) -> RipeningCurve:
    """The product-limit estimate in reversed time; see the module's sources.

    F(u) is the product over delays s > u of 1 - d(s) / n(s): d(s) labels came after s days, and
    n(s) of the labels have a delay of s at most and an age of s at least. Delays at the long end
    for which n(s) is below ten are left out, as the last of few would be the whole of them.

    Args:
        delays: of labels.
        weight: (n,) how often each label counts; None is once.

    Raises:
        MonitoringError: fewer than `FEWEST_LABELS` labels are in.
    """
    rows = delays.in_time if weight is None else delays.in_time & (weight > 0)
    if int(rows.sum()) < FEWEST_LABELS:
        raise MonitoringError(
            f"observed_at: expected {FEWEST_LABELS} labels or more that are in, got "
            f"{int(rows.sum())}"
        )
    times = np.ones(int(rows.sum())) if weight is None else weight[rows]
    delay, age = delays.delay[rows], delays.age[rows]
    ages, index = np.unique(delay, return_inverse=True)
    arrived = np.bincount(index, weights=times)
    by_age = np.argsort(age)
    younger = np.r_[0.0, np.cumsum(times[by_age])][np.searchsorted(age[by_age], ages, side="left")]
    at_risk = np.cumsum(arrived) - younger
    known = int(np.flatnonzero(at_risk >= min(_FEWEST_AT_RISK, at_risk.max()))[-1]) + 1
    factors = 1.0 - arrived[:known] / np.maximum(at_risk[:known], arrived[:known])
    shares = np.r_[np.cumprod(factors[:0:-1])[::-1], 1.0]
    return RipeningCurve(ages[:known], shares, float(ages[known - 1]), int(rows.sum()))


@dataclass(frozen=True)
class CorrectedCount:
    """Labels of a window, and how many they will be.

    Attributes:
        rows: decisions of the window.
        labels: positive labels that are in.
        ripeness: share of labels in, the mean over the window's rows.
        count: labels that there will be, with the ends of its interval over entities.
        rate: the same by row.
    """

    rows: int
    labels: int
    ripeness: float
    count: Interval
    rate: Interval


def correct_count(
    delays: LabelDelays,
    window: npt.NDArray[np.bool_],
    event_time: Codes,
    *,
    seed: int,
    repeats: int = 200,
    level: float = 0.95,
) -> CorrectedCount:
    """How many labels a window will have: each label that is in counts 1 / its share in by age.

    Horvitz and Thompson, JASA 47 (1952), with the probability of being in from `fit_ripening`.
    Entities are drawn with replacement as a whole, and the curve is learnt anew in each draw; what
    luck is in the number of labels to come is not in the interval.

    Args:
        delays: of all positive labels, the window's and those before it.
        window: which of them are of the window.
        event_time: (rows,) of all decisions of the window, microseconds since 1970 UTC.
        seed: of the draws.
        repeats: draws.
        level: share of draws inside the interval.

    Raises:
        MonitoringError: too few labels, or no age of the window has a label yet.
    """
    ripeness = fit_ripening(delays).ripeness(event_time, delays.as_of)
    value = _corrected(delays, window, ripeness, np.ones(len(delays.entity)))
    draws = []
    for weight in entity_draws(delays.entity, seed, repeats):
        try:
            draws.append(_corrected(delays, window, ripeness, weight))
        except MonitoringError:
            continue
    low, high = value, value
    if draws:
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]).tolist()
    count, size = Interval(value, float(low), float(high)), max(len(event_time), 1)
    rate = Interval(count.value / size, count.low / size, count.high / size)
    labels = int((window & delays.in_time).sum())
    return CorrectedCount(len(event_time), labels, float(ripeness.mean()), count, rate)


def entity_draws(entity: Codes, seed: int, repeats: int) -> Iterator[Floats]:
    """(n,) how often each row counts, `repeats` times: entities drawn with replacement.

    Field and Welsh, Bootstrapping clustered data, JRSS B 69 (2007).
    """
    codes = np.unique(entity, return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    for _ in range(repeats):
        drawn = np.bincount(generator.integers(0, count, count), minlength=count)
        yield drawn[codes].astype(np.float64)


def _corrected(
    delays: LabelDelays, window: npt.NDArray[np.bool_], ripeness: Floats, weight: Floats
) -> float:
    """Labels in, divided by the share that is in; a window nobody can have a label of is refused.

    Rows of an age at which no label ever came cannot be counted up by their own labels: they take
    the rate of the others.
    """
    curve = fit_ripening(delays, weight)
    rows = window & delays.in_time & (weight > 0)
    share = curve.share(delays.age[rows])
    able = float((ripeness > 0).mean()) if len(ripeness) else 0.0
    if able == 0.0:
        raise MonitoringError("event_time: expected rows old enough for labels, got none")
    return float((weight[rows] / np.maximum(share, 1e-9)).sum() / able)
