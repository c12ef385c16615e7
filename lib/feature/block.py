"""The measures of one key as one array, put back into a table's rows a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.feature.jit import Ints, compiled


@dataclass(frozen=True)
class Block:
    """The measures of one key.

    Attributes:
        columns: their names.
        values: int64 (events of the key, columns).
        empty: int64 (columns,), what stands for an event without the key.
        place: int64 (n,), the row of `values` for each of the table's rows; -1 without the key.
    """

    columns: tuple[str, ...]
    values: Ints
    empty: Ints
    place: Ints

    def rows(self, first: int, end: int, numbers: type = np.int64) -> dict[str, NDArray[Any]]:
        """The columns for some of the table's rows, as int64 or another sort of `numbers`."""
        out: NDArray[Any] = np.empty((len(self.columns), end - first), dtype=numbers)
        _put_back(self.values, self.empty, self.place[first:end], out)
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
