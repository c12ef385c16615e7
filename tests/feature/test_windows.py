import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.feature import DAY, HOUR, MINUTE, Window

TIMES = st.integers(-(10**15), 2 * 10**15)


@given(TIMES)
def test_the_far_edge_is_within_one_hop_of_the_sliding_window(time):
    window = Window(DAY, HOUR)
    start = window.first_tile(time) * window.hop
    assert time - DAY - HOUR < start <= time - DAY


@given(TIMES)
def test_a_window_behind_ends_before_the_delay(time):
    window = Window(DAY, HOUR, behind=7 * DAY)
    end = window.end_tile(time) * window.hop
    assert time - 7 * DAY - HOUR < end <= time - 7 * DAY
    assert end - window.first_tile(time) * window.hop == DAY


@given(st.lists(TIMES, min_size=1))
def test_arrays_and_single_times_agree(times):
    window = Window(DAY, MINUTE)
    assert window.first_tile(np.array(times)).tolist() == [window.first_tile(t) for t in times]


@pytest.mark.parametrize(
    ("length", "hop", "behind"), [(0, 1, 0), (60, 0, 0), (60, 7, 0), (60, 60, 30), (60, 60, -60)]
)
def test_impossible_windows_are_refused(length, hop, behind):
    with pytest.raises(ValueError, match="hop"):
        Window(length, hop, behind)


def test_labels_are_what_names_are_made_of():
    assert Window(7 * DAY, HOUR, behind=7 * DAY).label == "7d_behind_7d"
    assert Window(90 * MINUTE, MINUTE).label == "90m"
