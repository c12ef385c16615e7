"""Lists of numbers are read from text as they would be by hand."""

import json
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import parse_mapping, read_checked
from lib.contract.number_text import read_number_lists
from lib.maintenance.contracts import CONTRACTS
from lib.maintenance.waveform import FEWEST_SAMPLES

LISTS = st.lists(st.lists(st.floats(-1e9, 1e9), max_size=6), max_size=6)
WRITTEN = {
    "json": json.dumps,
    "semicolons": lambda row: ";".join(map(repr, row)),
    "bars": lambda row: " | ".join(map(repr, row)),
    "commas": lambda row: ",".join(map(repr, row)),
    "spaces": lambda row: "  ".join(map(repr, row)),
}


@given(LISTS, st.sampled_from(sorted(WRITTEN)))
def test_every_way_to_write_a_list_gives_the_same_numbers(rows, way):
    lists, bad = read_number_lists(pa.array([WRITTEN[way](row) for row in rows], pa.string()))
    assert lists.to_pylist() == rows
    assert not bad.any()


@pytest.mark.parametrize("text", ["a;b", "1,5;2,5", "[1, [2]]", "1;;2", "0x10", "1e9999"])
def test_what_is_no_list_of_numbers_is_a_fault(text):
    lists, bad = read_number_lists(pa.array([text, "1;2", None]))
    assert lists.to_pylist() == [None, [1.0, 2.0], None]
    assert bad.tolist() == [True, False, False]


def test_a_number_that_is_missing_is_nan():
    (row,) = read_number_lists(pa.array(["[1, null, NaN]"]))[0].to_pylist()
    assert row[0] == 1.0
    assert all(math.isnan(value) for value in row[1:])


def test_waveforms_come_in_csv_with_rates_in_kilohertz(tmp_path):
    tone = [math.sin(number / 3) for number in range(300)]
    rows = {"a": json.dumps(tone), "b": ";".join(map(repr, tone)), "c": "1;x", "d": "1;2"}
    lines = [f'{name}|2024-03-01 00:00:00|12|"{text}"' for name, text in rows.items()]
    (tmp_path / "w.csv").write_text("\n".join(["m|t|rate|wave", *lines]) + "\n")
    text = """
    contract: waveforms
    file: {delimiter: "|"}
    columns:
      machine_id: m
      event_time: {from: t, timezone: UTC}
      sampling_rate_hz: {from: rate, unit: kHz}
      samples: wave
    """
    checked = read_checked(parse_mapping(text, CONTRACTS), tmp_path / "w.csv")
    assert checked.good["samples"].to_pylist() == [tone, tone]
    assert checked.good["sampling_rate_hz"].to_pylist() == [12_000.0, 12_000.0]
    assert sorted(checked.reasons) == [
        f"samples: fewer than {FEWEST_SAMPLES} numbers",
        "samples: not a list of numbers",
    ]
