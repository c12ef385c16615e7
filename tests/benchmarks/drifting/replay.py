"""A reference from some days of a stream, and months replayed from its other days."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from lib.monitoring import (
    ErrorBudget,
    Incident,
    ModelReference,
    ReferenceSketch,
    WindowSketch,
    detect,
    fit_bins,
)
from tests.benchmarks.drifting.days import DAY, Stream

FIRST_DAY = 18_000 - 18_000 % 7 + 4
"""A Monday, in days since 1970."""

REFERENCE_DAYS = 56


@dataclass
class Replay:
    """A reference, and sketches of the days that it does not rest on.

    Attributes:
        stream: whose days they are.
        reference: of the reference days.
        reference_days: indexes into the stream's days.
        other_days: by weekday, indexes of the others.
        sketches: of the others, by index.
    """

    stream: Stream
    reference: ModelReference
    reference_days: list[int]
    other_days: dict[int, list[int]]
    sketches: dict[int, WindowSketch]

    @classmethod
    def draw(cls, stream: Stream, rng: np.random.Generator) -> Replay:
        """Draw about two thirds of each weekday's days, at most eight, for the reference."""
        weeks: dict[int, list[int]] = {}
        other_days: dict[int, list[int]] = {}
        for weekday in np.unique(stream.weekdays).tolist():
            days = rng.permutation(np.flatnonzero(stream.weekdays == weekday)).tolist()
            count = min(REFERENCE_DAYS // 7, len(days) * 2 // 3)
            weeks[weekday], other_days[weekday] = days[:count], days[count:]
        placed = [
            (week * 7 + weekday, day)
            for weekday, days in weeks.items()
            for week, day in enumerate(days)
        ]
        tables = [as_table(stream.days[day], FIRST_DAY + at) for at, day in sorted(placed)]
        rows = pa.concat_tables(tables)
        sketch = ReferenceSketch(fit_bins(rows, [(name, name) for name in stream.columns]))
        sketch.add(rows)
        reference = sketch.finish(stream.name, "entity", volume_is_served=stream.served)
        days = [day for _, day in sorted(placed)]
        return cls(stream, reference, days, other_days, {})

    def draw_days(self, count: int, rng: np.random.Generator) -> list[int | None]:
        """Days of `count` days in a row, drawn within weekdays; None where none has rows."""
        drawn = []
        for at in range(count):
            days = self.other_days.get(at % 7)
            drawn.append(int(rng.choice(days)) if days else None)
        return drawn

    def windows(self, days: list[int | None], start: int = 0) -> list[WindowSketch]:
        """Sketches of days, from day `start` of the replay on."""
        return [self._window(day, start + at) for at, day in enumerate(days)]

    def changed(self, rows: pd.DataFrame, at: int) -> WindowSketch:
        """A sketch of rows on day `at` of the replay."""
        sketch = self._empty(at)
        sketch.add(as_table(rows, FIRST_DAY + 7 * 20 + at))
        return sketch

    def incidents(self, windows: list[WindowSketch], systems: int) -> list[Incident]:
        """Of the windows, with the budget of an installation of so many systems."""
        return detect(self.reference, windows, ErrorBudget(systems=systems))

    def _empty(self, at: int) -> WindowSketch:
        day = FIRST_DAY + 7 * 20 + at
        return WindowSketch(self.reference.bins, day * DAY, (day + 1) * DAY)

    def _window(self, day: int | None, at: int) -> WindowSketch:
        if day is None:
            return self._empty(at)
        if day not in self.sketches:
            self.sketches[day] = self.changed(self.stream.days[day], 0)
        window = copy.copy(self.sketches[day])
        empty = self._empty(at)
        window.since, window.until = empty.since, empty.until
        return window


def as_table(rows: pd.DataFrame, day: int) -> pa.Table:
    """Rows as decisions, on a day since 1970."""
    columns = {name: pa.array(rows[name].to_numpy()) for name in rows.columns if name != "at"}
    times = pa.array(rows["at"].to_numpy() + day * DAY, pa.timestamp("us", tz="UTC"))
    return pa.table({**columns, "event_time": times})
