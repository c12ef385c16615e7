"""A CSV file read in blocks: rows of its columns as text, and the lines that are no rows.

Every physical line is the header, blank, part of a row, or set aside with its number and reason;
line ends are counted apart, and a file whose lines do not add up is refused.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from lib.contract.checked import Mask
from lib.contract.csv_lines import Flags, count_line_ends, sort_lines
from lib.contract.csv_marks import whole_records
from lib.contract.csv_record import Dialect, FieldUse, Record, Status, after_line_end, read_record
from lib.contract.csv_rows import Piece, RowReader
from lib.contract.csv_text import refuse_document, utf8_blocks
from lib.contract.declaration import ContractError
from lib.contract.file_format import FileFormat
from lib.contract.origin import with_origin

_LONGEST_RECORD = 256 << 20
_LINES_FOR_WIDTH = 100
_LINE_END = re.compile(rb"\r\n|\n|\r")
DELIMITERS = (",", ";", "\t", "|")

Judge = Callable[[pa.Table], Mask]


@dataclass
class LineCounts:
    """Physical lines of a file by what they are.

    Attributes:
        header: those of the header.
        blank: without any character.
        in_rows: part of a row, one or several of each.
        unreadable: set aside with a reason.
        total: all line ends, counted apart from the others.
    """

    header: int = 0
    blank: int = 0
    in_rows: int = 0
    unreadable: int = 0
    total: int = 0

    def add_up(self, name: str) -> None:
        """Refuse a file with a line that is nowhere.

        Raises:
            ContractError: naming the counts.
        """
        if self.header + self.blank + self.in_rows + self.unreadable != self.total:
            raise ContractError(
                f"{name}: {self.total:,} lines, but {self.header:,} are the header, "
                f"{self.in_rows:,} in rows, {self.unreadable:,} set aside, {self.blank:,} blank: a "
                "line is unaccounted for; nothing was written. Please report it with the file"
            )


class CsvFile:
    """A CSV file, opened for reading once.

    Attributes:
        names: of its columns; none where the file is empty.
        counts: of its lines; complete when the last piece was read.
    """

    def __init__(self, stream: BinaryIO, address: str, form: FileFormat) -> None:
        self.address = address
        self.counts = LineCounts()
        self._name = address.rpartition("/")[2]
        self._form = form
        self._blocks = utf8_blocks(stream, form.encoding, self._name)
        self._data = b""
        self._last = False
        self._returned = False  # whether the last block ended in half of CR LF, perhaps
        self._lines_before = 0
        self.names = self._header()

    def pieces(
        self,
        columns: Sequence[str],
        uses: dict[str, FieldUse] | None = None,
        judge: Judge | None = None,
    ) -> Iterator[Piece]:
        """Everything below the header, in file order.

        Args:
            columns: to read.
            uses: what is read from each column; default: values without line ends.
            judge: says which rows of the columns are rows of the table (see `sort_lines`).

        Raises:
            ContractError: a column comes twice, a record is too long, or lines do not add up.
        """
        for name in columns:
            if self.names.count(name) > 1:
                raise ContractError(
                    f"{self._name}: {self.names.count(name)} columns are named '{name}'; name all "
                    "columns in the mapping file: file: {columns: [...], header: true}"
                )
        field_uses = dict.fromkeys(columns, FieldUse.SINGLE_LINE) if uses is None else uses
        dialect = self._form.dialect(
            self.address, tuple(field_uses.get(name, FieldUse.UNREAD) for name in self.names)
        )
        reader = RowReader(self.address, self.names, tuple(columns), self._form, dialect)
        while self._data or not self._last:
            piece = self._piece(reader, judge)
            if piece is not None:
                yield piece
        self.counts.add_up(self._name)

    def _piece(self, reader: RowReader, judge: Judge | None) -> Piece | None:
        if not self._data:
            self._more()
            return None
        judging = None if judge is None else partial(_are_rows, reader, judge)
        width, first_line = len(self.names), self._lines_before + 1
        records = whole_records(self._data, width, reader.dialect, judging)
        if records is not None:
            piece = reader.read_whole_records(self._data, records, first_line)
            if piece is not None:
                self.counts.in_rows += records.lines
                self._use(records.used, records.lines)
                return piece
        lines = sort_lines(self._data, width, reader.dialect, self._last, judging)
        piece = None
        if lines.used:
            piece = reader.piece(self._data, lines, first_line)
            rows = int(np.isin(lines.status, [Status.GOOD, Status.SWALLOWED]).sum())
            blank = lines.of(Status.BLANK).size
            self.counts.in_rows += rows
            self.counts.blank += blank
            self.counts.unreadable += len(lines.starts) - rows - blank
        self._use(lines.used, len(lines.starts))
        return piece

    def _use(self, used: int, lines: int) -> None:
        """Go on behind the first bytes, and read on."""
        self._data = self._data[used:]
        self._lines_before += lines
        self._more()

    def _more(self) -> None:
        """Append the next block, if there is one."""
        if self._last:
            return
        if len(self._data) > _LONGEST_RECORD:
            raise ContractError(
                f"{self._name}: line {self._lines_before + 1:,} is longer than {_LONGEST_RECORD:,} "
                "bytes; is it a CSV file?"
            )
        block = next(self._blocks, None)
        self._last = block is None
        if block is None:
            self.counts.total += bool(self._data) and not self._data.endswith((b"\n", b"\r"))
            return
        cut_pair = self._returned and block.startswith(b"\n")
        self.counts.total += count_line_ends(block) - cut_pair
        self._returned = block.endswith(b"\r") if block else self._returned
        self._data += block

    def _header(self) -> tuple[str, ...]:
        """Names of the columns; the header's lines are used up."""
        self._skip_lines()
        self._skip_blank()
        if not self._data:
            return ()
        dialect = replace(self._form.dialect(self.address), multiline=self._form.header)
        record = self._first_record(dialect)
        chosen = self._form.columns
        if not self._form.header:
            width = len(chosen) or _usual_width(self._data, dialect)
            return chosen or tuple(str(number) for number in range(1, width + 1))
        if not chosen:
            refuse_document(self._data, self._name)
        names = self._names(record, dialect)
        self._data = self._data[after_line_end(self._data, record.end) :]
        self.counts.header += record.lines
        self._lines_before += record.lines
        if chosen and len(chosen) not in (len(names), _usual_width(self._data, dialect)):
            raise ContractError(
                f"{self._name}: {len(names)} columns, and file: {{columns: ...}} of the mapping "
                f"file names {len(chosen)}; name each of them"
            )
        return chosen or names

    def _skip_blank(self) -> None:
        while not self._last and not self._data.lstrip(b"\r\n"):
            self._more()
        text = self._data.lstrip(b"\r\n")
        blank = self._data[: len(self._data) - len(text)]
        self.counts.blank += count_line_ends(blank)
        self._lines_before += self.counts.blank
        self._data = text

    def _skip_lines(self) -> None:
        for _ in range(self._form.skip_lines):
            line_end = _LINE_END.search(self._data)
            while not self._last and (line_end is None or line_end.end() == len(self._data)):
                self._more()
                line_end = _LINE_END.search(self._data)
            if not self._data:
                return
            self._data = self._data[line_end.end() if line_end else len(self._data) :]
            self.counts.header += 1
            self._lines_before += 1

    def find_header(self, columns: Sequence[str]) -> tuple[int, str] | None:
        """Lines before the one that names all of `columns`, and its delimiter; None: no such line.

        Of the first lines below the one that was read as the header.
        """
        for number, line in enumerate(self._data.splitlines()[:_LINES_FOR_WIDTH]):
            text = line.decode("utf-8", "replace")
            for mark in DELIMITERS:
                names = [name.strip().strip('"') for name in text.split(mark)]
                if set(columns) <= set(names):
                    return self._lines_before + number, mark
        return None

    def _first_record(self, dialect: Dialect) -> Record:
        record = read_record(self._data, 0, dialect, self._last)
        while not self._last and (
            record.status == Status.UNFINISHED or record.end + 1 >= len(self._data)
        ):
            self._more()
            record = read_record(self._data, 0, dialect, self._last)
        return record

    def _names(self, record: Record, dialect: Dialect) -> tuple[str, ...]:
        text = self._data[: record.end]
        # the last line of a header that a stray quote opened lacks the names that are read
        inside = text.splitlines()[1 : None if self._form.columns else -1]
        single = replace(dialect, multiline=False)
        rows = [line for line in inside if read_record(line, 0, single).fields == record.fields]
        if record.status != Status.GOOD or (rows and record.fields > 1):
            raise ContractError(
                f"{self._name}, line {self._lines_before + 1}: a quote opens in the header and "
                "does not close in it; mend the header, or name the columns in the mapping file: "
                "file: {columns: [...], header: true}"
            )
        rows_of_text = csv.reader(
            io.StringIO(text.decode("utf-8", "backslashreplace"), newline=""),
            delimiter=dialect.delimiter.decode(),
            quotechar=dialect.quote.decode() or None,
            escapechar=dialect.escape.decode() or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        )
        return tuple(next(rows_of_text))


def _usual_width(data: bytes, dialect: Dialect) -> int:
    """The most frequent number of fields of the first lines."""
    lines = data.splitlines()[:_LINES_FOR_WIDTH]
    records = [read_record(line, 0, dialect) for line in lines if line]
    widths = Counter(record.fields for record in records if record.status == Status.GOOD)
    return widths.most_common(1)[0][0] if widths else 1


def _are_rows(reader: RowReader, judge: Judge, texts: Sequence[bytes]) -> Flags:
    raw = reader.table(b"\n".join(texts), len(texts))
    rows, invalid = reader.decoded(with_origin(raw, reader.address, np.arange(len(texts))))
    mask = np.zeros(len(texts), dtype=np.bool_)
    mask[~invalid] = judge(rows)
    return mask
