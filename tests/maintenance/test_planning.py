"""Curves become jobs without losing what they say."""

import numpy as np
import pytest

from lib.maintenance.planning import Work, jobs
from lib.maintenance.schedule import SLOTS
from lib.survival import Curves

WORK = Work(
    name="M1 bearing",
    plant="north",
    line="",
    skill="mechanical",
    duration_hours=4,
    service_cost=400.0,
    repair_cost=2600.0,
    repair_hours=14.0,
    lost_per_hour=100.0,
    lost_per_unplanned_hour=900.0,
    cycle_cost_per_hour=0.2,
)


def test_a_job_carries_the_curve_of_its_machine_by_the_hour_and_beyond_the_week():
    times = np.array([0.0, 100.0, 400.0, 1000.0])
    curves = Curves(times, np.array([[1.0, 0.99, 0.9, 0.4], [1.0, 0.5, 0.2, 0.1]]))
    first, second = jobs([WORK, WORK], curves, risk_bound=0.3)
    assert first.survival == pytest.approx(curves.at(np.arange(SLOTS + 1.0))[0])
    assert first.later_survival == pytest.approx(curves.at(SLOTS + first.later_hours)[0])
    assert SLOTS + first.later_hours[-1] <= 1000.0
    assert first.failure_cost == 2600.0 + 14 * 900.0
    assert (first.must_serve, second.must_serve) == (False, True)


def test_curves_that_end_with_the_week_have_nothing_beyond():
    curves = Curves(np.array([0.0, 168.0]), np.array([[1.0, 0.9]]))
    (job,) = jobs([WORK], curves)
    assert len(job.later_hours) == len(job.later_survival) == 0
