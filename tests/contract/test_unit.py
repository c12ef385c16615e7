"""Units convert exactly, in every usual spelling, or are refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import ContractError
from lib.contract.unit import UNITS, conversion, symbol
from tests.contract.factories import UNCONVERTIBLE


@pytest.mark.parametrize(
    "equation",
    [
        "212 °F = 100 degC",
        "300 kelvin = 26.85 degC",
        "1 in/s = 25.4 mm/s",
        "12 kHz = 12000 Hz",
        "2.5 MHz = 2500 kHz",
        "1 g = 9.80665 m/s²",
        "1 mg = 9.80665 mm/s2",
        "1 m/s^2 = 0.10197162129779283 g",
        "14.503773773020923 psi = 1 bar",
        "101.325 kPa = 1 atm",
        "50 Hz = 3000 rpm",
        "1 hp = 745.6998715822702 W",
        "1 mil = 25.4 µm",
        "36 km/h = 10 m/s",
        "90 min = 1.5 h",
        "12 percent = 0.12 fraction",
        "1 lbf.ft = 1.3558179483314004 N·m",
        "60 L/min = 1 l/s",
    ],
)
def test_values_are_converted(equation):
    (value, source_unit), (expected, target_unit) = map(str.split, equation.split(" = "))
    how = conversion(source_unit, target_unit)
    assert float(value) * how.scale + how.offset == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(("source_unit", "target_unit", "words"), UNCONVERTIBLE)
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
