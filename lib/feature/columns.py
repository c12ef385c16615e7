"""Columns of an Arrow table as the arrays that the loops read, in the order of processing."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.contract import ContractError
from lib.feature.declaration import FeatureSet
from lib.feature.jit import Flags, Ints
from lib.feature.kernels_window import NEVER
from lib.feature.measures import Distinct, Measure, Quantity, quantities_of

_MICROSECONDS = pa.timestamp("us", "UTC")
_MOST_SQUARES = 2.0**62


@dataclass(frozen=True)
class Fact:
    """What is known about the events of a table.

    Attributes:
        ever: whether the fact is ever known of each event.
        times: int64 (n, 2), when it became known and when it was withdrawn, microseconds; NEVER
            where it was not.
    """

    ever: Flags
    times: Ints


class Lazy(dict[Any, Any]):
    """Values made when first asked for."""

    def __init__(self, load: Callable[[Any], Any]) -> None:
        super().__init__()
        self._load = load

    def __missing__(self, name: Any) -> Any:
        self[name] = self._load(name)
        return self[name]


def require(features: FeatureSet, table: pa.Table) -> None:
    """Checks that the table has every column that the features read.

    Raises:
        KeyError: naming the column that is missing and those that are there.
    """
    for name in features.input_columns():
        if name not in table.column_names:
            raise KeyError(
                f"column {name!r} is missing, which the {features.name} features read; "
                f"the table has: {', '.join(table.column_names)}"
            )


def refuse_shared_names(features: FeatureSet, table: pa.Table) -> None:
    """Checks that no feature has the name of a column of other content.

    Raises:
        ValueError: naming the feature.
    """
    kept = features.kept_columns
    for name in features.names:
        if name in table.column_names and name not in kept:
            raise ValueError(
                f"feature {name!r} of {features.name} has the name of a column of its events; "
                "give the feature another name"
            )


def processing_order(features: FeatureSet, table: pa.Table) -> Ints | None:
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
        values = numbers(table.column(name))
        current, before = values[tied], values[tied - 1]
        if (current < before).any():
            return False
        tied = tied[current == before]
    ids = table.column(keys[-1])
    return not pc.any(pc.less(ids.take(pa.array(tied)), ids.take(pa.array(tied - 1)))).as_py()


def _times_or(table: pa.Table, name: str, missing: int) -> Ints:
    """A time column in microseconds, with `missing` for null or for the whole column."""
    if name not in table.column_names:
        return np.full(len(table), missing, dtype=np.int64)
    times = table.column(name).cast(_MICROSECONDS).cast(pa.int64())
    return numbers(pc.fill_null(times, missing))


def _codes(column: pa.ChunkedArray) -> Ints:
    """A column's values as codes 0, 1, ...; -1 for null."""
    indices = column.combine_chunks().dictionary_encode().indices
    row_codes: Ints = pc.fill_null(indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return row_codes


def numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    """A column as float64 (NaN for null), or int64; times as microseconds since 1970 UTC."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(_MICROSECONDS).cast(pa.int64())
    is_integer = pa.types.is_integer(column.type) and not column.null_count
    values: NDArray[Any] = column.cast(pa.int64() if is_integer else pa.float64()).to_numpy()
    return values


def _refuse_overflow(quantity: Quantity, values: Ints) -> None:
    """Refuse squares that do not add up within 64 bits: profiles add them up without a bound."""
    floats = values.astype(np.float64)
    excess = float(floats @ floats) / _MOST_SQUARES
    if excess > 1.0:
        coarser = 10 ** math.ceil(math.log10(math.sqrt(excess)))
        columns = ", ".join(quantity.columns)
        raise ContractError(
            f"squares of {quantity.name} do not add up within 64 bits over {len(values):,} events; "
            f"give the features of {columns} a 'resolution' {coarser:,} times as coarse, or leave "
            "deviations out"
        )


class Events:
    """One table in processing order; each column is turned into an array once.

    Attributes:
        times: event times, microseconds.
        received: when each event was received, microseconds; never falls.
        codes: by column, its values as codes 0, 1, ...; -1 for null.
        quantities: read off each event.
        facts: what is known about the events; None for a fact that is known of none.
    """

    def __init__(self, features: FeatureSet, table: pa.Table) -> None:
        self._table = table
        self.times: Ints = numbers(table.column(features.time_column))
        self.received = self.times
        if features.received_column in table.column_names:
            event_time = table.column(features.time_column)
            self.received = numbers(pc.coalesce(table.column(features.received_column), event_time))
        self.codes = Lazy(lambda name: _codes(table.column(name)))
        self.quantities = Lazy(self._quantity)
        self.facts = Lazy(self._fact)

    def read_for(self, measures: Iterable[Measure]) -> None:
        """Turn what measures read into arrays now, so that threads find them made."""
        for measure in measures:
            for quantity in quantities_of(measure):
                _ = self.quantities[quantity]
            for name in ("fact", "without"):
                if fact := getattr(measure, name, None):
                    _ = self.facts[fact]
            if isinstance(measure, Distinct):
                _ = self.codes[measure.of]

    def _quantity(self, quantity: Quantity) -> Ints:
        columns = [numbers(self._table.column(name)) for name in quantity.columns]
        values = np.broadcast_to(np.int64(quantity.read(*columns)), len(self._table))
        if not quantity.squared:
            return values
        _refuse_overflow(quantity, values)
        return values * values

    def _fact(self, fact: str) -> Fact | None:
        since = _times_or(self._table, f"{fact}_from", NEVER)
        if (ever := since < NEVER).any():
            until = _times_or(self._table, f"{fact}_until", NEVER)
            return Fact(ever, np.stack([since, until], axis=1))
        return None


def append(table: pa.Table, columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    """The table with the columns at its end; one of the same name is replaced where it is."""
    for name, values in columns.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, pa.array(values))
        else:
            table = table.append_column(name, pa.array(values))
    return table
