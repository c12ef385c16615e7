"""The rows of a table brought together by key, and the measures of a key put back into its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.feature.jit import Ints, compiled


class Grouping:
    """Rows sorted by key and, within a key, by processing order.

    Args:
        codes: for each column of the key an int64 (n,) array of codes 0, 1, ... in processing
            order; -1 where the column is missing (such rows belong to no key and are left out).

    Attributes:
        rows: the row at each position.
        starts: the first position of each key, then the number of positions.
        position: of each row; -1 for rows without a key.
    """

    def __init__(self, codes: Sequence[Ints]) -> None:
        named = np.logical_and.reduce([column >= 0 for column in codes])
        rows = np.flatnonzero(named)
        for column in reversed(codes):
            rows = _sorted_by(column, rows, int(column.max(initial=-1)) + 1)
        self.rows: Ints = rows
        self.starts: Ints = _starts(rows, codes)
        self.position: Ints = np.full(len(named), -1, dtype=np.int64)
        self.position[rows] = np.arange(len(rows))

    def batches(self, rows: int) -> Iterator[tuple[int, Ints]]:
        """Some whole keys at a time, `rows` positions of them or more if a key has more.

        Yields their first position, and their `starts` counted from there.
        """
        first = 0
        while first < len(self.starts) - 1:
            last = int(np.searchsorted(self.starts, self.starts[first] + rows, side="right")) - 1
            last = max(last, first + 1)
            yield int(self.starts[first]), self.starts[first : last + 1] - self.starts[first]
            first = last

    @property
    def size(self) -> int:
        """How many rows have the key."""
        return len(self.rows)


@compiled
def _sorted_by(codes: Ints, rows: Ints, width: int) -> Ints:
    """`rows` sorted by their code, order kept among equals: a counting sort."""
    at = np.zeros(width + 1, dtype=np.int64)
    for row in rows:
        at[codes[row] + 1] += 1
    for code in range(width):
        at[code + 1] += at[code]
    out = np.empty_like(rows)
    for row in rows:
        out[at[codes[row]]] = row
        at[codes[row]] += 1
    return out


def _starts(rows: Ints, codes: Sequence[Ints]) -> Ints:
    """Where any of the codes changes along `rows`."""
    changes = np.zeros(len(rows), dtype=bool)
    changes[:1] = True
    for column in codes:
        row_codes = column[rows]
        changes[1:] |= row_codes[1:] != row_codes[:-1]
    return np.append(np.flatnonzero(changes), len(rows))


@dataclass(frozen=True)
class Block:
    """The measures of one key as one array, a row per event, so that each row is put back at once.

    Attributes:
        columns: their names.
        values: int64 (events of the key, columns).
        empty: int64 (columns,), what stands for an event without the key.
        position: int64 (n,), the row of `values` for each of the table's rows; -1 without the key.
    """

    columns: tuple[str, ...]
    values: Ints
    empty: Ints
    position: Ints

    def rows(self, first: int, end: int, numbers: type = np.int64) -> dict[str, NDArray[Any]]:
        """The columns for some of the table's rows, as int64 or another sort of `numbers`."""
        out: NDArray[Any] = np.empty((len(self.columns), end - first), dtype=numbers)
        _put_back(self.values, self.empty, self.position[first:end], out)
        return dict(zip(self.columns, out, strict=True))


@compiled
def _put_back(values: Ints, empty: Ints, positions: Ints, out: NDArray[Any]) -> None:
    for row in range(len(positions)):
        at = positions[row]
        if at < 0:
            out[:, row] = empty
        else:
            for column in range(len(empty)):
                out[column, row] = values[at, column]
