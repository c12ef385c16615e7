"""Failures beside what was foreseen, false alarms, and survival curves on ripe windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from lib.evaluation import Interval, bootstrap_interval
from lib.monitoring.scored_rows import Codes, Flags, Floats, MonitoringError
from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.measures import concordance, integrated_brier_score
from lib.survival.outcomes import Outcomes, SurvivalError

_HOURS_A_MONTH = 365.25 / 12 * 24


def poisson_interval(count: int, level: float = 0.95) -> tuple[float, float]:
    """Exact limits of the mean of a Poisson count.

    Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936).

    >>> [round(limit, 2) for limit in poisson_interval(10)]
    [4.8, 18.39]
    """
    tail = (1.0 - level) / 2.0
    low = float(chi2.ppf(tail, 2 * count) / 2.0) if count else 0.0
    return low, float(chi2.ppf(1.0 - tail, 2 * count + 2) / 2.0)


@dataclass(frozen=True)
class FailureCount:
    """Failures within a horizon, seen and foreseen.

    Attributes:
        horizon_hours: length of the horizon from each landmark, hours.
        observed: failures within it that were reported.
        expected: sum of the foreseen probabilities.
        low, high: exact 95% limits of what the observed count could be in the mean.
        ratio: observed over expected with the same limits.
        calibrated: whether the expected count lies within the limits.
        rows: machines at a time that were ripe, i.e. watched over the whole horizon or failed.
        ripeness: share of the rows that were.
    """

    horizon_hours: float
    observed: int
    expected: float
    low: float
    high: float
    ratio: Interval
    calibrated: bool
    rows: int
    ripeness: float


def failure_count(
    outcomes: Outcomes, curves: Curves, horizon_hours: float, level: float = 0.95
) -> FailureCount:
    """Observed against expected failures by a horizon.

    A machine that was serviced or lost from sight before is counted as far as it was watched: what
    is expected of it is its cumulative hazard until then, so that both counts have one mean
    (Berry, The analysis of mortality by the subject-years method, Biometrics 39, 1983).

    Args:
        outcomes: of machines at landmarks, hours; landmarks of one machine must not overlap within
            the horizon, else a failure counts twice.
        curves: of the same, foreseen at the landmark.
        horizon_hours: above 0.
        level: of the exact limits.

    Raises:
        MonitoringError: lengths differ, or there is nothing.
    """
    if not len(outcomes) or len(outcomes) != len(curves):
        raise MonitoringError(f"curves: expected one for each of {len(outcomes)} outcomes")
    within = outcomes.capped(horizon_hours)
    observed = int(within.failed.sum())
    survival = np.maximum(curves.own(within.time), 1e-12)
    expected = float(-np.log(survival).sum())
    low, high = poisson_interval(observed, level)
    safe = max(expected, 1e-12)
    ripe = within.failed | (outcomes.time >= horizon_hours)
    return FailureCount(
        horizon_hours=horizon_hours,
        observed=observed,
        expected=expected,
        low=low,
        high=high,
        ratio=Interval(observed / safe, low / safe, high / safe),
        calibrated=low <= expected <= high,
        rows=len(outcomes),
        ripeness=float(ripe.mean()),
    )


@dataclass(frozen=True)
class FalseAlarms:
    """Alarms that no failure followed.

    Attributes:
        alarms: all of the window whose horizon has passed.
        false: those without a failure in it.
        machine_months: watched.
        rate: false alarms per machine and month, with exact 95% limits.
    """

    alarms: int
    false: int
    machine_months: float
    rate: Interval


def false_alarms(
    machine: Codes,
    alarm_time: Codes,
    failure_machine: Codes,
    failure_time: Codes,
    *,
    horizon_hours: float,
    watched_hours: float,
    level: float = 0.95,
) -> FalseAlarms:
    """False alarms per machine-month; alarms of one machine within a horizon count as one.

    Args:
        machine: (n,) codes of machines that were alarmed about.
        alarm_time: (n,) microseconds since 1970 UTC, ripe ones only.
        failure_machine: (m,) codes of machines that failed.
        failure_time: (m,) likewise.
        horizon_hours: in which a failure proves an alarm right.
        watched_hours: of all machines together in the window, above 0.
        level: of the exact limits.

    Raises:
        MonitoringError: nothing was watched.
    """
    if not watched_hours > 0:
        raise MonitoringError(f"watched_hours: expected above 0, got {watched_hours}")
    horizon_us = horizon_hours * 3_600_000_000
    alarms = false = 0
    for code in np.unique(machine):
        failures = np.sort(failure_time[failure_machine == code])
        until = -np.inf
        for time in np.sort(alarm_time[machine == code]):
            if time < until:
                continue
            until = time + horizon_us
            next_failure = np.searchsorted(failures, time, side="right")
            proven = next_failure < len(failures) and failures[next_failure] <= until
            alarms, false = alarms + 1, false + int(not proven)
    months = watched_hours / _HOURS_A_MONTH
    low, high = (limit / months for limit in poisson_interval(false, level))
    return FalseAlarms(alarms, false, months, Interval(false / months, low, high))


@dataclass(frozen=True)
class CurveQuality:
    """Order and error of survival curves on machines that were watched long enough.

    Attributes:
        c_td: time-dependent concordance, over machines.
        ibs: integrated Brier score up to the horizon, over machines.
        rows: landmarks.
        machines: of them.
    """

    c_td: Interval
    ibs: Interval
    rows: int
    machines: int


def curve_quality(
    outcomes: Outcomes,
    curves: Curves,
    machine: Codes,
    ripe: Flags,
    times: Sequence[float],
    *,
    seed: int,
    repeats: int = 100,
) -> CurveQuality:
    """C-td and IBS on ripe landmarks, machines drawn with replacement as a whole.

    Args:
        outcomes: (n,) of machines at landmarks, hours.
        curves: of the same.
        machine: (n,) codes.
        ripe: (n,) landmarks whose horizon has passed.
        times: hours at which the Brier score is taken, two or more, rising.
        seed: of the draws.
        repeats: draws.

    Raises:
        MonitoringError: no landmark is ripe, or nothing can be compared.
    """
    rows = np.flatnonzero(ripe)
    if not len(rows):
        raise MonitoringError("ripe: expected landmarks whose horizon has passed, got none")
    watched, foreseen, machines = outcomes.take(rows), curves.take(rows), machine[rows]
    eval_times: Floats = np.asarray(times, dtype=np.float64)
    censoring = KaplanMeier.fit_censoring(watched)

    def order(index: Codes) -> float:
        return concordance(watched.take(index), foreseen.take(index))

    def error(index: Codes) -> float:
        return integrated_brier_score(
            watched.take(index), foreseen.take(index), eval_times, censoring
        )

    try:
        c_td, ibs = (
            bootstrap_interval(measure, machines, seed, repeats) for measure in (order, error)
        )
    except SurvivalError as problem:
        raise MonitoringError(f"outcomes: {problem}") from None
    return CurveQuality(c_td, ibs, len(rows), len(np.unique(machines)))
