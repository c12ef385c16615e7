"""Point-in-time features of a whole table.

`compute` does everything at once, `TableFeatures` on threads and some rows at a time. Inside a
partitioned engine the work splits by key: for each of `partition_columns`, bring the rows of each
key value together, call `measure` and keep the columns it adds; once all are there, `finish` turns
them into features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.feature.columns import Lazy, append, numbers, refuse_shared_names
from lib.feature.declaration import Category, Derived, Direct, Feature, FeatureSet
from lib.feature.exact_arithmetic import NAN, Value, choose
from lib.feature.key_group import blocks_of
from lib.feature.measures import Key, measure_columns

Floats: TypeAlias = NDArray[np.float64]

_ROWS_AT_A_TIME = 10_000  # what the arithmetic leaves behind stays in the processor's cache


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
        ValueError: for a feature that has the name of a column of the events, naming it.
    """
    return TableFeatures(features, table).rows(0, len(table))


class TableFeatures:
    """Features of a whole table, of which a caller takes some rows at a time.

    What is held besides the table is the measures, about as many bytes as the features that come
    of them: a caller that writes as it goes never holds both.

    Args:
        features, table: as `compute` takes them.
        threads: that measure, and that `each_part` works on; the result does not depend on it.

    Raises:
        KeyError: for a column that is missing, naming it and the features that need it.
        ValueError: for a feature that has the name of a column of the events, naming it.
    """

    def __init__(self, features: FeatureSet, table: pa.Table, threads: int = 1) -> None:
        refuse_shared_names(features, table)
        self._features, self._table, self._threads = features, table, threads
        self._blocks = tuple(blocks_of(features, table, features.measures(), threads).values())
        self._evaluate = _Evaluator(features, table)

    def rows(self, first: int, end: int) -> pa.Table:
        """Rows `first` to `end` (excluded) of the table with their features."""

        def measured(since: int, until: int) -> dict[str, Floats]:
            columns: dict[str, Floats] = {}
            for block in self._blocks:
                columns.update(block.rows(since, until, np.float64))
            return columns

        columns = _features(self._features.names, self._evaluate, first, end, measured)
        return append(self._table.slice(first, end - first), columns)

    def each_part(self, rows: int, use: Callable[[int, pa.Table], object]) -> None:
        """Call `use` with the number and the rows of every part, on the threads.

        Args:
            rows: of a part; the last one may have fewer.
            use: is called with 0 and the first rows, 1 and the next, ..., in no order.
        """
        starts = range(0, len(self._table), rows)

        def work(number: int) -> None:
            first = starts[number]
            use(number, self.rows(first, min(first + rows, len(self._table))))

        if starts:
            self.rows(0, 1)  # what the threads share is made once
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(work, range(len(starts))))


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

    Raises:
        KeyError, ValueError: as of `compute`.
    """
    refuse_shared_names(features, table)
    earlier = partition_columns(features)
    earlier = earlier[: earlier.index(column)]
    own_measures = [
        m for m in features.measures() if column in m.key and not any(e in m.key for e in earlier)
    ]
    for block in blocks_of(features, table, own_measures).values():
        table = append(table, block.rows(0, len(table)))
    return table


def finish(features: FeatureSet, table: pa.Table) -> pa.Table:
    """Turns the columns that `measure` added into features, and drops them.

    Raises:
        ValueError: as of `compute`.
    """
    refuse_shared_names(features, table)
    names = list(dict.fromkeys(n for m in features.measures() for n in measure_columns(m)))
    columns = {name: numbers(table.column(name)) for name in names}

    def measured(first: int, end: int) -> dict[str, Floats]:
        return {name: values[first:end].astype(np.float64) for name, values in columns.items()}

    evaluate = _Evaluator(features, table)
    columns_out = _features(features.names, evaluate, 0, len(table), measured)
    return append(table.drop_columns(names), columns_out)


def _features(
    names: Sequence[str],
    evaluate: _Evaluator,
    first: int,
    end: int,
    measured: Callable[[int, int], Mapping[str, Floats]],
) -> dict[str, Floats]:
    """Every feature of rows `first` to `end`, from measures asked for some rows at a time."""
    out = {name: np.empty(end - first) for name in names}
    for start in range(first, end, _ROWS_AT_A_TIME):
        rows = slice(start, min(start + _ROWS_AT_A_TIME, end))
        values = evaluate(rows, measured(rows.start, rows.stop))
        for name, column in out.items():
            column[rows.start - first : rows.stop - first] = values[name]
    return out


class _Evaluator:
    """Turns measures into features; what these read of the events is made when first asked for."""

    def __init__(self, features: FeatureSet, table: pa.Table) -> None:
        self._features, self._table = features.features, table
        self._columns = Lazy(lambda name: numbers(table.column(name)))
        self._has_key = Lazy(self._key_mask)
        self._codes = Lazy(self._category_codes)
        self._measured = {
            feature.name: [column for m in feature.measures for column in measure_columns(m)]
            for feature in self._features
            if isinstance(feature, Feature)
        }

    def __call__(self, rows: slice, measured: Mapping[str, Floats]) -> dict[str, Value]:
        """Every feature of some rows by name, hidden ones included, from their measures."""
        values: dict[str, Value] = {}
        for feature in self._features:
            if isinstance(feature, Derived):
                value = feature.formula(*[values[name] for name in feature.inputs])
            elif isinstance(feature, Direct):
                value = feature.formula(*[self._columns[name][rows] for name in feature.columns])
            elif isinstance(feature, Category):
                value = self._codes[feature][rows]
            else:
                parts = tuple([measured[column] for column in self._measured[feature.name]])
                value = feature.aggregate.finish(parts, feature.empty)
                if (has_key := self._has_key[feature.key]) is not True:
                    value = choose(has_key[rows], value, NAN)
            values[feature.name] = value
        return values

    def _key_mask(self, key: Key) -> NDArray[np.bool_] | bool:
        """Which events have all columns of the key; True if all of them do."""
        columns = [self._table.column(name) for name in key]
        valid = [column.is_valid().to_numpy() for column in columns if column.null_count]
        return np.logical_and.reduce(valid) if valid else True

    def _category_codes(self, feature: Category) -> Floats:
        vocabulary = pa.array(feature.vocabulary, pa.string())
        column = self._table.column(feature.column)
        indices = pc.index_in(column, value_set=vocabulary)
        codes: Floats = pc.add(pc.fill_null(indices, -1), 1).to_numpy().astype(float)
        if column.null_count:
            codes[column.is_null().to_numpy()] = feature.missing_code
        return codes
