"""Alarms: announced failures, false ones, and what policies would have cost."""

import numpy as np
import pytest

from lib.maintenance.feature_set import DAY_US
from lib.maintenance.model.alarms import (
    MONTH_HOURS,
    AlarmWindow,
    cheapest_threshold,
    false_alarms,
    replay,
    threshold_for,
    warned,
)
from lib.maintenance.model.costs import Costs

DAYS = 40
COSTS = Costs(service=10.0, failure=100.0, respond_hours=24.0, credit_hours=168.0)


def watch(failing_day=30):
    """Two machines, a row a day; the first fails at 6:00 of a day, the second never."""
    days = np.tile(np.arange(DAYS), 2)
    machines = np.repeat(["a", "b"], DAYS)
    hours = (failing_day - days) * 24.0 + 6.0
    hours = np.where((machines == "a") & (hours > 0), hours, np.inf)
    lasting = np.where(np.isfinite(hours), hours, (DAYS - days) * 24.0)
    return AlarmWindow(machines, days * DAY_US, hours, lasting, 24.0)


def at(*positions):
    alarms = np.zeros(2 * DAYS, dtype=bool)
    alarms[list(positions)] = True
    return alarms


def test_a_failure_is_announced_by_an_alarm_a_day_ahead():
    early = warned(watch(), at(26), 168.0)
    assert early.early.tolist() == [True]
    assert early.lead_hours.tolist() == [4 * 24 + 6.0]
    assert warned(watch(), at(30), 168.0).early.tolist() == [False]  # six hours are too late
    assert warned(watch(), at(20), 168.0).early.tolist() == [False]  # ten days are too early
    assert warned(watch(), at(26, 28), 168.0).lead_hours.tolist() == [102.0]


def test_alarms_on_days_in_a_row_are_one_false_alarm():
    months = 2 * DAYS * 24.0 / MONTH_HOURS
    assert false_alarms(watch(), at(2, 3, 4), 168.0) == pytest.approx(1 / months)
    assert false_alarms(watch(), at(2, 3, 10, 45), 168.0) == pytest.approx(3 / months)
    assert false_alarms(watch(), at(26), 168.0) == 0.0
    # a machine that is not watched on cannot say
    assert false_alarms(watch(), at(2 * DAYS - 1), 168.0) == 0.0


def test_a_threshold_keeps_false_alarms_within_the_bound():
    scores = np.random.default_rng(2).uniform(0, 1, 2 * DAYS)
    for most in (0.0, 0.5, 2.0, 100.0):
        threshold = threshold_for(watch(), scores, 168.0, most)
        assert false_alarms(watch(), scores >= threshold, 168.0) <= most


def test_policies_are_replayed():
    idle = replay(watch(), at(), COSTS)
    assert (idle.services.sum(), idle.failures.sum(), idle.cost.sum()) == (0, 1, 100.0)
    served = replay(watch(), at(26, 27, 28), COSTS)
    assert (served.services.sum(), served.failures.sum(), served.avoided.sum()) == (1, 0, 1)
    assert served.cost.tolist() == [10.0, 0.0]
    late = replay(watch(), at(30), COSTS)  # it fails before the service comes
    assert (late.services.sum(), late.failures.sum()) == (0, 1)
    useless = replay(watch(), at(5, 50), COSTS)
    assert (useless.services.sum(), useless.cost.sum()) == (2, 120.0)


def test_the_cheapest_threshold_is_found():
    scores = np.zeros(2 * DAYS)
    scores[26] = 1.0
    threshold = cheapest_threshold(watch(), scores, COSTS)
    assert replay(watch(), scores >= threshold, COSTS).cost.sum() == 10.0
    dear = Costs(service=1000.0, failure=100.0)
    assert cheapest_threshold(watch(), scores, dear) == np.inf
