"""Formulas that files of data sets may use give one event what they give many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.churn.feature_library import customer_library
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature.feature_library import Formula
from lib.feature.feature_reader import parameters_of
from lib.fraud.amounts import AmountScale
from lib.fraud.feature_library import payment_library

NUMBERS = st.one_of(
    st.floats(),
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 365.0, float("nan"), float("inf"), -float("inf")]),
)


def rows_of(formula: Formula) -> st.SearchStrategy[list[list[float]]]:
    """Inputs of a few events."""
    width = len(parameters_of(formula))
    return st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=5)


FORMULAS = {
    f"{system} {name}": formula
    for system, library in {
        "fraud": payment_library(AmountScale()),
        "churn": customer_library(CustomerVocabulary()),
    }.items()
    for name, formula in library.published().formulas.items()
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_event_gets_what_many_get(formula: Formula, data: st.DataObject) -> None:
    rows = data.draw(rows_of(formula))
    with np.errstate(all="ignore"):
        many = np.broadcast_to(formula(*np.array(rows).T), len(rows))
    single = np.array([formula(*row) for row in rows], dtype=float)
    assert np.array_equal(many, single, equal_nan=True), (rows, many, single)
