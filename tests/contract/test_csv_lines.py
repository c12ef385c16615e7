"""No line of a CSV file is ever lost: each is the header, blank, in a row, or set aside."""

import io
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.contract import ContractError, csv_file, csv_text
from lib.contract.csv_file import CsvFile
from lib.contract.csv_lines import sort_lines
from lib.contract.csv_marks import whole_records
from lib.contract.csv_record import Dialect, FieldUse, Status, read_record
from lib.contract.file_format import FileFormat

PARTS = st.lists(
    st.sampled_from(
        [
            '"',
            '""',
            ",",
            ";",
            "\n",
            "\r\n",
            "\r",
            "a",
            "bc",
            " ",
            "\\",
            "\0",
            "é",
            '"x"',
            ',"',
            '",',
        ]
    ),
    max_size=60,
)
TEXTS = PARTS.map("".join)
FORMS = st.builds(
    FileFormat,
    delimiter=st.sampled_from([None, ";"]),
    quote=st.sampled_from(['"', '"', ""]),
    escape=st.sampled_from(["", "", "\\"]),
    header=st.booleans(),
    multiline=st.sampled_from([None, None, True, False]),
)
USES = st.lists(st.sampled_from(list(FieldUse)), min_size=4, max_size=4).map(tuple)


def physical_lines(text: str) -> list[str]:
    """Lines by a plain reading: CR LF, LF and CR end one, and the last may have no end."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def opened(content: bytes, form: FileFormat) -> CsvFile:
    return CsvFile(io.BytesIO(content), "lines.csv", form)


@settings(max_examples=300)
@given(TEXTS, FORMS, st.sampled_from(["utf-8", "utf-16", "latin-1"]), st.integers(1, 40))
@example('a,b\n1,"x\n2,y"\n', FileFormat(), "utf-8", 3)
@example("a\r\n\r\n1\r", FileFormat(), "utf-8", 1)
def test_every_line_of_any_text_is_counted(text, form, encoding, block_bytes):
    content = text.encode(encoding)
    lines = physical_lines(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "BLOCK_BYTES", block_bytes * 2)
        try:
            file = opened(content, FileFormat(**{**_fields(form), "encoding": encoding}))
            columns = [name for name in file.names if file.names.count(name) == 1]
            pieces = list(file.pieces(columns, judge=lambda rows: np.ones(rows.num_rows, bool)))
        except ContractError as error:
            if re.search("quote opens in the header|UTF-16", str(error)):
                return
            raise
    counts = file.counts
    unreadable = sum(piece.unreadable.num_rows for piece in pieces)
    rows = sum(piece.rows.num_rows for piece in pieces)
    assert counts.total == len(lines)
    assert counts.header + counts.blank + counts.in_rows + counts.unreadable == len(lines)
    assert counts.unreadable == unreadable
    assert rows <= counts.in_rows
    for piece in pieces:
        for line in piece.unreadable.to_pylist():
            assert line["line"] == lines[line["quarantine_row"] - 1]


def _fields(form: FileFormat) -> dict[str, object]:
    return {name: getattr(form, name) for name in FileFormat.__slots__}


@settings(max_examples=300)
@given(TEXTS, st.integers(1, 4), USES, st.sampled_from([b"", b"\\"]), st.sampled_from([b"", b'"']))
def test_many_lines_at_a_time_are_what_one_at_a_time_are(text, width, uses, escape, quote):
    data = text.encode()
    dialect = Dialect(b",", quote, escape, None, uses)
    lines = sort_lines(data, width, dialect, last=True)
    expected: list[tuple[int, Status]] = []
    start = 0
    while start < len(data):
        record = read_record(data, start, dialect)
        status = record.status
        if status == Status.GOOD and record.fields != width:
            status = Status.OPEN_QUOTE if record.lines > 1 else Status.RAGGED
        end = record.end
        if status != Status.GOOD:
            end = next((at for at in range(start, len(data)) if data[at] in b"\r\n"), len(data))
        if end == start:
            status = Status.BLANK
        expected.append((start, status))
        start = end + (2 if data[end : end + 2] == b"\r\n" else 1)
    begins = np.flatnonzero(lines.status != Status.SWALLOWED)
    assert [(int(lines.starts[i]), Status(int(lines.status[i]))) for i in begins] == expected


VALUE = st.sampled_from(
    ["", "x", "a b", ",", '""', "\n", "\n,", "1,2\n3,4", "\r\n", "x\nb,c,d", '",', '"', "\r"]
)
CELL = st.one_of(
    VALUE.map('"{}"'.format), VALUE.map('"{}"'.format), st.sampled_from(["", "x", "é"])
)
RECORDS = st.lists(
    st.one_of(st.lists(CELL, min_size=3, max_size=3), st.lists(CELL, max_size=4)), max_size=12
)


def _read(content: bytes, form: FileFormat, uses: tuple[FieldUse, ...], judged: bool):
    file = opened(content, form)
    pieces = list(
        file.pieces(
            ["a", "b", "c"],
            dict(zip("abc", uses, strict=False)),
            (lambda rows: pc.equal(rows["a"], "x").fill_null(False).to_numpy()) if judged else None,
        )
    )
    rows = pa.concat_tables([piece.rows for piece in pieces]).to_pylist() if pieces else []
    lines = [line for piece in pieces for line in piece.unreadable.to_pylist()]
    return rows, sorted(lines, key=lambda line: line["quarantine_row"]), file.counts


@settings(max_examples=150)
@given(
    RECORDS,
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    USES,
    st.sampled_from([None, None, True, False]),
    st.booleans(),
    st.integers(1, 100),
)
def test_blocks_are_read_as_their_lines_are(
    records, end, ends, uses, multiline, judged, block_bytes
):
    rows = [",".join(record) for record in records]
    content = (end.join(["a,b,c", *rows]) + (end if ends else "")).encode()
    form = FileFormat(multiline=multiline)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "BLOCK_BYTES", block_bytes)
        by_blocks = _read(content, form, uses, judged)
        patch.setattr(csv_file, "whole_records", lambda *_: None)
        assert by_blocks == _read(content, form, uses, judged)


@pytest.mark.parametrize(
    ("text", "firsts"),
    [
        ("x,y\n" * 200, list(range(200))),
        ('"x, ""y""",z\r\n' * 100, list(range(100))),
        ('x,"y\nz"\n' * 100, list(range(0, 200, 2))),
        ('x,"y\nz"\nx,"', [0]),
    ],
)
def test_records_with_plain_quotes_are_known_without_reading_them(text, firsts):
    dialect = Dialect(uses=(FieldUse.SINGLE_LINE, FieldUse.FREE_TEXT))
    records = whole_records(text.encode(), 2, dialect)
    assert records is not None
    assert records.firsts.tolist() == firsts
    assert records.used == text.rfind("\n") + 1


