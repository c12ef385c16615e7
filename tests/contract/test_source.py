"""Files of both formats are read alike, and what cannot be read is kept."""

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.contract import (
    Checked,
    ContractError,
    Mapping,
    load_mapping,
    parse_mapping,
    read_checked,
    read_pieces,
    source_files,
    write_parquet,
)
from tests.contract.factories import PARCELS, TEXT, parcels

_NO_TIME = "sent_at: not an ISO 8601 time; declare 'format' where it is another"
LINES = """ID,SENT,WEIGHT,PAID,NOTE
007,2025-01-01 10:00:00,1.5,4.99,"a, b"
008,2025-01-02T10:00:00Z,NA,5,
009,never,2.5,5.00,x
"""


def read_lines(
    folder: Path, text: str, mapping: Mapping | None = None, name: str = "p.csv"
) -> Checked:
    """What is read of a file with this text; without a mapping, as parcels."""
    (folder / name).write_text(text)
    return read_checked(parcels() if mapping is None else mapping, folder / name)


def test_csv_keeps_leading_zeros_and_exact_amounts(tmp_path):
    path = tmp_path / "parcels.csv"
    path.write_text(LINES)
    checked = read_checked(parcels("file: {missing: [NA]}"), path)
    assert checked.good["parcel_id"].to_pylist() == ["007"]
    assert checked.good["postage_minor"].to_pylist() == [499]
    assert checked.good["sent_at"].to_pylist() == [datetime(2025, 1, 1, 10, tzinfo=UTC)]
    assert checked.reasons == {_NO_TIME: 1, "weight_kg: missing": 1}


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
    lines = "ID,SENT,WEIGHT,PAID\na,2025-01-01,1,4.99\nb,2025-01-01\nc,2025-01-01,1,2,3\n"
    checked = read_lines(tmp_path, lines)
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
    files = source_files(parcels().file, tmp_path)
    pieces = [piece.rows for file in files for piece in read_pieces(parcels(), file, rows=4)]
    assert {piece.num_rows for piece in pieces} == {4, 2}
    assert pieces[0].column_names[:4] == ["ID", "SENT", "WEIGHT", "PAID"]
    assert "UNUSED" not in pieces[0].column_names
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
        ("rows.xlsx", "save its sheet as CSV"),
        ("rows.bin", "cannot tell the format"),
        ("empty.csv", "no rows to read for p.yaml"),
    ],
)
def test_what_cannot_be_read_says_what_to_check(tmp_path, name, words):
    (tmp_path / "text.parquet").write_text("no parquet")
    (tmp_path / "rows.xlsx").write_text("")
    (tmp_path / "rows.bin").write_text("")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ContractError, match=words):
        read_checked(parcels(), tmp_path / name)


def test_a_file_without_a_mapped_column_stops_before_any_row_is_read(tmp_path):
    with pytest.raises(ContractError, match="did you mean 'WEIHGT'"):
        read_lines(tmp_path, "ID,SENT,WEIHGT,PAID\n")


def test_no_row_left_after_where_is_said(tmp_path):
    with pytest.raises(ContractError, match="no rows to read"):
        read_lines(tmp_path, "ID,SENT,WEIGHT,PAID\n")


def test_an_absent_mapping_file_is_said(tmp_path):
    with pytest.raises(ContractError, match="there is no mapping file"):
        load_mapping(tmp_path / "m.yaml", [PARCELS])


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = write_parquet(pa.table({"a": [1]}), tmp_path / "t.parquet")
    unwritable = pa.table({"a": pa.array([{}], pa.struct([]))})
    with pytest.raises(pa.ArrowNotImplementedError):
        write_parquet(unwritable, path)
    assert pq.read_table(path).to_pydict() == {"a": [1]}
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


ROWS = "".join(f"{row},2025-01-01,1,4.99,note {row}\n" for row in range(1000))


def with_stray_quotes(*changes: tuple[str, str]) -> str:
    text = ROWS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return "ID,SENT,WEIGHT,PAID,NOTE\n" + text


@pytest.mark.parametrize(
    "changes",
    [
        [("\n10,", '\n"10,')],
        [("\n10,", '\n"10,'), ("\n900,", '\n"900,')],
        [("\n10,2025-01-01,", '\n10,"2025-01-01,'), ("\n900,2025-01-01,", '\n900,2025-01-01",')],
        [(",note 10\n", ',"note 10\n'), (",note 900\n", ',note 900"\n')],
        [(",note 10\n", ',"note 10\n'), (",note 900\n", ',"note 900\n')],
    ],
)
def test_a_stray_quote_sets_aside_one_line_and_no_row_is_lost(tmp_path, changes):
    checked = read_lines(tmp_path, with_stray_quotes(*changes))
    assert checked.rows_in == 1000
    assert checked.good.num_rows + checked.quarantined.num_rows == 1000
    assert 1 <= checked.quarantined.num_rows <= 2
    lines = checked.quarantined["quarantine_row"].to_pylist()
    assert set(lines) <= {12, 902}


