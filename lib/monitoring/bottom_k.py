"""A sample of distinct contents with how often each came, the same in whatever order rows come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]
LIMIT = 4096
_RANGE = float(2**64)


def row_hashes(table: pa.Table, columns: Sequence[str]) -> Hashes:
    """A 64-bit hash (rows,) of the contents of some columns; equal rows have equal hashes."""
    frame = table.select(list(columns)).to_pandas()
    hashes = pd.util.hash_pandas_object(frame, index=False)
    return np.asarray(hashes, dtype=np.uint64)


class BottomK:
    """The `limit` smallest distinct hashes and how many rows had each.

    Up to `limit` distinct contents all figures are exact. Beyond, the sample is one of distinct
    contents drawn at random, and the relative standard error of `distinct` is about
    `1 / sqrt(limit)` (Bar-Yossef et al., Counting distinct elements in a data stream, 2002;
    Beyer et al., On synopses for distinct-value estimation, 2007).
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._hashes: Hashes = np.empty(0, dtype=np.uint64)
        self._rows: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def add(self, hashes: Hashes) -> None:
        """Count rows by their hashes (n,)."""
        self._take(*np.unique(hashes, return_counts=True))

    def merge(self, other: BottomK) -> None:
        """Count what another counted."""
        self._take(other._hashes, other._rows)

    @property
    def distinct(self) -> int:
        """How many contents there are."""
        if len(self._hashes) < self.limit:
            return len(self._hashes)
        return round((self.limit - 1) / ((float(self._hashes[-1]) + 1.0) / _RANGE))

    @property
    def sampled(self) -> int:
        """Rows of the contents in the sample."""
        return int(self._rows.sum())

    @property
    def repeated(self) -> int:
        """Rows of the sample beyond the first of each content."""
        return self.sampled - len(self._hashes)

    def _take(self, hashes: Hashes, rows: npt.NDArray[np.int64]) -> None:
        together = np.concatenate([self._hashes, hashes])
        self._hashes, at = np.unique(together, return_inverse=True)
        counted = np.concatenate([self._rows, rows.astype(np.int64)])
        self._rows = np.zeros(len(self._hashes), dtype=np.int64)
        np.add.at(self._rows, at, counted)
        self._hashes, self._rows = self._hashes[: self.limit], self._rows[: self.limit]
