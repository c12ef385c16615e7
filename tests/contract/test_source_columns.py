"""A column that is not there: what the error says to write, and what folders' names give."""

import re
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.contract import ContractError, read_checked, source_schema
from lib.contract.origin import partition_values
from tests.contract.factories import parcels

HEADER = "ID,SENT,WEIGHT,PAID\n"
ROW = "a,2025-01-01,1,1\n"
BROKEN = {
    "a title above the header": "Report of March\n\n" + HEADER + ROW,
    "comments above the header": "# made by us\n# a, b\n" + HEADER + ROW,
    "a title and another delimiter": ("Report; March\n" + HEADER + ROW).replace(",", ";"),
    "Excel's line about the delimiter": "sep=;\n" + (HEADER + ROW).replace(",", ";"),
    "another delimiter": (HEADER + ROW).replace(",", "\t"),
    "another delimiter and quotes": '"ID";"SENT";"WEIGHT";"PAID"\na;2025-01-01;1;1\n',
    "a title of as many fields": "a,b,c,d\n" + HEADER + ROW,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_the_error_says_to_write_reads_the_file(tmp_path, text, end):
    path = tmp_path / "p.csv"
    path.write_bytes(text.replace("\n", end).encode())
    with pytest.raises(ContractError) as stopped:
        read_checked(parcels(), path)
    advice = re.search(r"file: (\{.*\})", str(stopped.value))
    assert advice is not None, str(stopped.value)
    assert yaml.safe_load(advice[1])
    checked = read_checked(parcels("file: " + advice[1]), path)
    assert checked.good["parcel_id"].to_pylist() == ["a"]
    assert checked.rows_in == 1


def test_a_header_in_another_encoding_points_to_it(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes("ID,SENT,WEIGHT,PAYÉ\n".encode("cp1252") + ROW.encode())
    with pytest.raises(ContractError, match=r"not UTF-8: .* file: \{encoding: cp1252\}"):
        read_checked(parcels(), path)


def test_a_long_header_is_cut_in_the_error(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(",".join(f"column_{number}" for number in range(2_000)) + "\n")
    with pytest.raises(ContractError) as stopped:
        read_checked(parcels(), path)
    assert len(str(stopped.value)) < 2_000


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["", "x", "a,b", '"', '"x', "ID,SENT"]), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_lines_above_the_header_are_passed_over_and_counted(tmp_path_factory, above, end):
    path = tmp_path_factory.mktemp("skipped") / "p.csv"
    lines = [*above, *(HEADER + ROW + "b\n").splitlines()]
    path.write_bytes(end.join(lines).encode())
    checked = read_checked(parcels(f"file: {{skip_lines: {len(above)}}}"), path)
    assert checked.good["parcel_id"].to_pylist() == ["a"]
    assert checked.quarantined["quarantine_row"].to_pylist() == [len(above) + 3]


@pytest.mark.parametrize("lines", [3, 9_999])
def test_a_file_of_fewer_lines_than_are_passed_over_is_empty(tmp_path, lines):
    path = tmp_path / "p.csv"
    path.write_text(HEADER + ROW)
    with pytest.raises(ContractError, match="no rows to read"):
        read_checked(parcels(f"file: {{skip_lines: {lines}}}"), path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_folders_that_are_named_after_a_column_give_its_values(tmp_path, kind):
    for site in ("A%20B", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / f"ID={site}"
        folder.mkdir()
        table = pa.table({"SENT": ["2025-01-01"], "WEIGHT": [1.0], "PAID": [1]})
        if kind == "parquet":
            pq.write_table(table, folder / "p.parquet")
        else:
            (folder / "p.csv").write_text("SENT,WEIGHT,PAID\n2025-01-01,1,1\n")
    checked = read_checked(parcels(), tmp_path)
    assert checked.good["parcel_id"].to_pylist() == ["A B"]
    assert checked.reasons == {"parcel_id: missing": 1}
    assert "ID" in source_schema(parcels(), tmp_path).names


def test_a_column_of_the_file_counts_more_than_its_folder(tmp_path):
    (tmp_path / "ID=folder").mkdir()
    (tmp_path / "ID=folder" / "p.csv").write_text(HEADER + ROW)
    assert read_checked(parcels(), tmp_path).good["parcel_id"].to_pylist() == ["a"]


def test_a_parquet_file_with_two_columns_of_a_name_is_refused(tmp_path):
    arrays = [pa.array([value]) for value in ("a", "b", "2025-01-01", "1", "1")]
    table = pa.Table.from_arrays(arrays, names=["ID", "ID", "SENT", "WEIGHT", "PAID"])
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(ContractError, match="several columns are named 'ID'; rename them"):
        read_checked(parcels(), tmp_path / "p.parquet")


@given(st.dictionaries(st.from_regex("[a-z]{1,5}", fullmatch=True), st.text(min_size=1)))
def test_partitions_are_read_as_they_were_written(values):
    folders = "/".join(f"{name}={quote(value, safe='')}" for name, value in values.items())
    assert partition_values(f"/data/{folders}/part-0.parquet") == values
