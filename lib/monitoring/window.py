"""What is counted of the rows of one window, by the bins of the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.monitoring.bins import HOUR_BINS, Ints, ReferenceBins, as_floats
from lib.monitoring.bottom_k import BottomK, row_hashes
from lib.monitoring.counts import FOLDS, MeasureCounts
from lib.monitoring.request_columns import ANSWER

DAY = 86_400_000_000
"""Microseconds."""

ENTITY, TIME = "entity_id", "event_time"
METHOD, BY_RULE = "method", "rule"
TALLIED = ("decision", METHOD)
"""Columns of decisions whose shares are watched."""

RULES = "rule hits"


@dataclass
class Tally:
    """Rows by name, of a total: decisions by action, rows by rule that fired, labels by age."""

    counts: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def merge(self, other: Tally) -> None:
        """Add what another counted."""
        self.counts.update(other.counts)
        self.total += other.total


class WindowSketch:
    """Counts of a span of event times. Blocks of rows are added and sketches merged in any order.

    Memory does not grow with rows. A sketch that was read from JSON is closed: it can be compared
    and pooled with others, but takes no more rows.

    Attributes:
        since, until: microseconds since 1970 UTC; `until` is excluded.
        rows: how many.
        measures: by name of the measure; `event hour` is among them.
        tallies: named counts with their totals.
    """

    def __init__(self, bins: ReferenceBins, since: int, until: int) -> None:
        self.bins = bins
        self.since, self.until = since, until
        self.rows = 0
        self.measures = {part.name: MeasureCounts.empty(part) for part in self._parts}
        self.tallies: dict[str, Tally] = {}
        self._entities: BottomK | None = BottomK()
        self._contents: BottomK | None = BottomK()
        self._closed: tuple[int, int, int] = (0, 0, 0)

    @property
    def _parts(self) -> tuple[Any, ...]:
        return (*self.bins.measures, HOUR_BINS)

    @property
    def entities(self) -> int:
        """Distinct entities, exact up to 4,096 and to about 2% beyond."""
        return self._entities.distinct if self._entities else self._closed[0]

    @property
    def repeated(self) -> int:
        """Sampled rows that repeat the entity and the time of another row."""
        return self._contents.repeated if self._contents else self._closed[1]

    @property
    def sampled(self) -> int:
        """Rows in which repetitions were looked for; all rows up to 4,096."""
        return self._contents.sampled if self._contents else self._closed[2]

    def add(self, table: pa.Table) -> None:
        """Count decisions (`lib.records.decision_table`) or training rows of this window.

        A column that is absent or of another type is counted as absent and stops no other.

        Args:
            table: rows with `entity_id`, `event_time` within the window and the bins' columns.

        Raises:
            ValueError: the sketch is closed, or a row lies outside of the window.
        """
        self._refuse_foreign(table)
        if not table.num_rows:
            return
        entities = row_hashes(table, [ENTITY])
        self.rows += table.num_rows
        if self._entities is not None and self._contents is not None:
            self._entities.add(entities)
            self._contents.add(row_hashes(table, [ENTITY, TIME]))
        folds = (entities % np.uint64(FOLDS)).astype(np.int64)
        self._count_measures(table, folds)
        self._tally_columns(table)

    def tally(self, name: str, counts: Mapping[str, int], total: int) -> None:
        """Add named counts, as of labels that came in: how many of `total` have each name.

        Raises:
            ValueError: a count is negative or above the total.
        """
        if any(not 0 <= count <= total for count in counts.values()):
            raise ValueError(f"{name}: expected counts from 0 to {total}, got {dict(counts)}")
        self.tallies.setdefault(name, Tally()).merge(Tally(Counter(counts), total))

    def merge(self, other: WindowSketch) -> None:
        """Add the rows that another sketch of the same window and bins counted.

        Raises:
            ValueError: its window or bins differ, or either is closed.
        """
        span, other_span = (self.since, self.until), (other.since, other.until)
        if span != other_span or self.bins != other.bins:
            raise ValueError(f"expected the window {span} by the same bins, got {other_span}")
        if not (self._entities and other._entities and self._contents and other._contents):
            raise ValueError("a sketch read from JSON is closed")
        self._entities.merge(other._entities)
        self._contents.merge(other._contents)
        self.rows += other.rows
        for name, counts in other.measures.items():
            self.measures[name].merge(counts)
        for name, tally in other.tallies.items():
            self.tallies.setdefault(name, Tally()).merge(tally)

    def _refuse_foreign(self, table: pa.Table) -> None:
        if self._entities is None:
            raise ValueError("a sketch read from JSON is closed")
        times = as_floats(table[TIME])
        if times is None or not ((times >= self.since) & (times < self.until)).all():
            raise ValueError(f"{TIME}: expected times from {self.since} to before {self.until}")

    def _count_measures(self, table: pa.Table, folds: Ints) -> None:
        names = set(table.column_names)
        by_model = pa.scalar(True)
        if METHOD in names:
            by_model = pc.fill_null(pc.not_equal(table[METHOD], BY_RULE), True)
        for part in self._parts:
            column = table[part.column] if part.column in names else None
            counts = self.measures[part.name]
            if column is not None and column.null_count and is_score(part.column):
                # a rule that decides alone asks no model
                scored = np.asarray(pc.or_(column.is_valid(), by_model))
                counts.add(part, column.filter(pa.array(scored)), folds[scored])
            else:
                counts.add(part, column, folds)

    def _tally_columns(self, table: pa.Table) -> None:
        for name in TALLIED:
            if name in table.column_names:
                self.tally(name, _value_counts(table[name]), table.num_rows)
        if "rule_hits" in table.column_names:
            hits = pc.list_flatten(table["rule_hits"])
            self.tally(RULES, _value_counts(hits), table.num_rows)

    def to_json(self) -> dict[str, Any]:
        """Everything that comparisons need, for `monitored_windows.summary`."""
        return {
            "since": self.since,
            "until": self.until,
            "rows": self.rows,
            "entities": self.entities,
            "repeated": self.repeated,
            "sampled": self.sampled,
            "measures": {name: _measure_json(counts) for name, counts in self.measures.items()},
            "tallies": {
                name: {"counts": dict(tally.counts), "total": tally.total}
                for name, tally in self.tallies.items()
            },
        }

    @classmethod
    def from_json(cls, bins: ReferenceBins, content: Mapping[str, Any]) -> WindowSketch:
        """A closed sketch of what `to_json` gave.

        Raises:
            ValueError: a field is missing or malformed, or measures are counted by other bins.
        """
        try:
            sketch = cls(bins, int(content["since"]), int(content["until"]))
            sketch.rows = int(content["rows"])
            for name, counts in sketch.measures.items():
                if name in content["measures"]:
                    _read_measure(name, counts, content["measures"][name])
            for name, tally in content["tallies"].items():
                sketch.tally(name, tally["counts"], int(tally["total"]))
            repeated = (int(content[name]) for name in ("entities", "repeated", "sampled"))
            sketch._closed = tuple(repeated)  # type: ignore[assignment]
        except (KeyError, TypeError) as error:
            raise ValueError(f"window: malformed: {type(error).__name__}: {error}") from error
        sketch._entities = sketch._contents = None
        return sketch


class DailySketches:
    """Window sketches of whole days UTC, made as rows come; what a block of rows adds to."""

    def __init__(self, bins: ReferenceBins) -> None:
        self.bins = bins
        self.by_day: dict[int, WindowSketch] = {}

    def add(self, table: pa.Table) -> None:
        """Count rows of any days; see `WindowSketch.add`."""
        times = as_floats(table[TIME])
        if times is None:
            raise ValueError(f"{TIME}: expected times, got {table[TIME].type}")
        days = np.floor_divide(times, DAY).astype(np.int64)
        for day in np.unique(days).tolist():
            self._of(day).add(table.filter(pa.array(days == day)))

    def merge(self, other: DailySketches) -> None:
        """Add what another counted."""
        for day, sketch in other.by_day.items():
            self._of(day).merge(sketch)

    def windows(self) -> list[WindowSketch]:
        """The sketches in order of time; days without rows between them are empty sketches."""
        if not self.by_day:
            return []
        return [self._of(day) for day in range(min(self.by_day), max(self.by_day) + 1)]

    def _of(self, day: int) -> WindowSketch:
        if day not in self.by_day:
            self.by_day[day] = WindowSketch(self.bins, day * DAY, (day + 1) * DAY)
        return self.by_day[day]


def is_score(column: str) -> bool:
    """Whether a column of decisions holds what a model answered."""
    return column == "score" or column.startswith(ANSWER)


def _value_counts(values: Any) -> dict[str, int]:
    pairs = pc.value_counts(pc.drop_null(values)).to_pylist()
    return {str(pair["values"]): int(pair["counts"]) for pair in pairs}


def _measure_json(counts: MeasureCounts) -> dict[str, Any]:
    return {
        "cells": counts.by_cell.tolist(),
        "absent": counts.absent,
        "unseen": counts.unseen,
        "unseen_names": list(counts.unseen_names),
        "clusters": counts.clusters,
        "magnitudes": {str(cell): rows for cell, rows in sorted(counts.magnitudes.items())},
        "range": [counts.low, counts.high] if np.isfinite(counts.low) else None,
    }


def _read_measure(name: str, counts: MeasureCounts, content: Mapping[str, Any]) -> None:
    cells = np.array(content["cells"], dtype=np.int64)
    if cells.shape != counts.by_cell.shape:
        raise ValueError(
            f"{name}: expected counts of {counts.cells.shape[1]} cells, got {cells.shape}; the "
            "window was counted by the bins of another model"
        )
    counts.cells[0] = cells
    counts.absent, counts.unseen_cells[0] = int(content["absent"]), int(content["unseen"])
    counts.unseen_names = tuple(content["unseen_names"])
    counts.magnitudes = Counter({int(cell): n for cell, n in content["magnitudes"].items()})
    counts.closed_clusters = float(content["clusters"])
    if content["range"] is not None:
        counts.low, counts.high = map(float, content["range"])


def merged(sketches: Iterable[DailySketches], bins: ReferenceBins) -> DailySketches:
    """The sum of sketches of blocks."""
    total = DailySketches(bins)
    for sketch in sketches:
        total.merge(sketch)
    return total
