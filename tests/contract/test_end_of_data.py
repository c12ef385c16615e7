"""One row of a far year does not say where a data set ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract.end_of_data import end_of_data

DAY = 86_400_000_000
YEARS = np.arange(0, 600, dtype=np.int64) * DAY


def test_a_row_years_after_the_others_is_far_from_them():
    end = end_of_data(np.append(YEARS, 2_000 * DAY))
    assert (end.last_us, end.far_rows, end.newest_us) == (599 * DAY, 1, 2_000 * DAY)
    assert end.text == (
        "rows dated after 1971-08-23, up to 1975-06-24: far from all others, taken for no end"
    )


@pytest.mark.parametrize(
    "times",
    [
        YEARS,
        np.append(YEARS, 620 * DAY),
        np.append(YEARS, [2_000 * DAY] * 5),
        YEARS[:10] * 30,
        np.array([0, 3_000 * DAY]),
        np.array([5]),
        np.concatenate([YEARS, 700 * DAY + YEARS]),
    ],
    ids=["steady", "three weeks", "not few", "sparse", "two rows", "one row", "a pause"],
)
def test_what_may_well_be_the_end_is_the_end(times):
    end = end_of_data(times)
    assert (end.last_us, end.far_rows) == (times.max(), 0)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200), st.randoms())
def test_groups_of_rows_say_the_same_as_rows(days, random):
    rows = np.array(days, dtype=np.int64) * DAY
    times, counts = np.unique(rows, return_counts=True)
    order = list(range(len(times)))
    random.shuffle(order)
    by_rows, by_groups = end_of_data(rows), end_of_data(times[order], counts[order])
    assert by_groups.newest_us == by_rows.newest_us
    assert by_groups.last_us <= by_groups.newest_us
    assert (by_groups.far_rows == 0) == (by_groups.last_us == by_groups.newest_us)


def test_no_rows_have_no_end():
    with pytest.raises(ValueError, match="got none"):
        end_of_data(np.array([], dtype=np.int64))
