"""What a data set looks like, for the report: nulls, ranges, categories, repeats, time gaps."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.coercion import as_array, nan_to_null, plain

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP_CATEGORIES = 10
LARGEST_GAPS = 5
MOST_CATEGORIES = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Plain = float | int | str | None


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column.

    Attributes:
        name: of the column.
        type: Arrow type as text.
        nulls: rows without a value; NaN counts as none.
        distinct: different values, nulls left out.
        minimum: smallest value; times as ISO 8601 UTC; None for text and where all is null.
        maximum: largest value, likewise.
        quantiles: value at each of `QUANTILES` (linear interpolation), numbers only.
        categories: the most frequent texts or flags with their rows, at most `TOP_CATEGORIES`;
            none for identifiers (over `MOST_CATEGORIES` different texts).
    """

    name: str
    type: str
    nulls: int
    distinct: int
    minimum: Plain
    maximum: Plain
    quantiles: dict[float, float]
    categories: dict[str, int]


@dataclass(frozen=True, slots=True)
class TableProfile:
    """A whole table.

    Attributes:
        rows: how many.
        columns: one profile each, in order.
        repeated_keys: rows whose key came before.
        first_time: earliest time of the time column as ISO 8601 UTC, None without rows.
        last_time: latest, likewise.
        gaps: longest stretches without a row, as (start ISO 8601 UTC, seconds), longest first.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    repeated_keys: int
    first_time: str | None
    last_time: str | None
    gaps: tuple[tuple[str, float], ...]


def profile(table: pa.Table, key: tuple[str, ...] = (), time: str | None = None) -> TableProfile:
    """Profile `table`.

    Args:
        table: any types; nested columns get counts of nulls only.
        key: columns that should name a row; () leaves repeated keys at 0.
        time: a timestamp column whose gaps count; None leaves them out.
    """
    columns = tuple(_column(name, plain(as_array(table[name]))) for name in table.column_names)
    times = _sorted_times(table, time)
    return TableProfile(
        rows=table.num_rows,
        columns=columns,
        repeated_keys=_repeated(table, key),
        first_time=_iso(int(times[0])) if times.size else None,
        last_time=_iso(int(times[-1])) if times.size else None,
        gaps=_gaps(times),
    )


def _column(name: str, values: pa.Array) -> ColumnProfile:
    if pat.is_floating(values.type):
        values = nan_to_null(values)
    distinct = 0 if pat.is_nested(values.type) else int(pc.count_distinct(values).as_py())
    lowest, highest = _range(values)
    return ColumnProfile(
        name=name,
        type=str(values.type),
        nulls=int(values.null_count),
        distinct=distinct,
        minimum=lowest,
        maximum=highest,
        quantiles=_quantiles(values),
        categories=_categories(values) if distinct <= MOST_CATEGORIES else {},
    )


def _range(values: pa.Array) -> tuple[Plain, Plain]:
    if pat.is_timestamp(values.type):
        bounds = pc.min_max(values.cast(pa.timestamp("us", tz=values.type.tz)).cast(pa.int64()))
        return _iso(bounds["min"].as_py()), _iso(bounds["max"].as_py())
    if not _is_number(values.type):
        return None, None
    bounds = pc.min_max(values)
    return bounds["min"].as_py(), bounds["max"].as_py()


def _quantiles(values: pa.Array) -> dict[float, float]:
    if not _is_number(values.type) or values.null_count == len(values):
        return {}
    quantiles = pc.quantile(values, q=list(QUANTILES)).to_pylist()
    return dict(zip(QUANTILES, (float(quantile) for quantile in quantiles), strict=True))


def _categories(values: pa.Array) -> dict[str, int]:
    if not (pat.is_string(values.type) or pat.is_boolean(values.type)):
        return {}
    counted = pc.value_counts(values.drop_null())
    if not len(counted):
        return {}
    names, counts = counted.field(0).cast(pa.string()), counted.field(1)
    pairs = pa.table({"name": names, "count": counts})
    order = pc.select_k_unstable(
        pairs, k=TOP_CATEGORIES, sort_keys=[("count", "descending"), ("name", "ascending")]
    )
    top = pairs.take(order)
    return dict(zip(top["name"].to_pylist(), top["count"].to_pylist(), strict=True))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pat.is_integer(kind) or pat.is_floating(kind))


def _repeated(table: pa.Table, key: tuple[str, ...]) -> int:
    if not key:
        return 0
    groups = table.select(list(key)).group_by(list(key)).aggregate([])
    return int(table.num_rows - groups.num_rows)


def _sorted_times(table: pa.Table, name: str | None) -> npt.NDArray[np.int64]:
    if name is None:
        return np.empty(0, dtype=np.int64)
    values = as_array(table[name]).drop_null()
    times = values.cast(pa.timestamp("us", tz=values.type.tz)).cast(pa.int64())
    return np.sort(times.to_numpy(zero_copy_only=False))


def _gaps(times: npt.NDArray[np.int64]) -> tuple[tuple[str, float], ...]:
    lengths = np.diff(times)
    longest = np.argsort(-lengths, kind="stable")[:LARGEST_GAPS]
    gaps = [(_iso(int(times[row])), float(lengths[row]) / 1e6) for row in longest]
    return tuple((start, seconds) for start, seconds in gaps if start is not None and seconds > 0)


def _iso(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