def test_a_delimiter_behind_every_line_is_read_once_all_columns_are_named(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,SENT,WEIGHT,PAID\na,2025-01-01,1,1,\nb,2025-01-01,1,1,\n")
    assert read_checked(parcels(), path).reasons == {"line: 5 fields where 4 were expected": 2}
    file = "file: {columns: [ID, SENT, WEIGHT, PAID, rest], header: true}"
    assert read_checked(parcels(file), path).good["parcel_id"].to_pylist() == ["a", "b"]


def test_databases_write_null_as_an_escaped_n(tmp_path):
    file = r"file: {columns: [ID, SENT, WEIGHT, PAID], quote: none, escape: '\'}"
    lines = "a\t2025-01-01\t\\N\t1\n\\N\t2025-01-01\t1\t1\nN\\N\t2025-01-01\t1\t\\N\n"
    checked = read_lines(tmp_path, lines, parcels(file), name="p.tsv")
    assert checked.quarantined["ID"].to_pylist() == ["a", None, "NN"]
    assert checked.reasons == {
        "parcel_id: missing": 1,
        "postage_minor: missing": 1,
        "weight_kg: missing": 1,
    }


def test_a_byte_order_mark_that_was_written_twice_is_none_of_the_header(tmp_path):
    lines = "\ufeff\ufeffID,SENT,WEIGHT,PAID\na,2025-01-01,1,1\n"
    assert read_lines(tmp_path, lines).good.num_rows == 1


def test_the_quarantine_has_file_and_line(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,SENT,WEIGHT,PAID\na,never,1,1\nb\nc,2025-01-01,1,1\n")
    checked = read_checked(parcels(), path)
    rows = checked.quarantined.select(["quarantine_file", "quarantine_row", "line"]).to_pylist()
    file = str(path)
    assert rows == [
        {"quarantine_file": file, "quarantine_row": 2, "line": None},
        {"quarantine_file": file, "quarantine_row": 3, "line": "b"},
    ]


def test_rows_that_where_leaves_out_are_counted(tmp_path):
    mapping = parse_mapping(TEXT.format(file="where: {WEIGHT: {above: 1}}"), [PARCELS], "p.yaml")
    lines = "ID,SENT,WEIGHT,PAID\na,2025-01-01,1,1\nb,2025-01-01,2,1\n"
    checked = read_lines(tmp_path, lines, mapping)
    assert (checked.rows_in, checked.left_out, checked.good.num_rows) == (2, 1, 1)


def test_parts_with_only_a_header_or_nothing_are_read_as_no_rows(tmp_path):
    (tmp_path / "a.csv").write_text("ID,SENT,WEIGHT,PAID\n")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(ContractError, match=r"2 file\(s\), each empty or with a header only"):
        read_checked(parcels(), tmp_path)
    assert read_checked(parcels(), tmp_path, may_be_empty=True).rows_in == 0
    (tmp_path / "c.csv").write_text("ID,SENT,WEIGHT,PAID\na,2025-01-01,1,1\n")
    assert read_checked(parcels(), tmp_path).good.num_rows == 1


def test_files_that_other_programs_leave_are_no_data(tmp_path):
    for name in (".DS_Store", "_SUCCESS", ".part-0.csv.crc", "part-0.csv.crc", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"\0\1")
    for day in ("2025-01-01", "2025-01-02"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "part-0.csv").write_text(f"ID,SENT,WEIGHT,PAID\n{day},{day},1,1\n")
    checked = read_checked(parcels(), tmp_path)
    assert checked.good["parcel_id"].to_pylist() == ["2025-01-01", "2025-01-02"]


def test_columns_without_a_name_do_not_matter_unless_they_are_read(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("ID,SENT,WEIGHT,PAID,,,\na,2025-01-01,1,1,,,\n")
    assert read_checked(parcels(), path).good.num_rows == 1
    path.write_text("ID,SENT,WEIGHT,PAID,ID\na,2025-01-01,1,1,b\n")
    with pytest.raises(ContractError, match="2 columns are named 'ID'"):
        read_checked(parcels(), path)


@pytest.mark.parametrize(
    "file",
    ["file: {columns: [ID, SENT, WEIGHT, PAID]}", "file: {header: false}"],
)
def test_a_file_without_header_is_read_by_names_or_numbers(tmp_path, file):
    text = TEXT.format(file=file)
    if "header" in file:
        for number, name in enumerate(("ID", "SENT", "WEIGHT", "PAID"), start=1):
            text = re.sub(rf"\b{name}\b", str(number), text)
    checked = read_lines(
        tmp_path, "a,2025-01-01,1,1\nb,2025-01-01,1,1\n", parse_mapping(text, [PARCELS], "p.yaml")
    )
    assert checked.good["parcel_id"].to_pylist() == ["a", "b"]


def test_names_may_stand_for_those_of_the_header(tmp_path):
    file = "file: {columns: [ID, SENT, WEIGHT, PAID], header: true}"
    lines = "ID,ID,x,x\na,2025-01-01,1,1\n"
    assert read_lines(tmp_path, lines, parcels(file)).good["parcel_id"].to_pylist() == ["a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("compressed", [False, True])
def test_marks_line_ends_and_compression_make_no_difference(tmp_path, encoding, end, compressed):
    text = f"ID,SENT,WEIGHT,PAID{end}Köln,2025-01-01,1,4.99{end}"
    path = tmp_path / ("p.csv.gz" if compressed else "p.csv")
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert read_checked(parcels(), path).good["parcel_id"].to_pylist() == ["Köln"]


def test_tabs_are_the_delimiter_of_tsv_files(tmp_path):
    lines = "ID\tSENT\tWEIGHT\tPAID\na\t2025-01-01\t1\t1\n"
    assert read_lines(tmp_path, lines, name="p.tsv").good.num_rows == 1


def test_a_header_of_one_field_points_to_the_delimiter(tmp_path):
    with pytest.raises(ContractError, match='delimiter: ";"'):
        read_lines(tmp_path, "ID;SENT;WEIGHT;PAID\na;2025-01-01;1;1\n")


def test_utf_16_without_a_mark_is_pointed_out(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes("ID,SENT,WEIGHT,PAID\na,2025-01-01,1,1\n".encode("utf-16-le"))
    with pytest.raises(ContractError, match="encoding: utf-16-le"):
        read_checked(parcels(), path)


def test_bytes_of_another_encoding_set_their_line_aside(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes(b"ID,SENT,WEIGHT,PAID\nK\xf6ln,2025-01-01,1,1\na,2025-01-01,1,1\n")
    checked = read_checked(parcels(), path)
    assert checked.reasons == {"line: not utf-8 text": 1}
    assert (checked.rows_in, checked.good["parcel_id"].to_pylist()) == (2, ["a"])


def test_a_file_that_is_cut_off_is_said(tmp_path):
    path = tmp_path / "p.csv.gz"
    path.write_bytes(gzip.compress(with_stray_quotes().encode())[:-20])
    with pytest.raises(ContractError, match=r"cut off"):
        read_checked(parcels(), path)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("file: {encoding: klingon}", "unknown encoding 'klingon'"),
        ("file: {encoding: base64}", "unknown encoding 'base64'"),
        ("file: {quote: ','}", "three different characters"),
        ("file: {columns: [ID, ID]}", "each name once"),
    ],
)
def test_a_format_that_cannot_be_is_refused_with_its_line(file, words):
    with pytest.raises(ContractError, match=f":3: .*{words}"):
        parcels(file)


NAMED = """
contract: parcels
columns:
  parcel_id: {{from_file: {parts}}}
  sent_at: {{from: SENT, timezone: UTC}}
  weight_kg: {{value: 1}}
  postage_minor: {{value: 1, unit: minor}}
  kind: {{value: small}}
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_of_files_and_numbers_of_rows_make_ids(tmp_path, kind):
    for name in ("run-1", "run-2"):
        table = pa.table({"SENT": ["2025-01-01", "2025-01-02"]})
        if kind == "parquet":
            pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=1)
        else:
            (tmp_path / f"{name}.csv").write_text("SENT\n2025-01-01\n\n2025-01-02\n")
    mapping = parse_mapping(NAMED.format(parts="[stem, row_number]"), [PARCELS])
    checked = read_checked(mapping, tmp_path)
    numbers = (1, 2) if kind == "parquet" else (2, 4)
    assert checked.good["parcel_id"].to_pylist() == [
        f"run-{run}-{number}" for run in (1, 2) for number in numbers
    ]


def test_row_numbers_of_several_files_need_their_names(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("SENT\n2025-01-01\n")
    mapping = parse_mapping(NAMED.format(parts="row_number"), [PARCELS])
    with pytest.raises(ContractError, match=r"from_file: \[folder, stem, row_number\]"):
        read_checked(mapping, tmp_path)
    assert read_checked(mapping, tmp_path / "a.csv").good["parcel_id"].to_pylist() == ["2"]
