"""Failures that rows see, and those that they cannot see, are all counted."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.maintenance.dataset import Tables, rows_and_failures
from lib.maintenance.failures import FailureCounts, counts_of
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.model.fitting import reach, require_machines
from lib.maintenance.model.settings import ModelSettings, time_grid
from lib.survival.outcomes import SurvivalError
from tests.maintenance.single_sensor import SMALL, START, events, telemetry


def rows_of_failures(failures, hours=240, served=(), **options):
    """Rows every 24 h from hour 24, the last reading at `hours` - 1."""
    tables = Tables(
        telemetry(hours=hours),
        failures=events("failures", failures),
        maintenance=events("maintenance", served) if served else None,
    )
    return rows_and_failures(SMALL, tables, 24.0, **options)


@pytest.mark.parametrize(("minutes", "counted"), [(0, True), (40, True), (1440, True), (1441, 0)])
def test_a_failure_booked_soon_after_the_last_reading_ends_the_run(minutes, counted):
    rows, counts = rows_of_failures([("m", 239 + minutes / 60, "belt")])
    assert rows.outcomes.failed.all() == bool(counted)
    assert set(rows.modes.tolist()) == ({"belt"} if counted else {""})
    ends = (rows.at_us - START) / HOUR_US + rows.outcomes.time
    assert ends == pytest.approx(239 + (minutes / 60 if counted else 0))
    assert counts.seen == bool(counted)
    assert counts.at_end == (bool(counted) and minutes > 0)
    assert counts.after_last_reading == (not counted)


def test_the_grace_is_an_option():
    rows, counts = rows_of_failures([("m", 240, "belt")], grace_hours=0.5)
    assert not rows.outcomes.failed.any()
    assert counts == FailureCounts(after_last_reading=1)


def test_every_failure_is_counted_once_with_the_reason_that_no_row_sees_it():
    failures = {
        ("m", 10, "belt"): "before_first_row",
        ("m", 100, "belt"): "seen",
        ("m", 103, "motor"): "behind_another_event",  # no row since the failure before
        ("m", 170, "belt"): "behind_another_event",  # nor since the service
        ("m", 239.5, "belt"): "seen",  # ends the run
        ("m", 50_000, "belt"): "after_last_reading",
        ("unknown", 100, "belt"): "without_rows",
    }
    served = [("m", 169, "belt", "scheduled")]
    rows, counts = rows_of_failures(list(failures), served=served)
    assert rows is not None
    assert counts == FailureCounts(at_end=1, **Counter(failures.values()))
    assert counts.total == len(failures)
    assert counts.lines()[0] == (
        "rows see 2 of 7 failures, 1 of them after their machine's last reading"
    )
    assert sum(counts.reasons().values()) == counts.unseen == 5


def test_failures_of_a_machine_that_was_read_too_shortly_are_counted():
    rows, counts = rows_of_failures([("m", 10, "belt")], hours=20)
    assert rows is None
    assert counts == FailureCounts(without_rows=1)


HOURS = st.lists(st.integers(-50, 400), max_size=12, unique=True)


@given(HOURS, st.lists(st.integers(0, 300), max_size=4, unique=True), st.sampled_from([0, 5, 48]))
def test_counts_agree_with_the_rows(hours, services, grace):
    failures = [("m", hour, "belt") for hour in hours]
    served = [("m", hour + 0.5, "belt", "scheduled") for hour in services]
    rows, counts = rows_of_failures(failures, served=served, grace_hours=float(grace))
    assert counts.total == len(hours)
    ends = np.round((rows.at_us - START) / HOUR_US + rows.outcomes.time, 6)
    assert counts.seen == len(set(ends[rows.outcomes.failed].tolist()))
    assert counts_of(vars_of(counts)) == counts


def vars_of(counts):
    return {name: getattr(counts, name) for name in FailureCounts.__dataclass_fields__}


def test_folds_say_how_many_machines_they_need():
    rows, _ = rows_of_failures([("m", 100, "belt")])
    with pytest.raises(SurvivalError, match=r"--model.folds 3: expected rows of 3 machines.*got 1"):
        require_machines(rows, 3)
    require_machines(rows, 1)


def test_runs_shorter_than_a_day_have_a_horizon_and_a_grid():
    rows, _ = rows_and_failures(
        SMALL,
        Tables(telemetry(hours=20), failures=events("failures", [("m", 19, "belt")])),
        1.0,
        warm_up_hours=1.0,
    )
    horizon = reach(rows, ModelSettings())
    assert 17.5 < horizon <= 18.0
    grid = time_grid(horizon)
    assert len(grid) == 25
    assert grid[-1] == horizon
