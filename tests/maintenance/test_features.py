"""The features of a machine are what the oracle says, and 30 days of its past are enough."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.maintenance.feature_set import DAY_US, HOUR_US, AssetFeatureSet, FeatureError, Sensor
from lib.maintenance.features import evaluate
from lib.maintenance.history import History
from tests.maintenance.factories import SMALL, START_US, past
from tests.maintenance.oracle import expected

HOURS = st.integers(-5, 62 * 24)
SEEDS = st.integers(0, 10_000)


def row(features: AssetFeatureSet, history: History, at: int) -> dict[str, float]:
    return dict(zip(features.names, evaluate(features, history, [at])[0], strict=True))


def machine(times_h, values, **more) -> tuple[AssetFeatureSet, History]:
    features = AssetFeatureSet((Sensor("t", "degC", **more),))
    times = START_US + np.asarray(times_h) * HOUR_US
    return features, History("m", times, np.asarray(values, dtype=float)[:, None])


@settings(max_examples=40, deadline=None)
@given(SEEDS, HOURS, st.integers(0, 3_600_000_000 - 1))
@example(1741, 785, 0)  # equal readings whose mean is rounded
def test_every_feature_is_what_the_oracle_says(seed, hour, part):
    history, at = past(seed), START_US + hour * HOUR_US + part
    feature_row, oracle_row = row(SMALL, history, at), expected(SMALL, history, at)
    assert list(feature_row) == list(SMALL.names)
    assert set(feature_row) == set(oracle_row)
    for name, value in oracle_row.items():
        assert feature_row[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


@settings(max_examples=60, deadline=None)
@given(SEEDS, HOURS)
def test_thirty_days_and_a_margin_give_the_same_bits_as_the_whole_past(seed, hour):
    history, at = past(seed, days=62), START_US + hour * HOUR_US
    past_history = History(
        history.machine_id,
        history.times_us[history.times_us <= at],
        history.readings[history.times_us <= at],
        history.error_times_us[history.error_times_us <= at],
        history.error_codes[history.error_times_us <= at],
        history.service_times_us[history.service_times_us <= at],
        history.service_parts[history.service_times_us <= at],
        history.installed_us,
        history.run_days,
        history.run_counts,
        history.wave_times_us[history.wave_times_us <= at],
        history.wave_measures[history.wave_times_us <= at],
    )
    full_values = evaluate(SMALL, history, [at])
    assert evaluate(SMALL, past_history.kept(SMALL, at), [at]).tobytes() == full_values.tobytes()


def test_many_times_at_once_give_the_bits_of_one_at_a_time():
    history = past(7)
    at = START_US + np.array([30, 5, 41, 12]) * DAY_US
    one_by_one = np.concatenate([evaluate(SMALL, history, [time]) for time in at])
    assert evaluate(SMALL, history, at).tobytes() == one_by_one.tobytes()


def test_nothing_that_happens_later_changes_a_feature():
    history, at = past(11), START_US + 20 * DAY_US
    later = history.readings.copy()
    later[history.times_us > at] = -1e9
    changed = History("m", history.times_us, later, history.error_times_us, history.error_codes)
    same = History(
        "m", history.times_us, history.readings, history.error_times_us, history.error_codes
    )
    assert evaluate(SMALL, changed, [at]).tobytes() == evaluate(SMALL, same, [at]).tobytes()


def test_a_window_is_of_time_and_a_gap_shows_as_coverage():
    features, history = machine([0, 1, 2, 40, 41], [1, 1, 1, 9, 9])
    values = row(features, history, START_US + 41 * HOUR_US)
    assert values["t_mean_c_24h"] == 9.0
    assert values["t_coverage_24h"] == pytest.approx(2 / 24)


def test_an_absurd_reading_is_counted_and_not_averaged():
    features, history = machine([0, 1, 2], [10, 12, 99_999], high=200.0)
    values = row(features, history, START_US + 2 * HOUR_US)
    assert (values["t_mean_c_24h"], values["t_faults_24h"], values["t_last_c"]) == (11.0, 1.0, 12.0)


def test_a_stuck_sensor_is_counted_and_not_averaged():
    features, history = machine(range(10), [1, 2, 3, 5, 5, 5, 5, 5, 5, 5], stuck_hours=4.0)
    values = row(features, history, START_US + 9 * HOUR_US)
    assert values["t_faults_24h"] == 3.0
    assert values["t_unchanged_hours"] == 6.0
    assert values["t_max_c_24h"] == 5.0


def test_a_repair_resets_what_a_machine_is_compared_with():
    features = AssetFeatureSet((Sensor("t"),), components=("bearing",))
    times = START_US + np.arange(60) * HOUR_US
    wave = np.tile([1.0, -1.0], 30)
    readings = np.where(np.arange(60) < 30, 100.0, 10.0) + wave
    service = {"service_times_us": times[29:30], "service_parts": np.array([0])}
    at = times[-1]
    before = row(features, History("m", times, readings[:, None]), at)
    after = row(features, History("m", times, readings[:, None], **service), at)
    assert before["t_zscore"] == pytest.approx(-1.0, abs=0.1)
    assert after["t_zscore"] == pytest.approx(-0.98, abs=0.01)
    assert abs(after["t_level"]) < 0.1 < abs(before["t_level"])
    assert after["hours_since_service_bearing"] == 30.0


def test_a_machine_without_a_past_has_features_all_the_same():
    history = History("new", np.empty(0, np.int64), np.empty((0, 3)))
    values = row(SMALL, history, START_US)
    assert np.isnan(values["temperature_mean_c_24h"])
    assert values["temperature_coverage_24h"] == values["E1_count_24h"] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensors": ()}, "sensors with different names"),
        ({"windows_hours": (0,)}, "windows above 0 hours"),
        ({"windows_hours": (721,)}, "longer than trailing_hours"),
        ({"operating": ("speed", 1.0)}, "unknown sensor 'speed'"),
        ({"correlations": (("rpm", "power"),)}, "unknown sensor 'power'"),
    ],
)
def test_a_wrong_declaration_is_refused(change, message):
    declared = {name: getattr(SMALL, name) for name in ("sensors", "components", "error_codes")}
    with pytest.raises(FeatureError, match=message):
        AssetFeatureSet(**(declared | change))


def test_a_past_out_of_order_is_refused():
    with pytest.raises(FeatureError, match="must ascend"):
        History("m", np.array([2, 1]), np.zeros((2, 1)))


def test_readings_of_other_sensors_are_refused():
    with pytest.raises(FeatureError, match="expected readings of 3 sensors"):
        evaluate(SMALL, History("m", np.array([1]), np.zeros((1, 2))), [1])


def test_another_window_is_another_feature_set():
    assert (
        SMALL.digest != AssetFeatureSet(SMALL.sensors, SMALL.components, SMALL.error_codes).digest
    )
