"""Sensors are converted into the unit in which they are computed, or refused."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import ContractError, parse_mapping
from lib.contract.unit import UNITS, conversion
from lib.maintenance.contracts import CONTRACTS
from tests.contract.factories import UNCONVERTIBLE

TEXT = """
contract: telemetry
columns:
  machine_id: m
  event_time: {{from: t, timezone: UTC}}
  temperature: {{from: v{more}}}
"""


def readings(more, values, units):
    mapping = parse_mapping(TEXT.format(more=more), CONTRACTS, "t.yaml").in_units(units)
    times = [f"2024-03-01 {hour:02}:00:00" for hour in range(len(values))]
    raw = pa.table({"m": ["a"] * len(values), "t": times, "v": pa.array(values, pa.float64())})
    return mapping.check(raw)


def test_readings_come_in_the_unit_of_the_kind():
    checked = readings(", unit: degF", [212.0, 32.0, None], {"temperature": "degC"})
    assert checked.good["temperature"].to_pylist() == pytest.approx([100.0, 0.0, None])


def test_bounds_of_the_mapping_are_in_its_own_unit():
    checked = readings(", unit: degF, low: 0, high: 250", [212.0, 300.0], {"temperature": "degC"})
    assert checked.good["temperature"].to_pylist() == pytest.approx([100.0, None])
    assert checked.adjustments == {"temperature: above 121.11111111111111 degC; set to missing": 1}


@pytest.mark.parametrize(
    ("more", "target_unit"),
    [("", "degC"), (", unit: degC", "degC"), (", unit: dB", "dB"), ("", "")],
)
def test_values_stay_where_nothing_is_to_be_converted(more, target_unit):
    checked = readings(more, [21.5], {"temperature": target_unit, "other": "bar"})
    assert checked.good["temperature"].to_pylist() == [21.5]


@pytest.mark.parametrize(
    ("unit", "target_unit", "words"),
    [*UNCONVERTIBLE, ("degF", "", "no unit is declared for it")],
)
def test_units_that_cannot_be_converted_are_refused(unit, target_unit, words):
    with pytest.raises(ContractError, match=rf"t.yaml, columns.temperature.unit: .*{words}"):
        readings(f", unit: {unit}", [1.0], {"temperature": target_unit})


PAIRS = st.sampled_from([(a, b) for a in UNITS for b in UNITS if UNITS[a][0] == UNITS[b][0]])


@given(PAIRS, st.floats(-1e6, 1e6))
def test_a_conversion_and_its_inverse_cancel(pair, value):
    there, back = conversion(*pair), conversion(*reversed(pair))
    if there is None or back is None:
        assert there is back is None
        return
    again = (value * there.scale + there.offset) * back.scale + back.offset
    assert again == pytest.approx(value, rel=1e-9, abs=1e-6)
