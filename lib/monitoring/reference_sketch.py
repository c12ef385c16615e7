"""Counts the rows of a training, block by block, up to what its model remembers of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.monitoring.bins import (
    HOUR_BINS,
    MISSING,
    Floats,
    Ints,
    MeasureBins,
    ReferenceBins,
    as_floats,
    single,
)
from lib.monitoring.counts import MeasureCounts
from lib.monitoring.design_effect import DesignEffects, design_effects
from lib.monitoring.pruning import LARGEST, pruned
from lib.monitoring.reference import (
    SCORE,
    CalibrationBin,
    MeasureReference,
    ModelReference,
    MonitoringError,
    TallyReference,
)
from lib.monitoring.window import DAY, TIME, DailySketches, WindowSketch

LABEL = "label"
UNSEEN_SCORE = "unseen_score"
_MOST_DAYS = 90
_MILLION = 1_000_000
_KEPT_MAGNITUDES = 40


class ReferenceSketch:
    """Counts rows of a training by day, block by block; sums and merges in any order.

    Args:
        bins: of the measures, see `fit_bins`.
    """

    def __init__(self, bins: ReferenceBins) -> None:
        self.bins = bins
        self._days = DailySketches(bins)
        self._labels: Counter[tuple[int, str]] = Counter()
        self._calibration: Counter[tuple[int, str]] = Counter()

    def add(self, table: pa.Table) -> None:
        """Count rows.

        A measure whose column a table lacks is not counted on these rows.

        Args:
            table: `entity_id`, `event_time` (UTC), columns of the bins; `label` (1, 0, null or NaN
                where unknown) for prevalence, and beside `score` for calibration; `unseen_score`
                of models that did not learn from the row, where `score` is of one that did.

        Raises:
            ValueError: no `event_time`, or a malformed column.
        """
        if not table.num_rows:
            return
        self._days.add(table)
        if LABEL in table.column_names:
            self._count_labels(table)

    def merge(self, other: ReferenceSketch) -> None:
        """Add what another counted by the same bins."""
        self._days.merge(other._days)
        self._labels.update(other._labels)
        self._calibration.update(other._calibration)

    def _count_labels(self, table: pa.Table) -> None:
        labels, times = _floats(table, LABEL), _floats(table, TIME)
        days = np.floor_divide(times, DAY).astype(np.int64)
        for name, chosen in (("labelled", np.isfinite(labels)), ("positive", labels == 1.0)):
            _count(self._labels, days[chosen], name, np.ones(int(chosen.sum()), dtype=np.int64))
        score = next((part for part in self.bins.measures if part.name == SCORE), None)
        if score is None or score.column not in table.column_names:
            return
        is_seen = UNSEEN_SCORE in table.column_names
        scores = _floats(table, UNSEEN_SCORE if is_seen else score.column)
        is_both = np.isfinite(labels) & np.isfinite(scores)
        cells = score.number_cells(single(scores[is_both]))
        for name, parts in (
            ("rows", np.ones(len(cells))),
            ("positives", labels[is_both] == 1.0),
            ("stated", np.round(scores[is_both] * _MILLION)),
        ):
            _count(self._calibration, cells, name, np.asarray(parts, dtype=np.int64))

    def finish(
        self,
        system: str,
        entity: str,
        *,
        volume_is_served: bool,
        hours_are_chosen: bool = False,
        largest: int = LARGEST,
    ) -> ModelReference:
        """The reference, pruned to its size.

        The newest 90 days are kept. Where the file would be too large, numbers are counted by half
        as many bins (twice at most); then the oldest weeks are left out, down to four.

        Args:
            system: e.g. `fraud`.
            entity: e.g. `user_id`.
            volume_is_served: whether the service decides about as many rows a day.
            hours_are_chosen: whether the training chose at which hours its rows are.
            largest: bytes.

        Raises:
            MonitoringError: there are no rows, or more measures than fit.
        """
        days = sorted(self._days.by_day)[-_MOST_DAYS:]
        if not days:
            raise MonitoringError("reference: expected rows to remember, got none")
        sketches = [self._days.by_day[day] for day in days]
        reference = ModelReference(
            system=system,
            entity=entity,
            days=tuple(days),
            **volumes_of_days(sketches),
            volume_is_served=volume_is_served,
            hours_are_chosen=hours_are_chosen,
            measures=tuple(
                _measure(part, [sketch.measures[part.name] for sketch in sketches])
                for part in (*self.bins.measures, HOUR_BINS)
            ),
            tallies=_tallies(sketches),
            positives=tuple(self._labels[day, "positive"] for day in days),
            labelled=tuple(self._labels[day, "labelled"] for day in days),
            calibration=self._calibration_bins(),
        )
        return pruned(reference, largest)

    def _calibration_bins(self) -> tuple[CalibrationBin, ...]:
        cells = sorted({cell for cell, name in self._calibration if name == "rows"})
        return tuple(
            CalibrationBin(
                rows=self._calibration[cell, "rows"],
                stated=self._calibration[cell, "stated"]
                / _MILLION
                / self._calibration[cell, "rows"],
                positives=self._calibration[cell, "positives"],
            )
            for cell in cells
        )


def _floats(table: pa.Table, column: str) -> Floats:
    values = as_floats(table[column])
    if values is None:
        raise MonitoringError(f"{column}: expected numbers, got {table[column].type}")
    return values


def _count(
    counter: Counter[tuple[int, str]], keys: Ints, name: str, parts: npt.NDArray[np.int64]
) -> None:
    for key in np.unique(keys).tolist():
        counter[key, name] += int(parts[keys == key].sum())


def volumes_of_days(sketches: Sequence[WindowSketch]) -> dict[str, Any]:
    """Fields of `ModelReference` that say how much there was on each day."""
    names = ("rows", "entities", "repeated", "sampled")
    return {name: tuple(getattr(sketch, name) for sketch in sketches) for name in names}


def _measure(bins: MeasureBins, counts: Sequence[MeasureCounts]) -> MeasureReference:
    by_fold = np.stack([day.cells for day in counts])
    unseen = unlisted(counts) + _of_one_group(bins, by_fold)
    return measure_of_days(bins, counts, design_effects(by_fold), unseen)


def measure_of_days(
    bins: MeasureBins, counts: Sequence[MeasureCounts], design: DesignEffects, unseen: Ints
) -> MeasureReference:
    """A measure as it is remembered.

    Args:
        bins: by which it was counted.
        counts: of each day.
        design: of the rows.
        unseen: (days,) rows with values that are new, see `MeasureReference`.
    """
    magnitudes: Counter[int] = Counter()
    for day in counts:
        magnitudes.update(day.magnitudes)
    low, high = min(day.low for day in counts), max(day.high for day in counts)
    return MeasureReference(
        bins=bins,
        counts=tuple(tuple(day.by_cell.tolist()) for day in counts),
        unseen=tuple(unseen.tolist()),
        constant_days=sum(day.is_constant for day in counts),
        magnitudes=dict(sorted(_most_common(magnitudes, _KEPT_MAGNITUDES))),
        low=low if np.isfinite(low) else None,
        high=high if np.isfinite(high) else None,
        design=design,
    )


def unlisted(counts: Sequence[MeasureCounts]) -> Ints:
    """(days,) rows with a value that is not listed."""
    return np.array([day.unseen for day in counts], dtype=np.int64)


def _of_one_group(bins: MeasureBins, by_fold: Ints) -> Ints:
    """(days,) rows with a listed number that one group of entities alone has.

    Had other entities come, it would not be listed: as in Good and Turing's estimate (Good,
    Biometrika 40, 1953) what was met once says how often something is met that never was.

    Args:
        bins: of the measure.
        by_fold: (days, groups, cells) rows.
    """
    if not bins.values:
        return np.zeros(len(by_fold), dtype=np.int64)
    groups = (by_fold.sum(axis=0) > 0).sum(axis=0)
    alone = groups == 1
    alone[MISSING] = False
    return np.asarray(by_fold[:, :, alone].sum(axis=(1, 2)), dtype=np.int64)


def _tallies(sketches: Sequence[WindowSketch]) -> dict[str, TallyReference]:
    names = sorted({name for sketch in sketches for name in sketch.tallies})
    return {name: _tally(name, sketches) for name in names}


def _tally(name: str, sketches: Sequence[WindowSketch]) -> TallyReference:
    days = [sketch.tallies.get(name) for sketch in sketches]
    keys = sorted({key for day in days if day is not None for key in day.counts})
    return TallyReference(
        counts={key: tuple(0 if day is None else day.counts[key] for day in days) for key in keys},
        totals=tuple(0 if day is None else day.total for day in days),
    )


def _most_common(counter: Counter[int], most: int) -> list[tuple[int, int]]:
    """The largest counts; of equal ones the lowest keys, so that no order of rows matters."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]
