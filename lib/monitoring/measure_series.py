"""A measure on the reference's days and in windows, pooled until they can speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.monitoring.bins import MISSING, Ints
from lib.monitoring.reference import MeasureReference, ModelReference
from lib.monitoring.window import DAY, WindowSketch


def days_of(windows: Sequence[WindowSketch]) -> Ints:
    """Day (windows,) since 1970 on which each begins."""
    return np.array([window.since // DAY for window in windows], dtype=np.int64)


@dataclass(frozen=True)
class MeasureSeries:
    """Counts of one measure. Rows of several days that are pooled stand at the last of them.

    Attributes:
        column: of decisions.
        reference_days: (days,) since 1970, of the training, then of windows that complete it.
        reference_cells: (days, cells) rows.
        reference_unseen: (days,) rows with values that are not listed.
        window_days: (windows,) since 1970.
        window_cells: (windows, cells) rows; none in windows that were pooled with later ones.
        window_unseen, absent: (windows,) rows.
        computed: (windows,) rows of which the measure was computed, before they are pooled.
        clusters: (windows,) design effect of values that are not listed.
        is_constant: (windows,) whether all rows had one value.
    """

    column: str
    reference_days: Ints
    reference_cells: Ints
    reference_unseen: Ints
    window_days: Ints
    window_cells: Ints
    window_unseen: Ints
    absent: Ints
    computed: Ints
    clusters: npt.NDArray[np.float64]
    is_constant: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        reference: ModelReference,
        measure: MeasureReference,
        windows: Sequence[WindowSketch],
        least_rows: int,
        fewest_days: int = 0,
    ) -> MeasureSeries:
        """Gather and pool.

        Args:
            reference: of the model.
            measure: of it.
            windows: in order of time.
            least_rows: below which days are pooled.
            fewest_days: with fewer in the training, the first windows complete its days and say
                nothing themselves.
        """
        parts = [window.measures[measure.bins.name] for window in windows]
        shape = (len(windows), measure.bins.cells)
        cells = np.array([part.by_cell for part in parts], dtype=np.int64).reshape(shape)
        unseen = np.array([part.unseen for part in parts], dtype=np.int64)
        low, high = (np.array([getattr(part, name) for part in parts]) for name in ("low", "high"))
        days = np.array(reference.days, dtype=np.int64)
        before = np.column_stack([measure.by_day, np.array(measure.unseen, dtype=np.int64)])
        before, _ = pooled(before, least_rows)
        after, (lowest, highest) = pooled(np.column_stack([cells, unseen]), least_rows, low, high)
        lacking = max(0, fewest_days - int((measure.by_day.sum(axis=1) > 0).sum()))
        completing = np.flatnonzero(cells.sum(axis=1) > 0)[:lacking]
        first = np.flatnonzero(after[:, :-1].sum(axis=1) > 0)
        first = first[first <= completing.max(initial=-1)]
        before = np.concatenate([before, after[first]])
        after[first], lowest[first], highest[first] = 0, np.inf, -np.inf
        return cls(
            column=measure.bins.column,
            reference_days=np.concatenate([days, days_of(windows)[first]]),
            reference_cells=before[:, :-1],
            reference_unseen=before[:, -1],
            window_days=days_of(windows),
            window_cells=after[:, :-1],
            window_unseen=after[:, -1],
            absent=np.array([part.absent for part in parts], dtype=np.int64),
            computed=np.asarray(cells.sum(axis=1)),
            clusters=np.array([part.clusters for part in parts], dtype=np.float64),
            is_constant=lowest == highest,
        )

    @property
    def window_totals(self) -> Ints:
        """(windows,) rows of which the measure was computed, missing values included."""
        return np.asarray(self.window_cells.sum(axis=1))

    @property
    def totals(self) -> tuple[Ints, Ints]:
        """Rows of the reference's days and of windows."""
        return np.asarray(self.reference_cells.sum(axis=1)), self.window_totals

    @property
    def filled(self) -> tuple[Ints, Ints]:
        """The same, without missing values."""
        before, after = self.totals
        return before - self.missing[0], after - self.missing[1]

    @property
    def missing(self) -> tuple[Ints, Ints]:
        """Missing values."""
        return self.counts(MISSING)

    @property
    def unseen(self) -> tuple[Ints, Ints]:
        """Values that are not listed."""
        return self.reference_unseen, self.window_unseen

    def counts(self, cell: int) -> tuple[Ints, Ints]:
        """Rows of a cell."""
        return self.reference_cells[:, cell], self.window_cells[:, cell]


def pooled(
    counts: Ints,
    least_rows: int,
    low: npt.NDArray[np.float64] | None = None,
    high: npt.NDArray[np.float64] | None = None,
) -> tuple[Ints, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Counts (n, cells + 1) of days, summed until they have rows enough; the sum is the last day's.

    Args:
        counts: rows by cell; the last column is not a cell, and adds nothing to the rows.
        least_rows: that a day, or days together, must have.
        low: (n,) smallest value of each day; infinite on empty days.
        high: (n,) largest value of each day; minus infinity on empty days.

    Returns:
        Counts of the same shape, and the range of values of each; days that wait for later ones
        have no rows.
    """
    lows = np.full(len(counts), np.inf) if low is None else low.copy()
    highs = np.full(len(counts), -np.inf) if high is None else high.copy()
    sums = counts.copy()
    for day in range(len(counts) - 1):
        if sums[day, :-1].sum() < least_rows:
            sums[day + 1] += sums[day]
            lows[day + 1] = min(lows[day], lows[day + 1])
            highs[day + 1] = max(highs[day], highs[day + 1])
            sums[day], lows[day], highs[day] = 0, np.inf, -np.inf
    if len(sums) and sums[-1, :-1].sum() < least_rows:
        sums[-1] = 0
    return sums, (lows, highs)
