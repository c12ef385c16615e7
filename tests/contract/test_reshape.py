"""Long and wide source tables are brought into the shape of their contract."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import Column, Contract, ContractError, parse_mapping, read_checked, time_column
from lib.maintenance.contracts import CONTRACTS

ACCOUNTS = Contract(
    name="accounts",
    columns=(
        Column("account_id", pa.string(), "names the account"),
        Column("country", pa.string(), "where it is"),
        Column("seats", pa.int64(), "how many"),
        time_column("since", "when it began", required=False),
    ),
    key=("account_id",),
)
PIVOT = """
contract: telemetry
{more}
pivot: {{index: [asset, ts], tag: tag, value: reading}}
columns:
  machine_id: asset
  event_time: {{from: ts, timezone: UTC}}
  temperature: {{from: T101}}
  vibration: {{from: "V 7"}}
"""
FLAGS = """
contract: failures
unpivot: {columns: [TWF, HDF, PWF], label: mode, value: failed}
where: {failed: [1]}
columns:
  machine_id: {value: mill}
  event_time: {from: at, timezone: UTC}
  failure_mode: {from: mode, values: {TWF: tool wear, HDF: heat, PWF: power}}
"""
LONG_PIVOT = PIVOT.format(more="")
LONG = """asset,ts,tag,reading,quality
m1,2024-03-01 00:00:00,T101,20.5,good
m1,2024-03-01 00:00:00,V 7,1.25,good
m1,2024-03-01 00:00:00,P9,3,good
m1,2024-03-01 00:10:00,V 7,n/a,good
m1,2024-03-01 00:10:00,T101,21,bad
m2,2024-03-01 00:00:00,T101,19,good
m2,2024-03-01 00:00:00,T101,25,good
m2,2024-03-01 00:00:00,,25,good
"""


def telemetry(more=""):
    return parse_mapping(PIVOT.format(more=more), CONTRACTS, "long.yaml")


def test_tags_become_columns_and_every_row_is_accounted_for(tmp_path):
    (tmp_path / "long.csv").write_text(LONG)
    checked = read_checked(telemetry(), tmp_path / "long.csv")
    readings = {
        (row["machine_id"], row["event_time"].minute): (row["temperature"], row["vibration"])
        for row in checked.good.to_pylist()
    }
    assert readings == {("m1", 0): (20.5, 1.25), ("m1", 10): (21.0, None), ("m2", 0): (19.0, None)}
    assert checked.merged == 1
    assert checked.reasons == {
        "machine_id, event_time: came before with other content": 1,
        "tag: missing": 1,
        "vibration: not a number": 1,
    }
    assert set(checked.quarantined.column_names) >= {"asset", "ts", "tag", "reading"}


def test_where_looks_at_the_long_rows(tmp_path):
    (tmp_path / "long.csv").write_text(LONG)
    checked = read_checked(telemetry("where: {quality: [good]}"), tmp_path / "long.csv")
    assert checked.good["temperature"].to_pylist() == [20.5, 19.0]


def test_conditions_on_a_tag_merge_like_a_pivot(tmp_path):
    (tmp_path / "long.csv").write_text(LONG.replace("n/a", "2").replace("m2,", "m3,", 1))
    text = """
    contract: telemetry
    where: {tag: [T101, "V 7"]}
    columns:
      machine_id: asset
      event_time: {from: ts, timezone: UTC}
      temperature: {from: reading, when: {tag: [T101]}}
      vibration: {from: reading, when: {tag: ["V 7"]}}
    """
    by_condition = read_checked(parse_mapping(text, CONTRACTS), tmp_path / "long.csv")
    by_pivot = read_checked(telemetry("where: {tag: {present: true}}"), tmp_path / "long.csv")
    assert by_condition.good == by_pivot.good
    assert by_condition.merged == by_pivot.merged == 2


def test_rows_of_one_key_may_lie_in_several_files_of_numbers(tmp_path):
    for name, tag, value in (("a", 101, 20.5), ("b", 7, 1.25)):
        rows = {"id": ["m1"], "t": [1_709_251_200_000], "tag": [tag], "v": [value]}
        pq.write_table(pa.table(rows), tmp_path / f"{name}.parquet")
    text = """
    contract: telemetry
    pivot: {index: [id, t], tag: tag, value: v}
    columns:
      machine_id: id
      event_time: {from: t, unit: ms}
      temperature: {from: 101}
      vibration: {from: 7}
    """
    checked = read_checked(parse_mapping(text, CONTRACTS), tmp_path)
    (row,) = checked.good.to_pylist()
    assert (row["temperature"], row["vibration"]) == (20.5, 1.25)


def attributes():
    text = """
    contract: accounts
    pivot: {index: [id], tag: attribute, value: value}
    columns:
      account_id: id
      country: COUNTRY
      seats: SEATS
    """
    return parse_mapping(text, [ACCOUNTS])


def test_required_values_may_come_from_different_rows():
    rows = [("a", "COUNTRY", "DE"), ("a", "SEATS", "5"), ("b", "COUNTRY", "FR")]
    raw = pa.table(dict(zip(("id", "attribute", "value"), zip(*rows, strict=True), strict=True)))
    checked = attributes().check(raw)
    assert [(r["account_id"], r["country"], r["seats"]) for r in checked.good.to_pylist()] == [
        ("a", "DE", 5)
    ]
    assert checked.reasons == {"seats: missing": 1}
    part = attributes().check(raw, partial=True)
    assert part.good.num_rows == 2
    assert not part.reasons


CELLS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None, ""]),
        st.sampled_from(["COUNTRY", "SEATS", "OTHER", None]),
        st.sampled_from(["1", "2", "x", None]),
    ),
    max_size=20,
)


@given(CELLS)
def test_a_pivot_conserves_rows(rows):
    raw = pa.Table.from_pylist(
        [dict(zip(("id", "attribute", "value"), row, strict=True)) for row in rows],
        schema=pa.schema([(name, pa.string()) for name in ("id", "attribute", "value")]),
    )
    mapping = attributes()
    left_out = raw.num_rows - mapping.select(raw).num_rows
    assert left_out == sum(tag == "OTHER" for _, tag, _ in rows)
    checked = mapping.check(raw)
    kept = checked.good.num_rows + checked.quarantined.num_rows
    assert kept + checked.repeats + checked.merged + left_out == len(rows)


def test_flag_columns_become_rows(tmp_path):
    (tmp_path / "flags.csv").write_text(
        "at,TWF,HDF,PWF\n2024-03-01 00:00:00,0,0,0\n2024-03-01 01:00:00,1,0,1\n"
    )
    checked = read_checked(parse_mapping(FLAGS, CONTRACTS), tmp_path / "flags.csv")
    assert [(r["event_time"].hour, r["failure_mode"]) for r in checked.good.to_pylist()] == [
        (1, "tool wear"),
        (1, "power"),
    ]
    assert not checked.reasons


@given(st.lists(st.tuples(st.integers(0, 3), *[st.integers(0, 1)] * 3), max_size=12))
def test_unpivot_keeps_every_cell_beside_its_row(rows):
    mapping = parse_mapping(FLAGS, CONTRACTS)
    columns = [pa.array([row[i] for row in rows], pa.int64()) for i in range(4)]
    long = mapping.source_rows(pa.table(columns, names=["at", "TWF", "HDF", "PWF"]))
    assert [(row["at"], row["mode"], row["failed"]) for row in long.to_pylist()] == [
        (at, name, flag)
        for at, *flags in rows
        for name, flag in zip(("TWF", "HDF", "PWF"), flags, strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (LONG_PIVOT, "tag: tag", "tagg: tag", "unknown key; did you mean 'tag'?"),
        (LONG_PIVOT, "index: [asset, ts]", "index: []", "needs 'index'"),
        (LONG_PIVOT, "from: T101", "from: reading", "'reading' is not a column of the wide table"),
        (LONG_PIVOT, "pivot:", "unpivot: {}\npivot:", "give either 'pivot'"),
        (FLAGS, "[TWF, HDF, PWF]", "[TWF, TWF]", "each once"),
        (FLAGS, "label: mode", "label: failed", "two different names"),
        (FLAGS, "from: mode", "from: at", "no column is read from 'mode'"),
    ],
)
def test_a_wrong_pivot_or_unpivot_is_refused_with_its_place(text, old, new, message):
    with pytest.raises(ContractError, match=message):
        parse_mapping(text.replace(old, new), CONTRACTS, "odd.yaml")


def test_an_absent_column_and_a_taken_name_are_named():
    mapping = parse_mapping(FLAGS, CONTRACTS, "flags.yaml")
    with pytest.raises(ContractError, match="no column 'PWF', which unpivot is read from"):
        mapping.require(["at", "TWF", "HDF"])
    with pytest.raises(ContractError, match=r"unpivot.label: the data has a column 'mode'"):
        mapping.require(["at", "TWF", "HDF", "PWF", "mode"])
    with pytest.raises(ContractError, match="no column 'tag', which pivot is read from"):
        telemetry().require(["asset", "ts", "reading"])