@pytest.mark.parametrize(
    "text", ['x,a"b\n', 'x,"a"b\n', '"x\ny",z\n', "x\ry\n", 'x,"a\n', 'x, "a"\n', ""]
)
def test_other_quotes_and_line_ends_are_looked_at_line_by_line(text):
    dialect = Dialect(uses=(FieldUse.SINGLE_LINE, FieldUse.FREE_TEXT))
    assert whole_records(text.encode(), 2, dialect) is None


FIELD = st.text(st.sampled_from('ab",\n\r; '), max_size=6)


@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_well_is_read_as_it_was_written(rows, end):
    def quoted(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    text = end.join(["a,b", *(",".join(map(quoted, row)) for row in rows)])
    file = opened(text.encode(), FileFormat(missing=(), multiline=True))
    pieces = list(file.pieces(["a", "b"]))
    assert sum(piece.unreadable.num_rows for piece in pieces) == 0
    read = [tuple(row.values())[:2] for piece in pieces for row in piece.rows.to_pylist()]
    assert read == rows


def table(rows: int, stray: dict[int, str]) -> bytes:
    lines = [stray.get(row, f"{row},u{row},5,note {row}") for row in range(rows)]
    return "\n".join(["id,user,amount,note", *lines, ""]).encode()


USES_OF_TABLE = {"id": FieldUse.SINGLE_LINE, "user": FieldUse.SINGLE_LINE}


@pytest.mark.parametrize(
    "stray",
    [
        {10: '10,"u10,5,note 10'},
        {10: '10,"u10,5,note 10', 900: '900,"u900,5,note 900'},
        {10: '10,"u10,5,note 10', 900: '900,u900",5,note 900'},
        {10: '10,u10,5,"note 10', 900: '900,u900,5,note 900"'},
        {10: '10,u10,"5,note 10', 11: '11,u11,5",note 11'},
        {10: '"10,u10,5,note 10', 999: '"999,u999,5,note 999'},
        {999: '999,u999,5,"note 999'},
        {row: f'{row},u{row},5,"note {row}' for row in range(0, 1000, 7)},
    ],
)
def test_a_stray_quote_costs_only_its_own_line(stray):
    file = opened(table(1000, stray), FileFormat())
    pieces = list(
        file.pieces(["id", "user"], USES_OF_TABLE, judge=lambda rows: np.ones(rows.num_rows, bool))
    )
    ids = {int(row_id) for piece in pieces for row_id in piece.rows["id"].to_pylist()}
    aside = [
        line - 2 for piece in pieces for line in piece.unreadable["quarantine_row"].to_pylist()
    ]
    assert ids | set(aside) == set(range(1000))
    assert len(ids) + len(aside) == 1000
    assert set(aside) <= set(stray)
    assert aside


def test_a_text_of_several_lines_is_one_row_where_it_may_be_one():
    content = b'id,text\n1,"two\nlines, and ""more""\n"\n2,plain\n'
    free = {"id": FieldUse.SINGLE_LINE, "text": FieldUse.FREE_TEXT}
    (piece,) = opened(content, FileFormat()).pieces(
        ["id", "text"], free, judge=lambda rows: np.zeros(rows.num_rows, bool)
    )
    assert piece.rows["text"].to_pylist() == ['two\nlines, and "more"\n', "plain"]
    assert piece.rows["quarantine_row"].to_pylist() == [2, 5]
    (piece,) = opened(content, FileFormat(multiline=False)).pieces(["id", "text"])
    assert piece.rows["id"].to_pylist() == ["lines", "2"]
    assert piece.unreadable["line"].to_pylist() == ['1,"two', '"']


def test_a_blank_line_in_the_only_column_is_part_of_its_text():
    (piece,) = opened(b'text\n"a\n\nb"\nc\n', FileFormat()).pieces(
        ["text"], {"text": FieldUse.FREE_TEXT}, judge=lambda rows: np.zeros(rows.num_rows, bool)
    )
    assert piece.rows["text"].to_pylist() == ["a\n\nb", "c"]


def test_a_ragged_line_is_treated_alike_wherever_it_stands():
    content = table(60_000, {500: "500,u,5,n,extra", 40_000: "40000,u", 59_999: ""})
    pieces = list(opened(content, FileFormat()).pieces(["id"]))
    reasons = Counter(
        (line["quarantine_row"], line["quarantine_reason"])
        for piece in pieces
        for line in piece.unreadable.to_pylist()
    )
    assert reasons == {
        (502, "line: 5 fields where 4 were expected"): 1,
        (40_002, "line: 2 fields where 4 were expected"): 1,
    }
    assert sum(piece.rows.num_rows for piece in pieces) == 59_997
