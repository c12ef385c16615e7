"""Holds formulas that files of data sets may use to one result for one event and for many."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from lib.feature.feature_library import Formula
from lib.feature.feature_reader import parameters_of

NUMBERS = st.one_of(
    st.floats(),
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 365.0, float("nan"), float("inf"), -float("inf")]),
)


def rows_of(formula: Formula) -> st.SearchStrategy[list[list[float]]]:
    """Inputs of a few events."""
    width = len(parameters_of(formula))
    return st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=5)


def assert_parity(formula: Formula, rows: list[list[float]]) -> None:
    """Compares the array of all events with the numbers of each."""
    with np.errstate(all="ignore"):
        many = np.broadcast_to(formula(*np.array(rows).T), len(rows))
    single = np.array([formula(*row) for row in rows], dtype=float)
    assert np.array_equal(many, single, equal_nan=True), (rows, many, single)
