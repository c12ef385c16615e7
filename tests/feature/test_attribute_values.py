"""Values of attributes as features: of a table as of single subjects, to the bit."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lib.feature.attribute_values import attribute_states, encode_attributes, encode_columns
from lib.feature.attributes import Attribute

MAKE = Attribute("make", "category", encoding="code", vocabulary=("Acme", "Bolt"))
ATTRIBUTES = (MAKE, Attribute("weight", "number"), Attribute("indoors", "flag"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(
    st.tuples(
        st.none() | st.sampled_from(("Acme", "Bolt", "Cord", "")),
        st.none() | NUMBERS,
        st.none() | st.booleans(),
    ),
    min_size=1,
    max_size=20,
)


@given(ROWS)
def test_a_table_is_encoded_as_its_rows_are(rows: list[tuple[str, float, bool]]) -> None:
    makes, weights, flags = zip(*rows, strict=True)
    columns = {
        "make": pa.array(makes, pa.string()),
        "weight": pa.array(weights, pa.float64()),
        "indoors": pa.array(flags, pa.bool_()),
    }
    names = [each.name for each in ATTRIBUTES]
    values = [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in rows
    ]
    single = np.stack([encode_attributes(ATTRIBUTES, own) for own in values])
    together = encode_columns(ATTRIBUTES, columns)
    np.testing.assert_array_equal(together, single)
    assert (np.signbit(together) == np.signbit(single))[~np.isnan(single)].all()


def test_unknown_is_zero_missing_is_missing_and_so_is_another_type() -> None:
    unknown = encode_attributes(ATTRIBUTES, {"make": "Cord", "indoors": False})
    assert (unknown[0], unknown[2]) == (0.0, 0.0)
    assert math.isnan(unknown[1])
    other = encode_attributes(ATTRIBUTES, {"make": 2.0, "weight": True, "indoors": 1.0})
    assert np.isnan(other).all()
    states = list(attribute_states(ATTRIBUTES, {"make": "Cord", "indoors": False}))
    assert states == [("make", "unknown"), ("weight", "missing")]
    assert MAKE.codes == {"Acme": 1, "Bolt": 2}
