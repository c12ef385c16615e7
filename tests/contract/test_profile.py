"""A profile says what a report needs to show about the data."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import profile

START = datetime(2025, 1, 1, tzinfo=UTC)


def column(values: pa.Array):
    return profile(pa.table({"x": values})).columns[0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_quantiles_agree_with_numpy(values):
    column_profile = column(pa.array(values, pa.float64()))
    expected = np.quantile(values, list(column_profile.quantiles))
    np.testing.assert_allclose(list(column_profile.quantiles.values()), expected, atol=1e-6)
    assert (column_profile.minimum, column_profile.maximum) == (min(values), max(values))


def test_nan_counts_as_missing():
    column_profile = column(pa.array([1.0, float("nan"), None]))
    assert (column_profile.nulls, column_profile.maximum) == (2, 1.0)


def test_categories_come_most_frequent_first():
    column_profile = column(pa.array(["b", "a", "b", None, "c"]))
    assert list(column_profile.categories.items()) == [("b", 2), ("a", 1), ("c", 1)]
    assert (column_profile.distinct, column_profile.nulls) == (3, 1)


def test_flags_are_categories_too():
    assert column(pa.array([True, False, True])).categories == {"true": 2, "false": 1}


def test_identifiers_have_no_categories():
    assert column(pa.array([str(n) for n in range(20_000)])).categories == {}


def test_times_show_their_range_and_the_longest_gaps():
    times = pa.array([START + timedelta(hours=hour) for hour in (0, 1, 9, 4)])
    table_profile = profile(pa.table({"t": times}), time="t")
    assert (table_profile.first_time, table_profile.last_time) == (
        "2025-01-01T00:00:00Z",
        "2025-01-01T09:00:00Z",
    )
    assert table_profile.gaps[0] == ("2025-01-01T04:00:00Z", 5 * 3600.0)
    assert table_profile.columns[0].minimum == "2025-01-01T00:00:00Z"


def test_repeated_keys_are_counted():
    assert profile(pa.table({"k": ["a", "b", "a", "a"]}), key=("k",)).repeated_keys == 2


def test_an_empty_table_has_a_profile():
    empty = pa.table(
        {"t": pa.array([], pa.timestamp("us", "UTC")), "x": pa.array([], pa.float64())}
    )
    table_profile = profile(empty, time="t")
    assert (table_profile.rows, table_profile.first_time, table_profile.gaps) == (0, None, ())
    assert table_profile.columns[1].quantiles == {}
