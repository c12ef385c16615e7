"""Blocks of CSV text whose quotes are all plain, recognised by bits, 64 bytes at a time.

Of such a block it is known without reading it field by field where its records begin. A block with
any other quote is left to `csv_lines`, which gives the same answer line by line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.contract.csv_record import LONGEST_SPAN, Dialect, Status, read_record

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint64]

_ONE, _TOP = np.uint64(1), np.uint64(63)
_SHIFTS = tuple(np.uint64(2**power) for power in range(6))


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
    if not dialect.quote or data.find(dialect.quote, 0, used) < 0:
        lines = data.count(b"\n", 0, used)
        return WholeRecords(np.arange(lines), lines, used)
    marks = _Marks.of(np.frombuffer(data, np.uint8, used), dialect, bool(returns))
    return marks.records(data, width, dialect, judge) if marks.plain() else None


@dataclass(frozen=True)
class _Marks:
    """One bit for each byte of a block: quotes, delimiters, line feeds, and what quotes enclose."""

    quotes: Bits
    delimiters: Bits
    feeds: Bits
    returns: Bits
    inside: Bits

    @classmethod
    def of(cls, block: npt.NDArray[np.uint8], dialect: Dialect, returns: bool) -> "_Marks":
        quotes = _bits(block == dialect.quote[0])
        return cls(
            quotes,
            _bits(block == dialect.delimiter[0]),
            _bits(block == ord("\n")),
            _bits(block == ord("\r")) if returns else np.zeros_like(quotes),
            _enclosed(quotes),
        )

    def plain(self) -> bool:
        """Whether each quote opens at the start of a field, closes at its end, or is doubled."""
        before = self.delimiters | self.feeds | self.quotes
        after = before | self.returns
        opening, closing = self.quotes & self.inside, self.quotes & ~self.inside
        return not np.any(opening & ~_previous(before)) and not np.any(closing & ~_next(after))

    def records(
        self,
        data: bytes,
        width: int,
        dialect: Dialect,
        judge: Callable[[Sequence[bytes]], Flags] | None,
    ) -> WholeRecords | None:
        enclosed = self.feeds & self.inside
        if not enclosed.any():
            lines = int(np.bitwise_count(self.feeds).sum())
            return WholeRecords(np.arange(lines), lines, data.rfind(b"\n") + 1)
        if dialect.multiline is False:
            return None
        ends = _positions(self.feeds)
        outer = ~_are_set(enclosed, ends)
        count = int(np.flatnonzero(outer)[-1]) + 1 if outer.any() else 0
        if not count or ends[-1] - ends[count - 1] > LONGEST_SPAN:
            return None
        ends, outer = ends[:count], outer[:count]
        begins = np.concatenate([np.ones(1, np.bool_), outer[:-1]])
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
        firsts = np.flatnonzero(begins)
        owners = starts[firsts][np.cumsum(begins) - 1]
        if self._strays(data, width, dialect, judge, starts, ends, begins, owners):
            return None
        return WholeRecords(firsts, count, int(ends[-1]) + 1)

    def _strays(
        self,
        data: bytes,
        width: int,
        dialect: Dialect,
        judge: Callable[[Sequence[bytes]], Flags] | None,
        starts: Ints,
        ends: Ints,
        begins: Flags,
        owners: Ints,
    ) -> bool:
        """Whether a quote may be a stray one: by its column, its length, or a row that it holds."""
        inner = np.flatnonzero(~begins)
        if np.any(starts[inner] > owners[inner] + LONGEST_SPAN):
            return True
        rank = _Rank.of(self.delimiters & ~self.inside)
        indices = np.unique(rank(starts[inner]) - rank(owners[inner]))
        if not all(dialect.may_span(index) for index in indices.tolist()):
            return True
        if judge is None or dialect.multiline:
            return False
        rank = _Rank.of(self.delimiters)
        long = inner[rank(ends[inner]) - rank(starts[inner]) >= width - 1]
        texts = [data[first:stop] for first, stop in zip(starts[long], ends[long], strict=True)]
        texts = [text.removesuffix(b"\r") for text in texts]
        alone = [text for text in texts if _is_record(text, width, dialect)]
        return bool(alone) and bool(judge(alone).any())


@dataclass(frozen=True)
class _Rank:
    """How many bits are set before a position."""

    bits: Bits
    totals: Ints

    @classmethod
    def of(cls, bits: Bits) -> "_Rank":
        counts = np.bitwise_count(bits).astype(np.int64)
        return cls(bits, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]))

    def __call__(self, positions: Ints) -> Ints:
        words = positions >> 6
        low = (_ONE << (positions & 63).astype(np.uint64)) - _ONE
        padded = np.append(self.bits, np.uint64(0))
        counts: Ints = self.totals[words] + np.bitwise_count(padded[words] & low)
        return counts


def _is_record(line: bytes, width: int, dialect: Dialect) -> bool:
    record = read_record(line, 0, dialect)
    return record.status == Status.GOOD and record.fields == width


def _bits(flags: Flags) -> Bits:
    packed = np.packbits(flags, bitorder="little")
    return np.pad(packed, (0, -len(packed) % 8)).view("<u8")


def _positions(bits: Bits) -> Ints:
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little").view(np.bool_))


def _are_set(bits: Bits, positions: Ints) -> Flags:
    shifts = (positions & 63).astype(np.uint64)
    flags: Flags = ((bits[positions >> 6] >> shifts) & _ONE) != 0
    return flags


def _enclosed(quotes: Bits) -> Bits:
    """Bytes from an opening quote up to the one that closes it, without that."""
    inside = quotes.copy()
    for shift in _SHIFTS:
        inside ^= inside << shift
    carried = np.bitwise_xor.accumulate(inside >> _TOP)
    inside[1:] ^= np.uint64(0) - carried[:-1]
    return inside


def _previous(bits: Bits) -> Bits:
    """Bytes behind a marked one; the first byte counts as such."""
    shifted = bits << _ONE
    shifted[1:] |= bits[:-1] >> _TOP
    shifted[0] |= _ONE
    return shifted


def _next(bits: Bits) -> Bits:
    """Bytes before a marked one."""
    shifted = bits >> _ONE
    shifted[:-1] |= bits[1:] << _TOP
    return shifted
