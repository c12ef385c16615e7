"""Curves become jobs without losing what they say."""

from datetime import UTC, datetime

import numpy as np
import pytest

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.schedule.problem import SLOTS, ScheduleError
from lib.maintenance.schedule.request import WeekRequest
from lib.maintenance.schedule.week_problem import from_week_start, survival_of_jobs
from lib.survival.curves import Curves


def test_a_job_carries_the_curve_of_its_machine_by_the_hour_and_beyond_the_week():
    times = np.array([0.0, 100.0, 400.0, 1000.0])
    curves = Curves(times, np.array([[1.0, 0.99, 0.9, 0.4], [1.0, 0.5, 0.2, 0.1]]))
    first, _ = survival_of_jobs(curves)
    later = first["later_hours"]
    assert first["survival"] == pytest.approx(curves.at(np.arange(SLOTS + 1.0))[0])
    assert first["later_survival"] == pytest.approx(curves.at(SLOTS + later)[0])
    assert SLOTS + later[-1] <= 1000.0


def test_curves_that_end_with_the_week_have_nothing_beyond():
    (only,) = survival_of_jobs(Curves(np.array([0.0, 168.0]), np.array([[1.0, 0.9]])))
    assert len(only["later_hours"]) == len(only["later_survival"]) == 0


def test_curves_of_a_week_to_come_are_of_who_lasts_until_then():
    start = datetime(2025, 6, 2, tzinfo=UTC)
    request = WeekRequest(
        start=start,
        crews=[{"skill": "s", "shifts": {"06-14": 1}}],
        work={
            "machine": {
                "skill": "s",
                "duration_hours": 1,
                "service_cost": 1,
                "repair_cost": 1,
                "repair_hours": 1,
                "services_per_year": 1,
                "failures_per_year": 1,
            }
        },
        lost_per_hour=1,
    )
    grid = np.arange(0.0, 401.0, 1.0)
    curves = Curves(grid, np.exp(-((grid[None, :] / 300.0) ** 2)))
    now = round(start.timestamp() * 1e6)
    assert from_week_start(request, now, curves) is curves
    later = from_week_start(request, now - 48 * HOUR_US, curves)
    assert later.at(24.0)[0, 0] == pytest.approx(np.exp((48**2 - 72**2) / 300.0**2))
    with pytest.raises(ScheduleError, match=r"start: .*began 1\.0 h before"):
        from_week_start(request, now + HOUR_US, curves)
