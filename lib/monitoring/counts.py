"""What is counted of one measure: whole numbers that add up in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import nsmallest

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.monitoring.bins import MISSING, Floats, Ints, MeasureBins, as_floats, single

FOLDS = 8
"""Entities are divided into so many groups at random, to see how much rows of one are alike."""

PER_OCTAVE = 8
"""Cells of magnitude in a factor of two."""

_KEPT_NAMES = 5
_ZERO = 0
_OFFSET = 1_000


@dataclass
class MeasureCounts:
    """Counts of one measure in a set of rows.

    Attributes:
        cells: (FOLDS, cells) rows by group of entities and cell.
        absent: rows of tables without the column, or with one that cannot be read.
        unseen_cells: (FOLDS,) rows by group of entities with a value that the reference does not
            list.
        unseen_names: the first of them in order of the alphabet, at most five.
        magnitudes: rows by `magnitude_cells`.
        low, high: smallest and largest finite value; infinite where there is none.
        closed_clusters: `clusters` of a sketch that was read from JSON, whose groups are summed.
    """

    cells: Ints
    absent: int = 0
    unseen_cells: Ints = field(default_factory=lambda: np.zeros(FOLDS, dtype=np.int64))
    unseen_names: tuple[str, ...] = ()
    magnitudes: Counter[int] = field(default_factory=Counter)
    low: float = float("inf")
    high: float = float("-inf")
    closed_clusters: float | None = None

    @classmethod
    def empty(cls, bins: MeasureBins) -> MeasureCounts:
        """No rows."""
        return cls(np.zeros((FOLDS, bins.cells), dtype=np.int64))

    @property
    def by_cell(self) -> Ints:
        """(cells,) rows."""
        return np.asarray(self.cells.sum(axis=0))

    @property
    def unseen(self) -> int:
        """Rows with a value that the reference does not list."""
        return int(self.unseen_cells.sum())

    @property
    def is_constant(self) -> bool:
        """Whether all rows have one value."""
        return self.low == self.high

    @property
    def clusters(self) -> float:
        """Design effect of rows with values that are not listed: are they of few entities?"""
        if self.closed_clusters is not None:
            return self.closed_clusters
        sizes, counts = self.cells.sum(axis=1), self.unseen_cells
        expected = sizes * (counts.sum() / max(int(sizes.sum()), 1))
        filled = expected > 0
        if filled.sum() < 2:
            return 1.0
        squares = (counts[filled] - expected[filled]) ** 2 / expected[filled]
        return max(1.0, float(squares.sum()) / (int(filled.sum()) - 1))

    def add(self, bins: MeasureBins, column: pa.ChunkedArray | None, folds: Ints) -> None:
        """Count the rows of a column; one that is None or of another type counts as absent."""
        if bins.kind == "category":
            texts = _as_texts(column)
            counted = texts is not None and self._add_categories(bins, texts, folds)
        else:
            numbers = None if column is None else as_floats(column)
            counted = numbers is not None and self._add_numbers(bins, numbers, folds)
        if not counted:
            self.absent += len(folds)

    def merge(self, other: MeasureCounts) -> None:
        """Add what another counted."""
        self.cells = self.cells + other.cells
        self.absent += other.absent
        self.unseen_cells = self.unseen_cells + other.unseen_cells
        self.unseen_names = _first({*self.unseen_names, *other.unseen_names})
        self.magnitudes.update(other.magnitudes)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def _add_numbers(self, bins: MeasureBins, numbers: Floats, folds: Ints) -> bool:
        if bins.kind == "hour":
            self._count(np.floor(numbers / 3.6e9).astype(np.int64) % 24 + 1, folds)
            return True
        numbers = single(numbers)
        self._count(bins.number_cells(numbers), folds)
        finite = numbers[np.isfinite(numbers)]
        if len(finite):
            self.low = min(self.low, float(finite.min()))
            self.high = max(self.high, float(finite.max()))
        cells, rows = np.unique(magnitude_cells(finite), return_counts=True)
        self.magnitudes.update(dict(zip(cells.tolist(), rows.tolist(), strict=True)))
        is_new = bins.new_values(numbers)
        self._count_unseen(is_new, folds)
        names = {f"{value:g}" for value in np.unique(numbers[is_new])[:_KEPT_NAMES].tolist()}
        self.unseen_names = _first({*self.unseen_names, *names})
        return True

    def _add_categories(self, bins: MeasureBins, texts: pa.Array, folds: Ints) -> bool:
        cells = bins.category_cells(texts)
        self._count(cells, folds)
        is_other = cells == bins.cells - 1
        self._count_unseen(is_other, folds)
        names = {str(text) for text in texts.filter(pa.array(is_other)).unique().to_pylist()}
        self.unseen_names = _first({*self.unseen_names, *names})
        return True

    def _count_unseen(self, is_new: npt.NDArray[np.bool_], folds: Ints) -> None:
        self.unseen_cells = self.unseen_cells + np.bincount(folds[is_new], minlength=FOLDS)

    def _count(self, cells: Ints, folds: Ints) -> None:
        width = self.cells.shape[1]
        rows = np.bincount(folds * width + cells, minlength=FOLDS * width)
        self.cells = self.cells + rows.reshape(FOLDS, width)


def magnitude_cells(values: Floats) -> Ints:
    """Cell (n,) of the size of each value (n,): eight to a factor of two, by sign; 0 for zero."""
    sizes = np.abs(values)
    with np.errstate(divide="ignore"):
        octaves = np.clip(np.log2(sizes), -100.0, 100.0)
    cells = np.round(octaves * PER_OCTAVE).astype(np.int64) + _OFFSET
    return np.where(sizes == 0.0, _ZERO, np.where(values < 0.0, -cells, cells))


def magnitude_values(cells: Ints) -> Floats:
    """The value (n,) in the middle of each cell (n,) of `magnitude_cells`."""
    sizes = np.exp2((np.abs(cells) - _OFFSET) / PER_OCTAVE)
    return np.where(cells == _ZERO, 0.0, np.sign(cells) * sizes)


def missing_rows(cells: Ints) -> Ints:
    """Rows (...) without a value, of counts (..., cells)."""
    return np.asarray(cells[..., MISSING])


def _as_texts(column: pa.ChunkedArray | None) -> pa.Array | None:
    if column is None:
        return None
    try:
        texts = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _first(names: set[str]) -> tuple[str, ...]:
    return tuple(nsmallest(_KEPT_NAMES, names))
