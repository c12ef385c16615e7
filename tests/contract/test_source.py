"""Files of both formats are read alike, and what cannot be read is kept."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.contract import (
    QUARANTINE_REASON,
    ContractError,
    load_mapping,
    parse_mapping,
    read_checked,
    read_pieces,
    write_parquet,
    write_quarantine,
)
from tests.contract.parcels import PARCELS

TEXT = """
contract: parcels
{file}
columns:
  parcel_id: ID
  sent_at: {{from: SENT, timezone: UTC}}
  weight_kg: WEIGHT
  postage_minor: {{from: PAID, unit: major, currency_digits: 2}}
  kind: {{value: small}}
"""
LINES = """ID,SENT,WEIGHT,PAID,NOTE
007,2025-01-01 10:00:00,1.5,4.99,"a, b"
008,2025-01-02T10:00:00Z,NA,5,
009,never,2.5,5.00,x
"""


def parcels(file: str = ""):
    return parse_mapping(TEXT.format(file=file), [PARCELS], "p.yaml")


def test_csv_keeps_leading_zeros_and_exact_amounts(tmp_path):
    path = tmp_path / "parcels.csv"
    path.write_text(LINES)
    checked = read_checked(parcels("file: {missing: [NA]}"), path)
    assert checked.good["parcel_id"].to_pylist() == ["007"]
    assert checked.good["postage_minor"].to_pylist() == [499]
    assert checked.good["sent_at"].to_pylist() == [datetime(2025, 1, 1, 10, tzinfo=UTC)]
    assert checked.reasons == {"sent_at: not an ISO 8601 time": 1, "weight_kg: missing": 1}


def test_csv_and_parquet_of_the_same_rows_give_the_same_table(tmp_path):
    (tmp_path / "p.csv").write_text("ID,SENT,WEIGHT,PAID\na,2025-01-01 10:00:00,1.5,4.99\n")
    rows = {"ID": ["a"], "SENT": [datetime(2025, 1, 1, 10)], "WEIGHT": [1.5], "PAID": [4.99]}
    pq.write_table(pa.table(rows), tmp_path / "p.parquet")
    from_csv, from_parquet = (
        read_checked(parcels(), tmp_path / name).good for name in ("p.csv", "p.parquet")
    )
    assert from_csv == from_parquet


def test_another_delimiter_and_encoding_are_declared(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes("ID;SENT;WEIGHT;PAID\nKöln;2025-01-01;1;4.99\n".encode("latin-1"))
    mapping = parcels("file: {format: csv, delimiter: ';', encoding: latin1}")
    assert read_checked(mapping, path).good["parcel_id"].to_pylist() == ["Köln"]


def test_lines_with_too_few_or_too_many_fields_are_kept_in_the_quarantine(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,SENT,WEIGHT,PAID\na,2025-01-01,1,4.99\nb,2025-01-01\nc,2025-01-01,1,2,3\n")
    checked = read_checked(parcels(), path)
    assert (checked.good.num_rows, checked.rows_in) == (1, 3)
    assert checked.reasons == {
        "line: 2 fields where 4 were expected": 1,
        "line: 5 fields where 4 were expected": 1,
    }
    assert sorted(checked.quarantined["line"].to_pylist()) == ["b,2025-01-01", "c,2025-01-01,1,2,3"]


def test_a_folder_is_read_in_pieces_with_only_the_columns_needed(tmp_path):
    for number in range(3):
        rows = {
            "ID": [f"{number}-{row}" for row in range(10)],
            "SENT": [datetime(2025, 1, 1)] * 10,
            "WEIGHT": [1.0] * 10,
            "PAID": [1.0] * 10,
            "UNUSED": ["x"] * 10,
        }
        pq.write_table(pa.table(rows), tmp_path / f"{number}.parquet")
    pieces = list(read_pieces(parcels(), tmp_path, rows=4))
    assert {piece.num_rows for piece in pieces} == {4, 2}
    assert pieces[0].column_names == ["ID", "SENT", "WEIGHT", "PAID"]
    assert read_checked(parcels(), tmp_path).good.num_rows == 30


def test_retries_are_found_across_pieces_and_files(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("ID,SENT,WEIGHT,PAID\nx,2025-01-01,1,4.99\n")
    checked = read_checked(parcels(), [tmp_path / "a.csv", tmp_path / "b.csv"])
    assert (checked.good.num_rows, checked.repeats) == (1, 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.parquet", "check the path"),
        ("text.parquet", "as parquet"),
        ("rows.xlsx", "cannot tell the format"),
        ("empty.csv", "as csv"),
    ],
)
def test_what_cannot_be_read_says_what_to_check(tmp_path, name, words):
    (tmp_path / "text.parquet").write_text("no parquet")
    (tmp_path / "rows.xlsx").write_text("")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ContractError, match=words):
        read_checked(parcels(), tmp_path / name)


def test_a_file_without_a_mapped_column_stops_before_any_row_is_read(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,SENT,WEIHGT,PAID\n")
    with pytest.raises(ContractError, match="did you mean 'WEIHGT'"):
        read_checked(parcels(), path)


def test_no_row_left_after_where_is_said(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,SENT,WEIGHT,PAID\n")
    with pytest.raises(ContractError, match="no rows to read"):
        read_checked(parcels(), path)


def test_an_absent_mapping_file_is_said(tmp_path):
    with pytest.raises(ContractError, match="there is no mapping file"):
        load_mapping(tmp_path / "m.yaml", [PARCELS])


def test_the_quarantine_is_written_whole_with_its_reasons(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(LINES)
    checked = read_checked(parcels("file: {missing: [NA]}"), path)
    written = write_quarantine(checked, tmp_path / "bad" / "quarantine.parquet")
    table = pq.read_table(written)
    assert table["ID"].to_pylist() == ["008", "009"]
    assert table[QUARANTINE_REASON].null_count == 0
    assert [one.name for one in (tmp_path / "bad").iterdir()] == ["quarantine.parquet"]


def test_no_quarantine_is_written_without_bad_rows(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,SENT,WEIGHT,PAID\nx,2025-01-01,1,4.99\n")
    checked = read_checked(parcels(), path)
    assert write_quarantine(checked, tmp_path / "q.parquet") is None
    assert not (tmp_path / "q.parquet").exists()


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = write_parquet(pa.table({"a": [1]}), tmp_path / "t.parquet")
    unwritable = pa.table({"a": pa.array([{}], pa.struct([]))})
    with pytest.raises(pa.ArrowNotImplementedError):
        write_parquet(unwritable, path)
    assert pq.read_table(path).to_pydict() == {"a": [1]}
    assert [one.name for one in tmp_path.iterdir()] == ["t.parquet"]
