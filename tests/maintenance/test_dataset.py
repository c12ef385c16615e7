"""Training rows: what is known then, what comes after, and what is cut off."""

import numpy as np
import pytest

from lib.maintenance.dataset import Tables, current_rows, rows_and_failures, sensor_faults
from lib.maintenance.feature_set import HOUR_US, FeatureError
from lib.maintenance.features import evaluate
from lib.maintenance.model.rows import from_table, to_table
from tests.maintenance.single_sensor import SMALL, START, events, telemetry
from tests.maintenance.small_fleet import CONFIG, tables, trained


def test_each_row_waits_for_what_comes_first():
    failures = events("failures", [("m", 100, "belt"), ("m", 200, "motor")])
    served = events("maintenance", [("m", 150, "belt", "scheduled"), ("m", 101, "belt", None)])
    source_tables = Tables(telemetry(), failures=failures, maintenance=served)
    rows, _ = rows_and_failures(SMALL, source_tables, every_hours=24.0)
    hours = (rows.at_us - START) / HOUR_US
    assert hours.tolist() == [24, 48, 72, 96, 120, 144, 168, 192, 216]
    ends = hours + rows.watched.time
    # the service at 101 h repairs the failure at 100 h, so it is none that was planned
    assert ends.tolist() == [100, 100, 100, 100, 150, 150, 200, 200, 239]
    assert rows.watched.event.tolist() == [1, 1, 1, 1, 2, 2, 1, 1, 0]
    assert rows.modes.tolist() == ["belt"] * 4 + ["", ""] + ["motor"] * 2 + [""]
    assert rows.outcomes.event.tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 0]
    assert rows.by_mode(("belt", "motor")).event.tolist() == [1, 1, 1, 1, 0, 0, 2, 2, 0]


def test_services_do_not_count_where_that_is_asked_for():
    served = events("maintenance", [("m", 150, "belt", "scheduled")])
    failures = events("failures", [("m", 200, "motor")])
    source_tables = Tables(telemetry(), failures=failures, maintenance=served)
    rows, _ = rows_and_failures(SMALL, source_tables, 24.0, preventive="ignore")
    assert (rows.watched.event[:8] == 1).all()
    censored, _ = rows_and_failures(SMALL, source_tables, 24.0)
    table = to_table(censored, SMALL.names)
    assert len(from_table(table, SMALL.names)) == len(censored)
    with pytest.raises(FeatureError, match="--preventive ignore"):
        from_table(table, SMALL.names, "ignore")


def test_rows_before_a_split_know_nothing_of_what_comes_after():
    failures = events("failures", [("m", 100, "belt"), ("m", 200, "motor")])
    rows, _ = rows_and_failures(SMALL, Tables(telemetry(), failures=failures), 24.0)
    early = rows.until(START + 150 * HOUR_US)
    hours = (early.at_us - START) / HOUR_US
    assert hours.max() == 144
    assert (hours + early.outcomes.time).tolist() == [100] * 4 + [150] * 2
    assert early.modes.tolist() == ["belt"] * 4 + [""] * 2


def test_rows_survive_a_table(small_fleet):
    rows = trained(small_fleet).rows
    back = from_table(to_table(rows, CONFIG.features.names), CONFIG.features.names)
    np.testing.assert_array_equal(back.rows, rows.rows)
    np.testing.assert_array_equal(back.at_us, rows.at_us)
    np.testing.assert_array_equal(back.outcomes.time, rows.outcomes.time)
    assert back.modes.tolist() == rows.modes.tolist()
    with pytest.raises(FeatureError, match="no column"):
        from_table(to_table(rows, CONFIG.features.names[1:]), CONFIG.features.names)


def test_machines_drawn_again_keep_their_rows_and_get_names_of_their_own(small_fleet):
    rows = trained(small_fleet).rows
    drawn = rows.redrawn(3)
    assert len(np.unique(drawn.machines)) == len(np.unique(rows.machines))
    for name in np.unique(drawn.machines)[:3]:
        own_rows = drawn.rows[drawn.machines == name]
        assert any(
            np.array_equal(own_rows, rows.rows[rows.machines == other], equal_nan=True)
            for other in np.unique(rows.machines)
        )


def test_rows_of_now_are_the_features_at_that_time(small_fleet):
    source_tables = tables(small_fleet)
    at = START + 10**15
    names, matrix, last = current_rows(CONFIG.features, source_tables, at)
    past = next(iter(source_tables.histories(CONFIG.features)))
    assert names == sorted(source_tables.machines["machine_id"].to_pylist())
    np.testing.assert_array_equal(matrix[0], evaluate(CONFIG.features, past, [at])[0])
    assert last[0] == past.times_us[-1]


def test_faults_of_sensors_are_counted():
    heat = np.linspace(40, 60, 48)
    heat[3], heat[5], heat[10:17] = np.nan, 400.0, 50.0
    faults = sensor_faults(SMALL, Tables(telemetry(hours=48, value=heat)).histories(SMALL))
    assert faults == {"heat": {"readings": 48, "missing": 1, "out_of_range": 1, "stuck": 3}}


def test_a_machine_that_was_hardly_read_has_no_row():
    assert rows_and_failures(SMALL, Tables(telemetry(hours=20)), 24.0)[0] is None
