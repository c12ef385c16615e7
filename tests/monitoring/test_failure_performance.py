"""Failures beside what was foreseen."""

import numpy as np
import pytest

from lib.monitoring.failure_performance import (
    curve_quality,
    failure_count,
    false_alarms,
    poisson_interval,
)
from lib.monitoring.scored_rows import MonitoringError
from lib.survival.curves import Curves
from lib.survival.measures import concordance
from lib.survival.outcomes import Outcomes

HOUR = 3_600_000_000


def exponential(rate: np.ndarray, hours: float = 200.0) -> Curves:
    times = np.linspace(0.0, hours, 41)
    return Curves(times, np.exp(-rate[:, None] * times))


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390)]
)
def test_limits_are_garwoods(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=1e-3)


def test_expected_failures_are_those_of_the_time_that_was_watched():
    rate = np.full(4, 0.01)
    outcomes = Outcomes([10.0, 24.0, 5.0, 100.0], [1, 0, 2, 1])
    count = failure_count(outcomes, exponential(rate), 24.0)
    assert count.observed == 1
    assert count.expected == pytest.approx(0.01 * (10 + 24 + 5 + 24))
    assert count.ripeness == pytest.approx(3 / 4)
    assert count.calibrated


def test_curves_that_are_true_are_called_calibrated():
    generator = np.random.default_rng(1)
    rate = generator.uniform(0.001, 0.01, 3_000)
    ended = generator.exponential(1.0 / rate)
    watched = generator.uniform(10.0, 200.0, 3_000)
    outcomes = Outcomes(np.minimum(ended, watched), ended <= watched)
    for horizon in (24.0, 168.0):
        assert failure_count(outcomes, exponential(rate), horizon).calibrated
        assert not failure_count(outcomes, exponential(rate / 2), horizon).calibrated
    low = failure_count(outcomes, exponential(rate / 2), 168.0).ratio
    assert low.low > 1.5


def test_an_alarm_is_right_where_a_failure_follows_in_time():
    counted = false_alarms(
        np.array([1, 1, 1, 2]),
        np.array([0, 3, 100, 0]) * HOUR,
        np.array([1, 2]),
        np.array([20, 60]) * HOUR,
        horizon_hours=24.0,
        watched_hours=730.5 * 2,
    )
    assert (counted.alarms, counted.false) == (3, 2)
    assert counted.machine_months == pytest.approx(2.0)
    assert counted.rate.value == pytest.approx(1.0)
    assert counted.rate.high == pytest.approx(poisson_interval(2)[1] / 2)


def test_curves_are_judged_on_ripe_landmarks_only():
    generator = np.random.default_rng(2)
    rate = np.repeat(generator.uniform(0.002, 0.03, 80), 3)
    ended = generator.exponential(1.0 / rate)
    outcomes = Outcomes(np.minimum(ended, 150.0), ended <= 150.0)
    ripe = np.arange(240) % 2 == 0
    quality = curve_quality(
        outcomes, exponential(rate), np.arange(240) // 3, ripe, [0.0, 50.0, 100.0], seed=1,
        repeats=40,
    )  # fmt: skip
    alone = outcomes.take(ripe), exponential(rate).take(ripe)
    assert quality.c_td.value == pytest.approx(concordance(*alone))
    assert quality.c_td.low < quality.c_td.value < quality.c_td.high
    assert 0.0 < quality.ibs.value < 0.25
    assert (quality.rows, quality.machines) == (120, 80)


def test_what_cannot_be_judged_is_refused():
    outcomes, curves = Outcomes([5.0], [0]), exponential(np.array([0.01]))
    with pytest.raises(MonitoringError, match="ripe: expected landmarks"):
        curve_quality(outcomes, curves, np.array([1]), np.array([False]), [0.0, 1.0], seed=1)
    with pytest.raises(MonitoringError, match="outcomes: no two subjects"):
        curve_quality(outcomes, curves, np.array([1]), np.array([True]), [0.0, 1.0], seed=1)
    with pytest.raises(MonitoringError, match="curves: expected one for each of 1"):
        failure_count(outcomes, curves.take(np.zeros(1, dtype=bool)), 5.0)
    empty = np.array([], dtype=np.int64)
    with pytest.raises(MonitoringError, match="watched_hours: expected above 0"):
        false_alarms(empty, empty, empty, empty, horizon_hours=1.0, watched_hours=0.0)
