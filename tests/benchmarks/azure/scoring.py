"""Figures with intervals by machines: curves on the cohort, warnings before failures."""

from __future__ import annotations

import numpy as np

from lib.evaluation import Interval, bootstrap_interval
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.model.alarms import lowest_within
from lib.survival.curves import Curves
from lib.survival.measures import (
    calibration_error,
    concordance,
    horizon_calibration,
    integrated_brier_score,
)
from tests.benchmarks.azure.models import HORIZON, SCORED, WARN_HOURS
from tests.benchmarks.azure.rows import Azure

TARGET = 0.2
REPEATS = 60
_MONTH_HOURS = 730.5


def measured(
    data: Azure, curves: Curves, scores: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """All figures of one model."""
    outcomes = data.test.outcomes.capped(HORIZON)
    machines = data.test.machines
    times = SCORED[outcomes.time.max() > SCORED]

    def by_machines(measure) -> Interval:
        return bootstrap_interval(measure, machines, seed=1, repeats=REPEATS)

    measures = {
        "c_td": by_machines(lambda some: concordance(outcomes.take(some), curves.take(some))),
        "ibs": by_machines(
            lambda some: integrated_brier_score(
                outcomes.take(some), curves.take(some), times[times < outcomes.time[some].max()]
            )
        ),
    }
    for name, hours in (("ece_24h", 24.0), ("ece_7d", 168.0)):
        measures[name] = by_machines(
            lambda some, hours=hours: calibration_error(
                horizon_calibration(outcomes.take(some), curves.take(some), hours)
            )
        )
    threshold = lowest_threshold(data, scores[0])
    alarms = scores[0] >= threshold
    measures["false_alarms_per_machine_month"] = by_machines(
        lambda some: false_alarms(data, alarms, np.unique(machines[some], return_counts=True))
    )
    hit = warned(data, scores[1] >= threshold)
    measures["warned_24h"] = bootstrap_interval(
        lambda some: float(hit[some].mean()), failed_machines(data), seed=1, repeats=REPEATS
    )
    return {
        key + end: value
        for key, interval in measures.items()
        for end, value in (("", interval.value), ("_low", interval.low), ("_high", interval.high))
    }


def ibs_difference(data: Azure, other: Curves, ours: Curves) -> Interval:
    """How much higher another model's IBS is, on the same draws of machines."""
    outcomes = data.test.outcomes.capped(HORIZON)
    times = SCORED[outcomes.time.max() > SCORED]

    def gain(some: np.ndarray) -> float:
        part, upto = outcomes.take(some), times[times < outcomes.time[some].max()]
        return integrated_brier_score(part, other.take(some), upto) - integrated_brier_score(
            part, ours.take(some), upto
        )

    return bootstrap_interval(gain, data.test.machines, seed=1, repeats=REPEATS)


def lowest_threshold(data: Azure, scores: np.ndarray) -> float:
    """The lowest score at which alarms of the whole cohort stay within the target."""
    everyone = np.unique(data.test.machines, return_counts=True)
    return lowest_within(scores, lambda alarms: false_alarms(data, alarms, everyone), TARGET)


def false_alarms(data: Azure, alarms: np.ndarray, drawn: tuple[np.ndarray, np.ndarray]) -> float:
    """Episodes of alarms without a failure in the next 72 h, per machine-month of these machines.

    Alarms within a day of each other are one episode.
    """
    names, counts = drawn
    rows_of = {name: int((data.test.machines == name).sum()) for name in names}
    episodes, hours = 0.0, 0.0
    wrong = alarms & ~(data.test.outcomes.failed & (data.test.outcomes.time <= WARN_HOURS))
    unknown = ~data.test.outcomes.failed & (data.test.outcomes.time <= WARN_HOURS)
    for name, count in zip(names, counts, strict=True):
        own_rows = (data.test.machines == name) & wrong & ~unknown
        times = data.test.at_us[own_rows]
        times_drawn = count / rows_of[name]
        episodes += times_drawn * (len(times) > 0) * (1 + (np.diff(times) > 24 * HOUR_US).sum())
        hours += times_drawn * 6.0 * rows_of[name]
    return float(episodes / hours * _MONTH_HOURS)


def warned(data: Azure, alarms: np.ndarray) -> np.ndarray:
    """(failures,) whether any row a day or more before it raised an alarm."""
    names, owner = np.unique(data.failure, return_inverse=True)
    return np.bincount(owner, weights=alarms, minlength=len(names)) > 0


def failed_machines(data: Azure) -> np.ndarray:
    """(failures,) the machine of each."""
    return np.array([name.split()[0] for name in np.unique(data.failure)])
