"""Bins of a measure, fixed when a model is trained, by which rows are counted ever after."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BINS = 20
"""Bins of a number; ten keep 95% of what a mean can show, twenty 98%."""

FEW_VALUES = 24
"""A number that takes at most so many values is counted by value as well."""

MOST_CATEGORIES = 30
MISSING = 0
"""Cell of rows without a value; null, NaN and infinity are missing."""


class MeasureBins(BaseModel):
    """How one measure is counted. Cell 0 holds missing values.

    Attributes:
        name: of the measure, e.g. `amount`, `score` or `event hour`.
        column: of tables of decisions, e.g. `feature_amount`.
        kind: a number, a category, or the hour of an event.
        edges: of a number, ascending; cell k > 0 holds `edges[k - 2] < value <= edges[k - 1]`.
        values: of a number that takes few; any other value is new. Ascending.
        categories: cell k > 0 holds `categories[k - 1]`; the last cell all others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    column: str
    kind: Literal["number", "category", "hour"]
    edges: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _refuse_disorder(self) -> "MeasureBins":
        for field, numbers in (("edges", self.edges), ("values", self.values)):
            if not np.isfinite(numbers).all() or (np.diff(numbers) <= 0).any():
                raise ValueError(f"{self.name}: {field}: expected finite ascending numbers")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError(f"{self.name}: categories: expected each once")
        return self

    @property
    def cells(self) -> int:
        """How many cells there are, that of missing values included."""
        if self.kind == "number":
            return len(self.edges) + 2
        return 25 if self.kind == "hour" else len(self.categories) + 2

    def number_cells(self, values: Floats) -> Ints:
        """Cell (n,) of each number (n,)."""
        cells = np.searchsorted(np.array(self.edges), values, side="left") + 1
        return np.where(np.isfinite(values), cells, MISSING).astype(np.int64)

    def category_cells(self, values: pa.Array) -> Ints:
        """Cell (n,) of each text (n,)."""
        at = pc.index_in(values, value_set=pa.array(self.categories, pa.string()))
        cells = pc.fill_null(pc.add(at, 1), len(self.categories) + 1)
        return np.where(np.asarray(values.is_null()), MISSING, np.asarray(cells)).astype(np.int64)

    def new_values(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Whether each number (n,) is none of `values`; false where numbers are not listed."""
        if not self.values:
            return np.zeros(len(values), dtype=bool)
        return np.isfinite(values) & ~np.isin(values, np.array(self.values))


HOUR_BINS = MeasureBins(name="event hour", column="event_time", kind="hour")


class ReferenceBins(BaseModel):
    """The bins of all measures of a system.

    Attributes:
        measures: features and score; each name once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    measures: tuple[MeasureBins, ...] = Field(default=())

    @model_validator(mode="after")
    def _refuse_repeated_names(self) -> "ReferenceBins":
        names = [bins.name for bins in self.measures]
        if len(set(names)) != len(names):
            raise ValueError(f"measures: expected each name once, got {', '.join(names)}")
        return self


def fit_bins(
    table: pa.Table, columns: Iterable[tuple[str, str]], bins: int = BINS
) -> ReferenceBins:
    """Bins from rows of a training, or from a sample of them (20,000 rows are enough).

    Args:
        table: rows.
        columns: (name of the measure, column of `table`); a text column becomes a category.
        bins: of numbers with many values.

    Raises:
        ValueError: a column is neither numbers nor texts; the message names it.
    """
    return ReferenceBins(
        measures=tuple(_fit(name, column, table[column], bins) for name, column in columns)
    )


def _fit(name: str, column: str, values: pa.ChunkedArray, bins: int) -> MeasureBins:
    kind = values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = [text for text in values.to_pylist() if text is not None]
        return MeasureBins(name=name, column=column, kind="category", categories=_largest(texts))
    numbers = as_floats(values)
    if numbers is None:
        raise ValueError(f"{column}: expected numbers or texts, got {values.type}")
    numbers = single(numbers[np.isfinite(numbers)])
    few = np.unique(numbers)
    listed = tuple(few.tolist()) if 0 < len(few) <= FEW_VALUES else ()
    edges = few[:-1] if listed else quantile_edges(numbers, bins)
    return MeasureBins(
        name=name, column=column, kind="number", edges=tuple(edges.tolist()), values=listed
    )


def _largest(texts: Sequence[str]) -> tuple[str, ...]:
    """The categories with most rows, in order of the alphabet."""
    names, counts = np.unique(np.array(texts, dtype=object).astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    return tuple(sorted(str(names[at]) for at in order))


def quantile_edges(numbers: Floats, bins: int) -> Floats:
    """Edges (at most 2 * bins) of about equal rows; a value that fills a bin has its own.

    Args:
        numbers: (n,) finite.
        bins: how many bins of equal rows.
    """
    if not len(numbers):
        return np.empty(0)
    edges = np.quantile(numbers, np.arange(1, bins) / bins, method="lower")
    repeated = np.unique(edges[:-1][np.diff(edges) == 0])
    below = [numbers[numbers < value].max(initial=-np.inf) for value in repeated.tolist()]
    edges = np.unique(np.concatenate([edges, np.array(below)]))
    kept: Floats = edges[np.isfinite(edges) & (edges < numbers.max())]
    return kept


def single(numbers: Floats) -> Floats:
    """Numbers (n,) at single precision, as models see them; decisions hold them at double."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32).astype(np.float64)


def as_floats(values: pa.ChunkedArray | pa.Array) -> Floats | None:
    """A column of numbers, booleans or times as (n,), NaN where null; None if it is neither."""
    try:
        if pa.types.is_timestamp(values.type):
            values = pc.cast(pc.cast(values, pa.timestamp("us", values.type.tz)), pa.int64())
        numbers = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError):
        return None
    return np.asarray(numbers, dtype=np.float64)
