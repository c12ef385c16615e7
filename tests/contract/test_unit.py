"""Units convert exactly, in every usual spelling, or are refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import ContractError
from lib.contract.unit import UNITS, conversion, symbol


@pytest.mark.parametrize(
    ("value", "source_unit", "target_unit", "expected"),
    [
        (212.0, "°F", "degC", 100.0),
        (300.0, "kelvin", "degC", 26.85),
        (1.0, "in/s", "mm/s", 25.4),
        (12.0, "kHz", "Hz", 12_000.0),
        (2.5, "MHz", "kHz", 2_500.0),
        (1.0, "g", "m/s²", 9.80665),
        (1.0, "mg", "mm/s2", 9.80665),
        (1.0, "m/s^2", "g", 0.10197162129779283),
        (14.503773773020923, "psi", "bar", 1.0),
        (101.325, "kPa", "atm", 1.0),
        (1.0, "bar", "hPa", None),
        (50.0, "Hz", "rpm", 3_000.0),
        (1.0, "hp", "W", 745.6998715822702),
        (1.0, "mil", "µm", 25.4),
        (36.0, "km/h", "m/s", 10.0),
        (90.0, "min", "h", 1.5),
        (12.0, "percent", "fraction", 0.12),
        (1.0, "lbf.ft", "N·m", 1.3558179483314004),
        (60.0, "L/min", "l/s", 1.0),
    ],
)
def test_values_are_converted(value, source_unit, target_unit, expected):
    if expected is None:
        with pytest.raises(ContractError, match="unknown unit 'hPa'; did you mean"):
            conversion(source_unit, target_unit)
        return
    how = conversion(source_unit, target_unit)
    assert value * how.scale + how.offset == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("source_unit", "target_unit", "words"),
    [
        ("kelvinn", "degC", "unknown unit 'kelvinn'"),
        ("kHZ", "Hz", "unknown unit 'kHZ'; did you mean 'kHz'"),
        ("bar", "degC", "'bar' measures pressure, 'degC' measures temperature"),
    ],
)
def test_units_that_cannot_be_converted_are_refused_by_name(source_unit, target_unit, words):
    with pytest.raises(ContractError, match=words):
        conversion(source_unit, target_unit)


def test_a_unit_is_itself_in_every_spelling():
    for spelling, other in [("°C", "degC"), ("m/s²", "m/s^2"), ("µm", "μm"), ("RPM", "rpm")]:
        assert symbol(spelling) == symbol(other)
        assert conversion(spelling, other) is None


@given(st.sampled_from([(a, b) for a in UNITS for b in UNITS if UNITS[a][0] == UNITS[b][0]]))
def test_there_and_back_is_the_same_value(pair):
    there, back = conversion(*pair), conversion(*pair[::-1])
    if there is None or back is None:
        assert there is back is None
        return
    value = 17.25 * there.scale + there.offset
    assert value * back.scale + back.offset == pytest.approx(17.25, rel=1e-9, abs=1e-6)
