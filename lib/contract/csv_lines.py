"""Physical lines of CSV text sorted into records, many at a time.

A line whose quotes all open and close in it is read with NumPy; any other one with `read_record`.
A record that is not well formed is one physical line that is set aside; reading goes on with the
next line, so that an opened quote swallows nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.contract.csv_record import Dialect, Status, after_line_end, is_record, read_record

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

CR, LF = 13, 10


@dataclass(frozen=True, slots=True)
class Lines:
    """Physical lines of a block.

    Attributes:
        starts: index of the first byte of each line.
        ends: index of its line end.
        nexts: start of the next line.
        fields: fields of the record that begins on it.
        status: a `Status` for each line.
        records: start of the line behind the record that begins on it.
        used: up to which index of the block the lines reach.
    """

    starts: Ints
    ends: Ints
    nexts: Ints
    fields: Ints
    status: Ints
    records: Ints
    used: int

    def of(self, status: Status) -> Ints:
        """Indices of the lines of that status."""
        return np.flatnonzero(self.status == status)


def count_line_ends(block: bytes) -> int:
    """Line ends of a block: LF, CR LF, or CR alone."""
    returns = block.count(b"\r")
    pairs = block.count(b"\r\n") if returns else 0
    return block.count(b"\n") + returns - pairs


def sort_lines(
    data: bytes,
    width: int,
    dialect: Dialect,
    last: bool,
    judge: Callable[[Sequence[bytes]], Flags] | None = None,
) -> Lines:
    """The lines of `data`, as far as they and their records are whole.

    Args:
        data: begins at the start of a record.
        width: fields of the header.
        dialect: how records are written.
        last: whether the file ends with `data`.
        judge: given lines inside a quoted value that would be whole records by themselves, says
            which of them are rows of the table: then the quote is a stray one.
    """
    lines = _plain_lines(data, width, dialect, last)
    special = lines.of(Status.UNFINISHED)
    if not special.size:
        return lines
    strays: set[int] = set()
    while True:
        sorted_lines = _with_records(data, width, dialect, last, lines, special, strays)
        if judge is None or dialect.multiline:
            return sorted_lines
        fresh = _stray_quotes(data, width, dialect, sorted_lines, judge)
        if not fresh:
            return sorted_lines
        strays |= fresh


def _plain_lines(data: bytes, width: int, dialect: Dialect, last: bool) -> Lines:
    """Lines by themselves; UNFINISHED marks those whose quotes need `read_record`."""
    block = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero((block == LF) | (block == CR))
    second = (block[ends] == LF) & (ends > 0) & (block[np.maximum(ends - 1, 0)] == CR)
    ends = ends[~second]
    double = (block[ends] == CR) & (block[np.minimum(ends + 1, len(block) - 1)] == LF)
    nexts = ends + 1 + (double & (ends + 1 < len(block)))
    if not last and ends.size and ends[-1] == len(block) - 1 and block[-1] == CR:
        ends, nexts = ends[:-1], nexts[:-1]  # the block may cut CR LF
    used = int(nexts[-1]) if nexts.size else 0
    if last and used < len(block):
        ends, nexts = np.append(ends, len(block)), np.append(nexts, len(block))
        used = len(block)
    starts = np.concatenate([np.zeros(1, np.int64), nexts])[:-1] if ends.size else ends
    fields, special = _fields(block[:used], starts, ends, dialect)
    status = np.where(fields == width, Status.GOOD, Status.RAGGED).astype(np.int64)
    status[ends == starts] = Status.BLANK
    status[special] = Status.UNFINISHED
    return Lines(starts, ends, nexts, fields, status, nexts.copy(), used)


def _fields(block: Bytes, starts: Ints, ends: Ints, dialect: Dialect) -> tuple[Ints, Flags]:
    """Fields of each line, and whether its quotes or escapes are more than plain."""
    special = np.zeros(len(starts), dtype=np.bool_)
    delimiters = np.flatnonzero(block == dialect.delimiter[0])
    if dialect.escape:
        escapes = np.flatnonzero(block == dialect.escape[0])
        special[np.searchsorted(starts, escapes, "right") - 1] = True
    is_quote = block == dialect.quote[0] if dialect.quote else np.zeros(len(block), np.bool_)
    quotes = np.flatnonzero(is_quote)
    if quotes.size:
        special |= _odd_quotes(block, starts, ends, quotes, dialect)
        inside = np.bitwise_xor.accumulate(is_quote)
        # plain lines leave no quote open; behind any other line the sense may be turned
        turned = inside[starts] ^ is_quote[starts]
        owner = _owners(delimiters, starts)
        delimiters = delimiters[inside[delimiters] == turned[owner]]
    bounds = np.searchsorted(delimiters, np.append(starts, len(block)))
    return np.diff(bounds) + 1, special


def _owners(positions: Ints, starts: Ints) -> Ints:
    """The line of each position, both ascending."""
    counts = np.diff(np.append(np.searchsorted(positions, starts), len(positions)))
    return np.repeat(np.arange(len(starts)), counts)


def _odd_quotes(
    block: Bytes,
    starts: Ints,
    ends: Ints,
    quotes: Ints,
    dialect: Dialect,
) -> Flags:
    """Lines with a quote that does not open at the start of a field or close at its end."""
    owner, first = _owners(quotes, starts), np.searchsorted(quotes, starts)
    opening = (np.arange(len(quotes)) - first[owner]) % 2 == 0
    mark, quote = dialect.delimiter[0], dialect.quote[0]
    before, after = block[np.maximum(quotes - 1, 0)], block[np.minimum(quotes + 1, len(block) - 1)]
    at_start = (quotes == starts[owner]) | (before == mark) | (before == quote)
    at_end = (quotes + 1 == ends[owner]) | (after == mark) | (after == quote)
    odd = np.zeros(len(starts), dtype=np.bool_)
    odd[owner[np.where(opening, ~at_start, ~at_end)]] = True
    counts = np.diff(np.append(first, len(quotes)))
    odd |= counts % 2 == 1
    return odd


def _with_records(
    data: bytes,
    width: int,
    dialect: Dialect,
    last: bool,
    lines: Lines,
    special: Ints,
    strays: set[int],
) -> Lines:
    """The lines with the records that begin on `special` ones, up to one that is not whole yet."""
    fields, status, records = lines.fields.copy(), lines.status.copy(), lines.records.copy()
    end, used = len(lines.starts), lines.used
    text = data if last else data[: lines.used]
    behind = 0
    for number in special.tolist():
        start = int(lines.starts[number])
        if start < behind:
            continue
        record = read_record(text, start, dialect, last)
        outcome = record.status
        if outcome == Status.UNFINISHED:
            end, used = number, start
            break
        if outcome == Status.GOOD and record.fields != width:
            outcome = Status.OPEN_QUOTE if record.lines > 1 else Status.RAGGED
        if start in strays:
            outcome = Status.OPEN_QUOTE
        fields[number], status[number] = record.fields, outcome
        if outcome == Status.GOOD and record.lines > 1:
            behind = records[number] = after_line_end(data, record.end)
            stop = int(np.searchsorted(lines.starts, behind))
            status[number + 1 : stop] = Status.SWALLOWED
    starts, ends, nexts = lines.starts[:end], lines.ends[:end], lines.nexts[:end]
    return Lines(starts, ends, nexts, fields[:end], status[:end], records[:end], used)


def _stray_quotes(
    data: bytes,
    width: int,
    dialect: Dialect,
    lines: Lines,
    judge: Callable[[Sequence[bytes]], Flags],
) -> set[int]:
    """Starts of records that swallow a line which is a row of the table by itself."""
    owners: list[int] = []
    texts: list[bytes] = []
    swallowed = lines.of(Status.SWALLOWED)
    begins = lines.of(Status.GOOD)
    begins = begins[np.searchsorted(begins, swallowed) - 1]
    for begin, number in zip(begins.tolist(), swallowed.tolist(), strict=True):
        text = data[int(lines.starts[number]) : int(lines.ends[number])]
        if is_record(text, width, dialect):
            owners.append(int(lines.starts[begin]))
            texts.append(text)
    rows = judge(texts).tolist() if texts else []
    return {owner for owner, is_row in zip(owners, rows, strict=True) if is_row}
