"""The rows of a table brought together by key, each key's rows in the order of processing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lib.feature.jit import Ints, compiled


class Grouping:
    """Rows sorted by key and, within a key, by processing order.

    Args:
        codes: for each column of the key an int64 (n,) array of codes 0, 1, ... in processing
            order; -1 where the column is missing (such rows belong to no key and are left out).

    Attributes:
        rows: the row at each position.
        starts: the first position of each key, then the number of positions.
        place: the position of each row; -1 for rows without a key.
    """

    def __init__(self, codes: Sequence[Ints]) -> None:
        named = np.logical_and.reduce([column >= 0 for column in codes])
        rows = np.flatnonzero(named)
        for column in reversed(codes):
            rows = _sorted_by(column, rows, int(column.max(initial=-1)) + 1)
        self.rows: Ints = rows
        self.starts: Ints = _starts(rows, codes)
        self.place: Ints = np.full(len(named), -1, dtype=np.int64)
        self.place[rows] = np.arange(len(rows))

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
