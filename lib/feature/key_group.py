"""The measures of one key over one table: what each loop is given, and in which order they run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from lib.feature.columns import Events, Lazy, processing_order, require
from lib.feature.declaration import FeatureSet
from lib.feature.grouping import Block, Grouping
from lib.feature.jit import Flags, Ints
from lib.feature.kernels_latest import recall_latest, recall_streak
from lib.feature.kernels_window import add_facts, add_totals, clock_of, count_distinct
from lib.feature.measures import (
    Distinct,
    Key,
    Latest,
    Measure,
    Quantity,
    Streak,
    Total,
    measure_columns,
    nothing_measured,
    quantities_of,
)
from lib.feature.windows import Window

_EVER = Window(length=2**61, hop=1)
_ROWS_AT_A_TIME = 16_384  # what the loops read and write stays in the processor's cache


def blocks_of(
    features: FeatureSet, table: pa.Table, measures: Iterable[Measure], threads: int = 1
) -> dict[Key, Block]:
    """The blocks of some measures of a table, by key; keys side by side on the threads.

    Raises:
        KeyError: for a column that the features read and the table lacks, naming it.
    """
    require(features, table)
    by_key: dict[Key, list[Measure]] = defaultdict(list)
    for measure in measures:
        by_key[measure.key].append(measure)
    order = processing_order(features, table)
    if order is not None:
        read = features.measured_columns(table.column_names)
        table = table.select(read).take(pa.array(order))
    events = Events(features, table)

    def block(key: Key) -> Block:
        return KeyGroup(events, key, by_key[key]).block(order)

    if threads == 1:
        return {key: block(key) for key in by_key}
    keys = sorted(by_key, key=lambda key: len(by_key[key]), reverse=True)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(events.codes.__getitem__, sorted({name for key in keys for name in key})))
        events.read_for([measure for of_key in by_key.values() for measure in of_key])
        return dict(zip(keys, pool.map(block, keys), strict=True))


class KeyGroup:
    """The measures of one key over one table.

    Args:
        events: the table.
        key: the columns of the key.
        measures: measures with that key.
    """

    def __init__(self, events: Events, key: Sequence[str], measures: Sequence[Measure]) -> None:
        self._events = events
        self._group = Grouping([events.codes[column] for column in key])
        # totals of one window side by side
        self._measures = sorted(measures, key=_window_of)
        read = dict.fromkeys(q for measure in measures for q in quantities_of(measure))
        self._quantity = {quantity: number for number, quantity in enumerate(read)}
        # two measures may share a column, as those of one event remembered with more and with less
        self._columns: list[str] = []
        self._first: dict[Measure, int] = {}
        for measure in self._measures:
            self._first[measure] = len(self._columns)
            self._columns += measure_columns(measure)

    def block(self, order: Ints | None) -> Block:
        """All measures, for the rows of the table as it came; `order` is that of processing."""
        out = np.zeros((self._group.size, len(self._columns)), dtype=np.int64)
        steps = list(self._steps())
        for first, starts in self._group.batches(_ROWS_AT_A_TIME):
            rows = self._group.rows[first : first + starts[-1]]
            batch = Batch(self._events, tuple(self._quantity), rows, starts)
            for step in steps:
                step(batch, out[first : first + len(rows)])
        positions = self._group.position
        if order is not None:
            positions = np.empty_like(positions)
            positions[order] = self._group.position
        empty = [value for measure in self._measures for value in nothing_measured(measure)]
        return Block(tuple(self._columns), out, np.array(empty, dtype=np.int64), positions)

    def _steps(self) -> Iterator[Step]:
        yield from self._totals()
        for measure in self._measures:
            match measure:
                case Latest():
                    yield self._latest(measure)
                case Distinct():
                    yield self._distinct(measure)
                case Streak():
                    yield self._streak(measure)

    def _totals(self) -> Iterator[Step]:
        """All totals; those over the same events in the same window in one step."""
        lanes: dict[tuple[Window, str | None, int], list[tuple[int, int]]] = defaultdict(list)
        for measure in self._measures:
            if isinstance(measure, Total):
                window = measure.window or _EVER
                lane = (self._quantity[measure.quantity], self._first[measure])
                lanes[window, measure.fact, 1].append(lane)
                if measure.without:
                    lanes[window, measure.without, -1].append(lane)
        for (window, fact, sign), pairs in lanes.items():
            take, put = (np.array(numbers, dtype=np.int64) for numbers in zip(*pairs, strict=True))
            if fact is None:
                yield _all(window, take, put)
            elif self._events.facts[fact] is not None:
                yield _with_fact(window, fact, sign, take, put)

    def _distinct(self, measure: Distinct) -> Step:
        codes = self._events.codes[measure.of]
        last = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
        view = self._view(measure)

        def step(batch: Batch, out: Ints) -> None:
            tiles, clock, _, reach = batch.span(measure.window)
            of = codes[batch.rows]
            count_distinct(batch.starts, tiles, clock, reach, of, last, out[:, view])

        return step

    def _latest(self, measure: Latest) -> Step:
        only = -1 if measure.only is None else self._quantity[measure.only]
        take = np.array([self._quantity[q] for q in measure.quantities], dtype=np.int64)
        view = self._view(measure)
        return lambda batch, out: recall_latest(
            batch.starts, batch.times, measure.horizon, only, batch.values, take, out[:, view]
        )

    def _streak(self, measure: Streak) -> Step:
        window, view = measure.window, self._view(measure)
        number = self._quantity[measure.quantity]

        def step(batch: Batch, out: Ints) -> None:
            tiles, _, behind, reach = batch.span(window)
            counted, bad = batch.settled(measure.fact, window.behind)
            arguments = (tiles, batch.clock, window.hop, behind, reach, counted, bad)
            recall_streak(batch.starts, *arguments, batch.values[:, number], out[:, view])

        return step

    def _view(self, measure: Measure) -> slice:
        """The columns of one measure."""
        first = self._first[measure]
        return slice(first, first + len(measure_columns(measure)))


def _all(window: Window, take: Ints, put: Ints) -> Step:
    return lambda batch, out: add_totals(
        batch.starts, *batch.span(window), batch.values, take, put, out
    )


def _with_fact(window: Window, fact: str, sign: int, take: Ints, put: Ints) -> Step:
    def step(batch: Batch, out: Ints) -> None:
        events, fact_times = batch.facts[fact]
        if len(events):
            about = (events, fact_times, batch.received, batch.values)
            add_facts(batch.starts, *batch.span(window), *about, take, put, sign, out)

    return step


class Batch:
    """Some whole keys of one table; arrays are by position within the batch.

    Args:
        events: the table.
        quantities: what stands in the columns of `values`.
        rows: the table's rows.
        starts: the first position of each key, then the number of positions.
    """

    def __init__(
        self, events: Events, quantities: Sequence[Quantity], rows: Ints, starts: Ints
    ) -> None:
        self._events = events
        self.rows, self.starts = rows, starts
        self.times = events.times[rows]
        late = events.received is not events.times
        self.received = events.received[rows] if late else self.times
        self.clock = clock_of(starts, self.times)
        self.values = np.empty((len(rows), len(quantities)), dtype=np.int64)
        for number, quantity in enumerate(quantities):
            self.values[:, number] = events.quantities[quantity][rows]
        self._tiles = Lazy(lambda hop: (self.times // hop, self.clock // hop))
        self.facts = Lazy(self._fact)

    def _fact(self, fact: str) -> tuple[Ints, Ints]:
        """Positions of the events of which a fact is ever known; when it was and was withdrawn."""
        history = self._events.facts[fact]
        if history is None:
            return np.empty(0, dtype=np.int64), np.empty((0, 2), dtype=np.int64)
        events = np.flatnonzero(history.ever[self.rows])
        return events, history.times[self.rows[events]]

    def settled(self, fact: str, behind: int) -> tuple[Flags, Flags]:
        """Whether each event was received, and whether its fact was known, `behind` after it."""
        settles = self.times + behind
        events, fact_times = self.facts[fact]
        bad = np.zeros(len(settles), dtype=bool)
        bad[events] = (fact_times[:, 0] <= settles[events]) & (fact_times[:, 1] > settles[events])
        return self.received <= settles, bad

    def span(self, window: Window) -> tuple[Ints, Ints, int, int]:
        """Tiles, clock, and the window's near (-1: now) and far edge in tiles before now."""
        tiles, clock = self._tiles[window.hop]
        near = window.behind // window.hop if window.behind else -1
        return tiles, clock, near, (window.behind + window.length) // window.hop


Step: TypeAlias = Callable[[Batch, Ints], None]
"""Fills some columns of a batch's part of the block."""


def _window_of(measure: Measure) -> tuple[int, int, int]:
    window = measure.window if isinstance(measure, Total) else None
    return (window.hop, window.length, window.behind) if window else (0, 0, 0)
