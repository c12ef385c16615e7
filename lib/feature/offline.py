"""Point-in-time features of a whole table, vectorised.

`compute` does everything at once. Inside a partitioned engine the work splits by key: for each of
`partition_columns`, bring the rows of each key value together, call `measure` and keep the columns
it adds; once all are there, `finish` turns them into features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.feature.declaration import Category, FeatureSet
from lib.feature.evaluate import Evaluator
from lib.feature.measures import (
    Distinct,
    Key,
    Latest,
    Measure,
    Quantity,
    Streak,
    Total,
    measure_columns,
)
from lib.feature.sweep import Active, Ints, Sweep
from lib.feature.windows import Window

_MICROSECONDS = pa.timestamp("us", "UTC")
_NEVER = 2**62


def compute(features: FeatureSet, table: pa.Table) -> pa.Table:
    """The table with one float64 column per feature added; NaN where missing, row order kept.

    Args:
        features: the declarations.
        table: the events: the columns of `features.input_columns()`, and the facts' columns where
            there are any. Times are timestamp[us, UTC].

    An event's own values never count in its aggregates. Events are processed in the order of
    (received_at, event_time, id); without a received column, in the order of (event_time, id).

    Raises:
        KeyError: for a column that is missing, naming it and the features that need it.
    """
    measured = _Measuring(features, table)
    columns = {
        name: values
        for measure in features.measures()
        for name, values in measured.columns_of(measure).items()
    }
    return _append(table, _features(features, table, columns))


def partition_columns(features: FeatureSet) -> tuple[str, ...]:
    """The fewest columns such that every measure's key contains one of them.

    Greedy: the column in most of the remaining keys first.
    """
    remaining = {measure.key for measure in features.measures()}
    chosen: list[str] = []
    while remaining:
        columns = sorted({column for key in remaining for column in key})
        best = max(columns, key=lambda c: sum(c in key for key in remaining))
        chosen.append(best)
        remaining = {key for key in remaining if best not in key}
    return tuple(chosen)


def measure(features: FeatureSet, table: pa.Table, column: str) -> pa.Table:
    """Adds the int64 columns of the measures that the partition by `column` is in charge of.

    Args:
        features: the declarations.
        table: all rows of the key values that are in it.
        column: one of `partition_columns(features)`.
    """
    earlier = partition_columns(features)
    earlier = earlier[: earlier.index(column)]
    measured = _Measuring(features, table)
    mine = [
        m for m in features.measures() if column in m.key and not any(e in m.key for e in earlier)
    ]
    return _append(table, {k: v for m in mine for k, v in measured.columns_of(m).items()})


def finish(features: FeatureSet, table: pa.Table) -> pa.Table:
    """Turns the columns that `measure` added into features, and drops them."""
    names = list(dict.fromkeys(n for m in features.measures() for n in measure_columns(m)))
    measured = {name: _numbers(table.column(name)) for name in names}
    return _append(table.drop_columns(names), _features(features, table, measured))


def _features(
    features: FeatureSet, table: pa.Table, measured: Mapping[str, Ints]
) -> dict[str, NDArray[np.float64]]:
    rows = len(table)
    arrays = _Lazy(lambda name: _numbers(table.column(name)))
    floats = _Lazy(lambda name: measured[name].astype(np.float64))

    def has_key(key: Key) -> Any:
        valid = np.ones(rows, dtype=bool)
        for name in key:
            if table.column(name).null_count:
                valid &= table.column(name).is_valid().to_numpy()
        return True if valid.all() else valid

    def category(feature: Category) -> NDArray[np.float64]:
        known = pa.array(feature.vocabulary, pa.string())
        place = pc.index_in(table.column(feature.column), value_set=known)
        codes: NDArray[np.float64] = pc.add(pc.fill_null(place, -1), 1).to_numpy().astype(float)
        return codes

    values = Evaluator(features)(arrays, floats, _Lazy(has_key), category)
    return {name: np.broadcast_to(np.float64(values[name]), rows) for name in features.names}


class _Lazy(dict[Any, Any]):
    """Columns turned into arrays when first asked for."""

    def __init__(self, load: Callable[[Any], Any]) -> None:
        super().__init__()
        self._load = load

    def __missing__(self, name: Any) -> Any:
        self[name] = self._load(name)
        return self[name]


class _Measuring:
    """Measures of one table; sweeps and windows are made once and shared."""

    def __init__(self, features: FeatureSet, table: pa.Table) -> None:
        _require(features, table)
        self.features = features
        self.order = _processing_order(features, table)
        self.table = table if self.order is None else table.take(pa.array(self.order))
        self.times = _numbers(self.table.column(features.time_column))
        self._sweeps: dict[Key, Sweep] = {}
        self._active: dict[tuple[Key, Window | None], Active] = {}
        self._codes = _Lazy(lambda name: _codes(self.table.column(name)))
        self._known: dict[str, tuple[Ints, Ints]] = {}
        self._quantities: dict[str, Ints] = {}
        self._by_key: tuple[Key, dict[str, Ints]] = ((), {})

    def columns_of(self, wanted: Measure) -> dict[str, Ints]:
        """The measure's columns, in the table's own row order."""
        if isinstance(wanted, Latest):
            found = self._latest(wanted)
        elif isinstance(wanted, Streak):
            found = self._streak(wanted)
        elif isinstance(wanted, Distinct):
            sweep = self._sweep(wanted.key)
            found = {wanted.column: sweep.distinct(self._codes[wanted.of], wanted.window)}
            found = {name: sweep.spread(values) for name, values in found.items()}
        else:
            found = {wanted.column: self._total(wanted)}
        return {name: self._restore(values) for name, values in found.items()}

    def _restore(self, values: Ints) -> Ints:
        if self.order is None:
            return values
        out = np.empty_like(values)
        out[self.order] = values
        return out

    def _sweep(self, key: Key) -> Sweep:
        if key not in self._sweeps:
            joint = self._codes[key[0]]
            for name in key[1:]:
                codes = self._codes[name]
                width = int(codes.max(initial=0)) + 1
                joint = np.where((joint < 0) | (codes < 0), -1, joint * width + codes)
                joint = joint if len(key) == 2 else _renumbered(joint)
            self._sweeps[key] = Sweep(joint if len(key) == 1 else _renumbered(joint), self.times)
        return self._sweeps[key]

    def _total(self, wanted: Total) -> Ints:
        sweep = self._sweep(wanted.key)
        spot = (wanted.key, wanted.window)
        if spot not in self._active:
            self._active[spot] = sweep.active(wanted.window)
        active = self._active[spot]
        values = self._values(wanted.key, wanted.quantity)
        if wanted.fact:
            return sweep.spread(sweep.known(active, *self._fact(wanted.fact)).totals(values))
        total = active.counts() if wanted.quantity.name == "events" else active.totals(values)
        if wanted.without and self._fact(wanted.without)[0].min(initial=0) < len(self.table):
            known = sweep.known(active, *self._fact(wanted.without))
            total = total - known.totals(values)
        return sweep.spread(total)

    def _values(self, key: Key, quantity: Quantity) -> Ints:
        """A quantity by position of the key's sweep; the last key's are kept."""
        if self._by_key[0] != key:
            self._by_key = (key, {})
        kept = self._by_key[1]
        if quantity.name not in kept:
            kept[quantity.name] = self._quantity(quantity)[self._sweep(key).rows]
        return kept[quantity.name]

    def _quantity(self, quantity: Quantity) -> Ints:
        if quantity.name not in self._quantities:
            columns = [_numbers(self.table.column(name)) for name in quantity.columns]
            values = np.broadcast_to(np.int64(quantity.read(*columns)), len(self.table))
            self._quantities[quantity.name] = values * values if quantity.squared else values
        return self._quantities[quantity.name]

    def _fact(self, fact: str) -> tuple[Ints, Ints]:
        """For each row the first row at which the fact about it is known, and is withdrawn."""
        if fact not in self._known:
            received = _received(self.features, self.table)
            self._known[fact] = (
                _first_row(self.table, f"{fact}_from", received),
                _first_row(self.table, f"{fact}_until", received),
            )
        return self._known[fact]

    def _latest(self, wanted: Latest) -> dict[str, Ints]:
        sweep = self._sweep(wanted.key)
        mask = None if wanted.only is None else self._values(wanted.key, wanted.only) != 0
        at = sweep.latest(mask)
        age = np.abs(sweep.times - sweep.times[at])
        found = (at >= 0) & (age <= wanted.horizon)
        columns = [np.where(found, age, -1)]
        columns += [np.where(found, self._values(wanted.key, q)[at], 0) for q in wanted.quantities]
        missing = [-1] + [0] * len(wanted.quantities)
        return {
            name: sweep.spread(values, empty)
            for name, values, empty in zip(wanted.columns, columns, missing, strict=True)
        }

    def _streak(self, wanted: Streak) -> dict[str, Ints]:
        sweep = self._sweep(wanted.key)
        settles = self.times + wanted.window.behind
        known = _times_or(self.table, f"{wanted.fact}_from", _NEVER)
        withdrawn = _times_or(self.table, f"{wanted.fact}_until", _NEVER)
        bad = (known <= settles) & (withdrawn > settles)
        counted = _received(self.features, self.table) <= settles
        figures = sweep.streak(
            counted[sweep.rows],
            bad[sweep.rows],
            self._values(wanted.key, wanted.quantity),
            wanted.window,
        )
        empty = (-1, 0, -1, 0, -1)
        return {
            name: sweep.spread(values, missing)
            for name, values, missing in zip(wanted.columns, figures, empty, strict=True)
        }


def _times_or(table: pa.Table, name: str, missing: int) -> Ints:
    """A time column in microseconds, with `missing` for null or for the whole column."""
    if name not in table.column_names:
        return np.full(len(table), missing, dtype=np.int64)
    times = table.column(name).cast(_MICROSECONDS).cast(pa.int64())
    return _numbers(pc.fill_null(times, missing))


def _require(features: FeatureSet, table: pa.Table) -> None:
    for name in features.input_columns():
        if name not in table.column_names:
            raise KeyError(
                f"column {name!r} is missing, which the {features.name} features read; "
                f"the table has: {', '.join(table.column_names)}"
            )


def _processing_order(features: FeatureSet, table: pa.Table) -> Ints | None:
    """The order in which events are processed; None where the table has it already."""
    keys = [features.time_column, features.id_column]
    received = features.received_column
    if received in table.column_names and table.column(received).null_count < len(table):
        first = pc.coalesce(table.column(received), table.column(features.time_column))
        table = table.set_column(table.column_names.index(received), received, first)
        keys = [received, *keys]
    if _is_sorted(table, keys):
        return None
    order = pc.sort_indices(
        table.select(keys), sort_keys=[(name, "ascending") for name in keys]
    ).to_numpy()
    return order.astype(np.int64)  # type: ignore[no-any-return]


def _is_sorted(table: pa.Table, keys: list[str]) -> bool:
    """Whether rows are in the order of all `keys`; a key is compared where those before tie."""
    tied: Ints = np.arange(1, len(table), dtype=np.int64)
    for name in keys[:-1]:
        values = _numbers(table.column(name))
        here, before = values[tied], values[tied - 1]
        if (here < before).any():
            return False
        tied = tied[here == before]
    ids = table.column(keys[-1])
    return not pc.any(pc.less(ids.take(pa.array(tied)), ids.take(pa.array(tied - 1)))).as_py()


def _received(features: FeatureSet, table: pa.Table) -> Ints:
    """When each event was received, in microseconds, for a table in processing order."""
    event_time = table.column(features.time_column)
    if features.received_column not in table.column_names:
        return _numbers(event_time)
    return _numbers(pc.coalesce(table.column(features.received_column), event_time))


def _first_row(table: pa.Table, name: str, received: Ints) -> Ints:
    """The first row received at or after the time in column `name`; n where it has none."""
    rows = np.full(len(table), len(table), dtype=np.int64)
    if name not in table.column_names or table.column(name).null_count == len(table):
        return rows
    valid = table.column(name).is_valid().to_numpy()
    times = _numbers(table.column(name).drop_null())
    rows[valid] = np.searchsorted(received, times, side="left")
    return rows


def _codes(column: pa.ChunkedArray) -> Ints:
    """A column's values as codes 0, 1, ...; -1 for null."""
    indices = column.combine_chunks().dictionary_encode().indices
    codes: Ints = pc.fill_null(indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _renumbered(codes: Ints) -> Ints:
    """Codes as 0, 1, ...; -1 stays."""
    values, places = np.unique(codes, return_inverse=True)
    return places.astype(np.int64) - int(len(values) > 0 and values[0] < 0)


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column as float64 (NaN for null), or int64; times as microseconds since 1970 UTC."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(_MICROSECONDS).cast(pa.int64())
    whole = pa.types.is_integer(column.type) and not column.null_count
    numbers: NDArray[Any] = column.cast(pa.int64() if whole else pa.float64()).to_numpy()
    return numbers


def _append(table: pa.Table, columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table
