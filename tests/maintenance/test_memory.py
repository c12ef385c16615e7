"""What is remembered of a machine answers as its whole past does, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.maintenance.feature_set import DAY_US, HOUR_US, AssetFeatureSet, FeatureError
from lib.maintenance.features import evaluate
from lib.maintenance.state_codec import (
    EventBatch,
    empty_state,
    pack,
    unpack,
    with_errors,
    with_readings,
    with_services,
)
from tests.maintenance.factories import SMALL, START_US, past
from tests.maintenance.replay import arrived, with_events

SEEDS = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_online_equals_offline_in_every_feature_of_a_replay(seed):
    random, history = np.random.default_rng(seed), past(seed, days=75)
    order = np.argsort(
        np.arange(len(history.times_us)) + random.integers(0, 6, len(history.times_us))
    )
    stored = pack(SMALL, empty_state(SMALL, history.machine_id, history.installed_us))
    done, told_us, differing, compared = 0, START_US, 0, 0
    while done < len(order):
        batch = order[done : done + int(random.integers(1, 120))]
        done += len(batch)
        memory, received = with_readings(
            SMALL, unpack(SMALL, stored), history.times_us[batch], history.readings[batch]
        )
        assert received.new == len(batch)
        at = int(max(history.times_us[order[:done]].max(), told_us))
        memory = with_events(SMALL, history, memory, told_us - HOUR_US, at)
        told_us, stored = at, pack(SMALL, memory)
        online = evaluate(SMALL, unpack(SMALL, stored), [at])
        offline = evaluate(SMALL, arrived(SMALL, history, np.sort(order[:done]), at), [at])
        differing += int((online.view(np.int64) != offline.view(np.int64)).sum())
        compared += online.size
    assert compared > 0
    assert differing == 0


def test_what_is_remembered_does_not_grow():
    year = past(5, days=400)
    memory = empty_state(SMALL, "m")
    for first in range(0, len(year.times_us), 24):
        rows = slice(first, first + 24)
        memory, _ = with_readings(SMALL, memory, year.times_us[rows], year.readings[rows])
    assert len(memory.times_us) <= 31 * 24
    assert len(pack(SMALL, memory)) < 40_000


def test_readings_that_come_late_twice_or_too_late_are_counted():
    day = START_US + np.arange(48) * HOUR_US
    values = np.arange(48.0)[:, None] * [1.0, 0.1, 10.0]
    memory, received = with_readings(SMALL, empty_state(SMALL, "m"), day[1:], values[1:])
    assert received == EventBatch(47, 0, 0, 0, 0)
    memory, received = with_readings(SMALL, memory, day[:3], values[:3])
    assert received == EventBatch(new=1, late=1, repeated=2, contradicting=0, too_old=0)
    memory, received = with_readings(SMALL, memory, day[:1], values[:1] + 1)
    assert received == EventBatch(0, 0, 0, 1, 0)
    assert memory.readings[0].tolist() == values[0].tolist()
    memory, received = with_readings(SMALL, memory, [START_US - 40 * DAY_US], values[:1])
    assert received == EventBatch(0, 0, 0, 0, 1)
    assert len(memory.times_us) == 48


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_sensors_told_one_by_one_are_the_readings_told_whole(seed):
    random, full_history = np.random.default_rng(seed), past(seed, days=4)
    readings = [(row, sensor) for row in range(len(full_history.times_us)) for sensor in range(3)]
    random.shuffle(readings)
    history = empty_state(SMALL, full_history.machine_id, full_history.installed_us)
    merged = new = 0
    for first in range(0, len(readings), 40):
        rows, sensors = (
            np.array(indices) for indices in zip(*readings[first : first + 40], strict=True)
        )
        values = np.full((len(rows), 3), np.nan)
        values[np.arange(len(rows)), sensors] = full_history.readings[rows, sensors]
        history, received = with_readings(SMALL, history, full_history.times_us[rows], values)
        merged, new = merged + received.merged, new + received.new
        assert received.contradicting == received.too_old == 0
    at_once, _ = with_readings(
        SMALL,
        empty_state(SMALL, full_history.machine_id, full_history.installed_us),
        full_history.times_us,
        full_history.readings,
    )
    assert new == len(full_history.times_us)
    assert pack(SMALL, history) == pack(SMALL, at_once)


def test_a_reading_is_merged_or_contradicts_sensor_by_sensor():
    nan = float("nan")
    values = np.array([[60.0, nan, nan], [nan, 2.0, nan], [60.0, nan, nan], [61.0, nan, 900.0]])
    times = np.full(4, START_US)
    memory, received = with_readings(SMALL, empty_state(SMALL, "m"), times[:1], values[:1])
    assert (received.new, memory.run_counts.sum()) == (1, 0)
    memory, received = with_readings(SMALL, memory, times[1:], values[1:])
    assert received == EventBatch(0, 0, repeated=1, contradicting=1, too_old=0, merged=1)
    assert memory.readings[0, :2].tolist() == [60.0, 2.0]
    assert np.isnan(memory.readings[0, 2])
    memory, _ = with_readings(SMALL, memory, times[:1], np.array([[nan, nan, 900.0]]))
    assert memory.run_counts.tolist() == [1]


def test_missing_readings_are_missing_both_times():
    empty = np.full((1, 3), np.nan)
    memory, _ = with_readings(SMALL, empty_state(SMALL, "m"), [START_US], empty)
    _, received = with_readings(SMALL, memory, [START_US], empty)
    assert received.repeated == 1


def test_what_is_not_declared_is_refused_by_name():
    memory = empty_state(SMALL, "m")
    with pytest.raises(FeatureError, match="unknown error code 'E9'; declared are E1, E2"):
        with_errors(SMALL, memory, [START_US], ["E9"])
    with pytest.raises(FeatureError, match="unknown component 'wing'; declared are bearing, seal"):
        with_services(SMALL, memory, [START_US], ["wing"])
    with pytest.raises(FeatureError, match=r"expected readings of shape \(1, 3\)"):
        with_readings(SMALL, memory, [START_US], np.ones((1, 2)))


@pytest.mark.parametrize("cut", [0, 3, 7, 40, -8, -1])
def test_what_is_damaged_is_refused(cut):
    stored = pack(SMALL, past(3).kept(SMALL, START_US + 30 * DAY_US))
    with pytest.raises(FeatureError, match="cannot be read"):
        unpack(SMALL, stored[:cut])


def test_what_was_kept_for_other_features_is_refused():
    stored = pack(SMALL, empty_state(SMALL, "m"))
    with pytest.raises(FeatureError, match="written for other features"):
        unpack(AssetFeatureSet(SMALL.sensors), stored)
