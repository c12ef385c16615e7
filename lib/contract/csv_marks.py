"""Blocks of CSV text whose quotes are all plain, recognised by where their quotes stand.

Of such a block it is known without reading it field by field where its records begin. A block with
any other quote is left to `csv_lines`, which gives the same answer line by line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lib.contract.csv_lines import CR, LF, Bytes, Flags, Ints
from lib.contract.csv_record import LONGEST_SPAN, Dialect, is_record


@dataclass(frozen=True, slots=True)
class WholeRecords:
    """Records that fill the start of a block, if each has the header's fields.

    Attributes:
        firsts: index of the physical line on which each record begins.
        lines: physical lines.
        used: up to which index of the block they reach.
    """

    firsts: Ints
    lines: int
    used: int

    @property
    def span(self) -> bool:
        """Whether a record has several lines."""
        return len(self.firsts) != self.lines


def whole_records(
    data: bytes,
    width: int,
    dialect: Dialect,
    judge: Callable[[Sequence[bytes]], Flags] | None = None,
) -> WholeRecords | None:
    """The records of `data`, up to its last line end; None: a line needs to be looked at by itself.

    Args:
        data: begins at the start of a record.
        width: fields of the header.
        dialect: how records are written.
        judge: says which lines inside a quoted value are rows of the table (see `sort_lines`).
    """
    used = data.rfind(b"\n") + 1
    returns = data.count(b"\r", 0, used)
    if not used or dialect.escape or (returns and returns != data.count(b"\r\n", 0, used)):
        return None
    block = np.frombuffer(data, np.uint8, used)
    quotes = np.flatnonzero(block == dialect.quote[0]) if dialect.quote else np.zeros(0, np.int64)
    if not _are_plain(block, quotes, dialect):
        return None
    ends = np.flatnonzero(block == LF)
    outer = np.searchsorted(quotes, ends) % 2 == 0
    if not outer.all():
        count = int(np.flatnonzero(outer)[-1]) + 1 if outer.any() else 0
        if dialect.multiline is False or not count or ends[-1] - ends[count - 1] > LONGEST_SPAN:
            return None
        ends, outer = ends[:count], outer[:count]
    starts = np.concatenate([[0], ends[:-1] + 1])
    begins = np.concatenate([[True], outer[:-1]])
    if not begins.all() and _may_be_stray(
        data, width, dialect, judge, quotes, starts, ends, begins
    ):
        return None
    return WholeRecords(np.flatnonzero(begins), len(ends), int(ends[-1]) + 1)


def _are_plain(block: Bytes, quotes: Ints, dialect: Dialect) -> bool:
    """Whether each quote opens at the start of a field, closes at its end, or is doubled."""
    around = [LF, dialect.delimiter[0], *dialect.quote]
    # the block ends with a line end, which is what stands before its first byte, too
    before, after = block[quotes[::2] - 1], block[quotes[1::2] + 1]
    return bool(np.isin(before, around).all() and np.isin(after, [CR, *around]).all())


def _may_be_stray(
    data: bytes,
    width: int,
    dialect: Dialect,
    judge: Callable[[Sequence[bytes]], Flags] | None,
    quotes: Ints,
    starts: Ints,
    ends: Ints,
    begins: Flags,
) -> bool:
    """Whether a quote may be a stray one: by its column, its length, or a row that it holds."""
    inner = np.flatnonzero(~begins)
    firsts = starts[begins][np.cumsum(begins) - 1][inner]
    if np.any(starts[inner] > firsts + LONGEST_SPAN):
        return True
    delimiters = np.flatnonzero(np.frombuffer(data, np.uint8) == dialect.delimiter[0])
    outside = delimiters[np.searchsorted(quotes, delimiters) % 2 == 0]
    columns = np.unique(_count(outside, firsts, starts[inner]))
    if not all(dialect.may_span(column) for column in columns.tolist()):
        return True
    if judge is None or dialect.multiline:
        return False
    long = inner[_count(delimiters, starts[inner], ends[inner]) >= width - 1]
    lines = (data[starts[at] : ends[at]].removesuffix(b"\r") for at in long.tolist())
    alone = [line for line in lines if is_record(line, width, dialect)]
    return bool(alone) and bool(judge(alone).any())


def _count(positions: Ints, starts: Ints, stops: Ints) -> Ints:
    """How many of the positions lie in each span."""
    counts: Ints = np.searchsorted(positions, stops) - np.searchsorted(positions, starts)
    return counts
