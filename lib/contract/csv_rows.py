"""Rows and unreadable lines of a block of CSV text as Arrow tables."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from lib.contract.cast import cast_or_null, lost
from lib.contract.checked import QUARANTINE_REASON, Mask
from lib.contract.csv_lines import Ints, Lines
from lib.contract.csv_marks import WholeRecords
from lib.contract.csv_record import Dialect, Status
from lib.contract.declaration import ContractError
from lib.contract.file_format import FileFormat
from lib.contract.origin import QUARANTINE_FILE, QUARANTINE_ROW, with_origin

UNREADABLE = pa.schema(
    [
        ("line", pa.string()),
        (QUARANTINE_FILE, pa.string()),
        (QUARANTINE_ROW, pa.int64()),
        (QUARANTINE_REASON, pa.string()),
    ]
)
_REASONS = {
    Status.OPEN_QUOTE: "line: a quote opens and does not close in it",
    Status.AFTER_QUOTE: "line: text stands behind a closing quote",
    Status.ESCAPED_END: "line: an escape character stands before its end",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a file, and its lines that are none.

    Attributes:
        rows: the columns that are read, with `quarantine_file` and `quarantine_row`.
        unreadable: `line`, file, line number and reason of each line that was set aside.
    """

    rows: pa.Table
    unreadable: pa.Table


@dataclass(frozen=True)
class RowReader:
    """Makes tables of the lines of one file.

    Args:
        address: of the file.
        names: of all fields, in order.
        columns: those that are read.
        form: how the file is written.
        dialect: how records are written.
    """

    address: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    form: FileFormat
    dialect: Dialect

    @property
    def _null_marks(self) -> re.Pattern[bytes]:
        """A whole field that is an escaped N: what MySQL and PostgreSQL write for null."""
        mark = re.escape(self.dialect.delimiter)
        null = re.escape(self.dialect.escape) + b"N"
        return re.compile(rb"(?<![^\r\n" + mark + rb"])" + null + rb"(?![^\r\n" + mark + rb"])")

    def piece(self, data: bytes, lines: Lines, first_line: int) -> Piece:
        """Rows and set-aside lines of a block whose first line has the number `first_line`."""
        good = lines.of(Status.GOOD)
        spans = bool(np.any(lines.records[good] != lines.nexts[good]))
        raw = self.table(_joined(data, lines, good), good.size, spans)
        rows, invalid = self.decoded(with_origin(raw, self.address, good + first_line))
        bad = np.flatnonzero(np.isin(lines.status, [Status.RAGGED, *_REASONS]))
        numbers = np.concatenate([bad, good[invalid]])
        reasons = [self._reason(lines, number) for number in bad.tolist()]
        reasons += [f"line: not {self.form.encoding} text"] * int(invalid.sum())
        texts = [
            data[int(lines.starts[number]) : int(_end(data, lines, number))]
            for number in numbers.tolist()
        ]
        unreadable = pa.table(
            [
                pa.array([text.decode("utf-8", "backslashreplace") for text in texts], pa.string()),
                pa.array([self.address] * len(texts), pa.string()),
                pa.array(numbers + first_line, pa.int64()),
                pa.array(reasons, pa.string()),
            ],
            schema=UNREADABLE,
        )
        return Piece(rows, unreadable)

    def read_whole_records(
        self, data: bytes, records: WholeRecords, first_line: int
    ) -> Piece | None:
        """Rows of a block of whole records; None: one has other fields, is blank or no text."""
        text = pa.py_buffer(data).slice(0, records.used)
        try:
            raw = self._parsed(text, records.span, pa.string())
        except pa.ArrowInvalid:
            return None
        if raw.num_rows != len(records.firsts):
            return None
        rows = raw.select(list(self.columns))
        numbers = records.firsts + first_line
        return Piece(with_origin(rows, self.address, numbers), UNREADABLE.empty_table())

    def table(self, text: bytes, count: int, spans: bool = False) -> pa.Table:
        """The columns of whole records, as binary or text.

        Raises:
            ContractError: Arrow reads another number of rows than were counted.
        """
        if self.dialect.escape and len(self.names) > 1:
            text = self._null_marks.sub(b"", text)
        if not count:
            return pa.table({name: pa.array([], pa.string()) for name in self.columns})
        try:
            table = self._parsed(text, spans, pa.string())
        except pa.ArrowInvalid:
            table = self._parsed(text, spans, pa.binary())
        if table.num_rows != count:
            raise ContractError(
                f"{self.address}: {count:,} records were counted and {table.num_rows:,} read; "
                "nothing was written. Please report it with the file"
            )
        return table.select(list(self.columns))

    def _parsed(self, text: bytes | pa.Buffer, spans: bool, kind: pa.DataType) -> pa.Table:
        read = set(self.columns)
        labels = [name if name in read else f"\0{at}" for at, name in enumerate(self.names)]
        included = list(self.columns) or labels[:1]
        return pc_csv.read_csv(
            pa.BufferReader(text),
            pc_csv.ReadOptions(column_names=labels, block_size=len(text) + 1, use_threads=False),
            pc_csv.ParseOptions(
                delimiter=self.dialect.delimiter.decode(),
                quote_char=self.dialect.quote.decode() or False,
                escape_char=self.dialect.escape.decode() or False,
                newlines_in_values=spans,
            ),
            pc_csv.ConvertOptions(
                column_types=dict.fromkeys(included, kind),
                include_columns=included,
                null_values=list(self.form.missing),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    def decoded(self, raw: pa.Table) -> tuple[pa.Table, Mask]:
        """Binary columns as text; rows that hold invalid bytes are left out and marked."""
        invalid = np.zeros(raw.num_rows, dtype=np.bool_)
        for at, name in enumerate(self.columns):
            if raw[name].type != pa.binary():
                continue
            values = pa.concat_arrays(raw[name].chunks)
            texts = cast_or_null(values, pa.string())
            invalid |= lost(values, texts)
            raw = raw.set_column(at, name, texts)
        return (raw.filter(pc.invert(pa.array(invalid))) if invalid.any() else raw), invalid

    def _reason(self, lines: Lines, number: int) -> str:
        status = Status(int(lines.status[number]))
        if status == Status.RAGGED:
            return f"line: {lines.fields[number]} fields where {len(self.names)} were expected"
        return _REASONS[status]


def _joined(data: bytes, lines: Lines, good: Ints) -> bytes:
    """The text of whole records."""
    if not good.size:
        return b""
    starts, stops = lines.starts[good], lines.records[good]
    breaks = np.flatnonzero(starts[1:] != stops[:-1])
    firsts = np.concatenate([starts[:1], starts[breaks + 1]]).tolist()
    lasts = np.concatenate([stops[breaks], stops[-1:]]).tolist()
    if len(firsts) == 1:
        return data[firsts[0] : lasts[0]]
    return b"".join(data[first:stop] for first, stop in zip(firsts, lasts, strict=True))


def _end(data: bytes, lines: Lines, number: int) -> int:
    """Where the text of the record that begins on a line ends."""
    if lines.status[number] != Status.GOOD:
        return int(lines.ends[number])
    stop = int(lines.records[number])
    return int(lines.starts[number]) + len(data[int(lines.starts[number]) : stop].rstrip(b"\r\n"))
