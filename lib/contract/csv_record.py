"""One record of CSV text by RFC 4180, read field by field.

A quote opens only at the start of a field. This is the reference that `csv_lines` agrees with,
which reads plain lines many at a time.
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum

LONGEST_SPAN = 1 << 20


class Status(IntEnum):
    """What a physical line is."""

    GOOD = 0
    BLANK = 1
    RAGGED = 2
    OPEN_QUOTE = 3
    AFTER_QUOTE = 4
    ESCAPED_END = 5
    UNFINISHED = 6
    SWALLOWED = 7  # part of the record that began on an earlier line


class FieldUse(IntEnum):
    """What the mapping does with a field.

    Attributes:
        UNREAD: nothing; any text may stand in it.
        SINGLE_LINE: reads values, in which no line ends are expected.
        FREE_TEXT: reads texts, in which lines may end.
    """

    UNREAD = 0
    SINGLE_LINE = 1
    FREE_TEXT = 2


@dataclass(frozen=True)
class Dialect:
    """How records are written.

    Args:
        delimiter: one byte between fields.
        quote: one byte around values, b"" for none.
        escape: one byte before a quote inside a quoted value, b"" for none.
        multiline: True: a quoted value may span lines; False: it may not; None: only in free
            text and in columns that are not read.
        uses: what the mapping does with each field; empty where that does not matter.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""
    multiline: bool | None = None
    uses: tuple[FieldUse, ...] = ()
    _unquoted: re.Pattern[bytes] = field(init=False, repr=False, compare=False)
    _quoted: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stops = b"".join(re.escape(byte) for byte in (self.delimiter, self.escape) if byte)
        inside = b"".join(re.escape(byte) for byte in (self.quote, self.escape) if byte)
        object.__setattr__(self, "_unquoted", re.compile(b"[\r\n" + stops + b"]"))
        object.__setattr__(self, "_quoted", re.compile(b"[\r\n" + inside + b"]"))

    def may_span(self, index: int) -> bool:
        """Whether a value of the field at `index` may hold line ends."""
        if self.multiline is not None:
            return self.multiline
        return index < len(self.uses) and self.uses[index] != FieldUse.SINGLE_LINE

    def is_read(self, index: int) -> bool:
        """Whether the mapping reads the field at `index`."""
        return index < len(self.uses) and self.uses[index] != FieldUse.UNREAD


@dataclass(frozen=True, slots=True)
class Record:
    """A record: where its line end lies, its fields and physical lines, and what it is."""

    end: int
    fields: int
    lines: int
    status: Status


def read_record(data: bytes, start: int, dialect: Dialect, last: bool = True) -> Record:
    """The record that begins at `start`.

    Args:
        data: CSV text in an encoding that keeps ASCII bytes.
        start: where a physical line begins.
        dialect: how it is written.
        last: whether the file ends with `data`; if not, a value may go on behind it.
    """
    index, fields, lines, status = start, 0, 1, Status.GOOD
    while True:
        if dialect.quote and data.startswith(dialect.quote, index):
            closed = _quoted(data, index + 1, fields, dialect, last, start + LONGEST_SPAN)
            if closed.status != Status.GOOD:
                return Record(closed.end, fields, lines + closed.lines, closed.status)
            lines += closed.lines
            index = closed.end
            while data.startswith(b" ", index):
                index += 1
            if data[index : index + 1] not in (b"", dialect.delimiter, b"\r", b"\n"):
                if closed.lines:
                    return Record(index, fields, lines, Status.OPEN_QUOTE)
                status = Status.AFTER_QUOTE if dialect.is_read(fields) else status
        end = _unquoted(data, index, dialect)
        fields += 1
        if end < 0:
            return Record(~end, fields, lines, Status.ESCAPED_END)
        if not data.startswith(dialect.delimiter, end):
            return Record(end, fields, lines, status)
        index = end + 1


def is_record(line: bytes, width: int, dialect: Dialect) -> bool:
    """Whether a line by itself is a record of `width` fields; an empty line is none."""
    record = read_record(line, 0, dialect)
    return bool(line) and record.status == Status.GOOD and record.fields == width


def after_line_end(data: bytes, end: int) -> int:
    """Start of the line behind the line end at `end`; CR LF is one end."""
    return end + 2 if data.startswith(b"\r\n", end) else min(end + 1, len(data))


def _quoted(
    data: bytes, start: int, index: int, dialect: Dialect, last: bool, limit: int
) -> Record:
    """A quoted value: the index behind its closing quote, and the line ends in it."""
    lines = 0
    while True:
        hit = dialect._quoted.search(data, start)
        if hit is None:
            open_end = last or len(data) > limit
            return Record(len(data), 0, lines, Status.OPEN_QUOTE if open_end else Status.UNFINISHED)
        at, byte = hit.start(), hit.group()
        if byte == dialect.escape:
            start = at + 1 if data[at + 1 : at + 2] in (b"\r", b"\n") else at + 2
        elif byte == dialect.quote:
            if not data.startswith(dialect.quote, at + 1):
                return Record(at + 1, 0, lines, Status.GOOD)
            start = at + 2
        else:
            start, lines = after_line_end(data, at), lines + 1
            if start > limit or not dialect.may_span(index):
                return Record(at, 0, lines, Status.OPEN_QUOTE)


def _unquoted(data: bytes, start: int, dialect: Dialect) -> int:
    """Where the field ends; `~end` of a line end that an escape stands before."""
    while True:
        hit = dialect._unquoted.search(data, start)
        if hit is None:
            return len(data)
        if hit.group() != dialect.escape:
            return hit.start()
        start = hit.start() + 2
        if data[start - 1 : start] in (b"\r", b"\n"):
            return ~(start - 1)
