"""Rows of one key that do not contradict each other become one row."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import TIME, Column, Contract
from tests.contract.factories import MACHINES

READINGS = Contract(
    name="readings",
    columns=(
        *MACHINES.columns,
        *(Column(name, pa.float64(), "a sensor", required=False) for name in "abc"),
    ),
    key=MACHINES.key,
    merges=True,
)
VALUE = st.sampled_from([None, 1.0, 2.0])
ROWS = st.lists(
    st.fixed_dictionaries(
        {"machine_id": st.sampled_from("xy"), "event_time": st.sampled_from([0, 1])}
        | dict.fromkeys("abc", VALUE)
    ),
    max_size=14,
)


def table(rows):
    seconds = [row["event_time"] * 1_000_000 + 1_700_000_000_000_000 for row in rows]
    columns = {
        name: pa.array([row[name] for row in rows], READINGS.schema.field(name).type)
        for name in ("machine_id", *"abc")
    }
    return pa.table(columns | {"event_time": pa.array(seconds, pa.int64()).cast(TIME)})


def taken_one_by_one(rows):
    """The merge as a reader would do it by hand: rows, quarantined, repeats, merged."""
    state, quarantined, repeats, merged = {}, 0, 0, 0
    for row in rows:
        key = (row["machine_id"], row["event_time"])
        values = {name: row[name] for name in "abc" if row[name] is not None}
        if key not in state:
            state[key] = values
        elif any(state[key].get(name, value) != value for name, value in values.items()):
            quarantined += 1
        elif values.keys() <= state[key].keys():
            repeats += 1
        else:
            state[key] |= values
            merged += 1
    return state, quarantined, repeats, merged


def as_state(good):
    return {
        (row["machine_id"], int(row["event_time"].timestamp()) - 1_700_000_000): {
            name: row[name] for name in "abc" if row[name] is not None
        }
        for row in good.to_pylist()
    }


@given(ROWS)
def test_merging_at_once_equals_taking_rows_one_by_one(rows):
    state, quarantined, repeats, merged = taken_one_by_one(rows)
    checked = READINGS.check(table(rows))
    assert as_state(checked.good) == state
    assert checked.good.num_rows == len(state)
    assert (checked.quarantined.num_rows, checked.repeats, checked.merged) == (
        quarantined,
        repeats,
        merged,
    )


@given(ROWS, st.integers(0, 14))
def test_rows_are_conserved_when_merged_in_pieces(rows, cut):
    pieces = [READINGS.check(table(part)) for part in (rows[:cut], rows[cut:])]
    both = READINGS.check(pa.concat_tables([piece.good for piece in pieces]))
    steps = [*pieces, both]
    assert both.good.num_rows + sum(
        step.quarantined.num_rows + step.repeats + step.merged for step in steps
    ) == len(rows)
    if not any(step.quarantined.num_rows for step in steps):
        assert as_state(both.good) == as_state(READINGS.check(table(rows)).good)


def test_a_contradiction_names_the_key_and_gives_none_of_its_values():
    rows = [
        {"machine_id": "x", "event_time": 0, "a": 1.0, "b": None, "c": None},
        {"machine_id": "x", "event_time": 0, "a": 2.0, "b": 5.0, "c": None},
        {"machine_id": "x", "event_time": 0, "a": None, "b": None, "c": 3.0},
    ]
    checked = READINGS.check(table(rows))
    assert as_state(checked.good) == {("x", 0): {"a": 1.0, "c": 3.0}}
    assert checked.reasons == {"machine_id, event_time: came before with other content": 1}


def test_rows_that_do_not_merge_still_contradict_each_other_by_a_null():
    contract = Contract("whole", READINGS.columns, READINGS.key)
    rows = [
        {"machine_id": "x", "event_time": 0, "a": 1.0, "b": None, "c": None},
        {"machine_id": "x", "event_time": 0, "a": None, "b": 5.0, "c": None},
    ]
    assert contract.check(table(rows)).quarantined.num_rows == 1
