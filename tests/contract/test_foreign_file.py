"""Files that are no CSV are named as what they are, and text is never taken for one of them."""

import bz2
import gzip
import io
import json
import zipfile

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contract import ContractError, read_checked
from lib.contract.csv_text import utf8_blocks
from tests.contract.factories import parcels

CSV = b"ID,SENT,WEIGHT,PAID\na,2025-01-01,1,1\n"


def _zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


def _table(write) -> bytes:
    sink = pa.BufferOutputStream()
    write(pa.table({"ID": ["a"]}), sink)
    return sink.getvalue().to_pybytes()


FOREIGN = {
    "an Excel workbook; unpack it, or save its sheet as CSV": _zipped(),
    "an Excel workbook; save its sheet": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "compressed by gzip; give its name the ending .csv.gz": gzip.compress(CSV),
    "compressed by bzip2; give its name the ending .csv.bz2": bz2.compress(CSV),
    "a Parquet file; say it in the mapping file: file: {format: parquet}": _table(pq.write_table),
    "an Arrow or Feather file; write it as CSV or Parquet": _table(feather.write_feather),
    "JSON; write it as CSV or Parquet": json.dumps([{"ID": "a"}]).encode(),
    "looks like JSON": json.dumps({"ID": "a"}, indent=1).encode(),
    "a page of HTML or XML; check the download": b"\xef\xbb\xbf\n<!DOCTYPE html><html>",
    "file: {encoding: utf-32}": CSV.decode().encode("utf-32"),
}


@pytest.mark.parametrize(("words", "content"), FOREIGN.items(), ids=list(FOREIGN))
def test_a_file_that_is_no_csv_is_named_with_what_to_do(tmp_path, words, content):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(ContractError) as stopped:
        read_checked(parcels(), path)
    assert words in str(stopped.value)


@pytest.mark.parametrize("name", ["p.jsonl", "p.xlsx", "p.feather", "p.tar", "P.XLS"])
def test_an_ending_that_is_never_read_says_what_to_write_instead(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ContractError, match=r"files that end in .* are not read; "):
        read_checked(parcels(), tmp_path / name)


def test_a_folder_of_csv_and_parquet_is_refused_by_name(tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(ContractError, match=r"a.csv and .*b.parquet: .* a folder of one kind"):
        read_checked(parcels(), tmp_path)


def test_a_device_is_no_file():
    with pytest.raises(ContractError, match="expected a file or a folder, got a device"):
        read_checked(parcels("file: {format: csv}"), "/dev/null")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_declared_encodings_of_wide_characters_are_text(tmp_path, encoding):
    path = tmp_path / "p.csv"
    path.write_bytes(CSV.decode().encode(encoding))
    checked = read_checked(parcels(f"file: {{encoding: {encoding}}}"), path)
    assert checked.good["parcel_id"].to_pylist() == ["a"]


def test_json_in_a_column_without_header_is_a_value(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes(b'{"id": 1}\t2025-01-01\t1\t1\n')
    file = "file: {delimiter: tab, columns: [ID, SENT, WEIGHT, PAID]}"
    assert read_checked(parcels(file), path).good["parcel_id"].to_pylist() == ['{"id": 1}']


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
def test_readable_text_is_never_refused_as_binary(text):
    if text.startswith(("PAR1", "BZh", "%PDF-")):
        return
    content = text.encode()
    assert b"".join(utf8_blocks(io.BytesIO(content), "utf-8", "t.csv")) == content.removeprefix(
        b"\xef\xbb\xbf"
    )
