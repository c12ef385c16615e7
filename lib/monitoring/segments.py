"""Where a change comes from: merchants, machines, plans or languages that make most of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.monitoring.bins import MISSING, Floats, MeasureBins, as_floats, single
from lib.monitoring.incident import Incident, Kind
from lib.monitoring.normal_scores import normal_scores
from lib.monitoring.reference import ModelReference

_LEAST_PART = 0.5
_MOST_ROWS = 0.8
_LARGEST = 200


@dataclass(frozen=True)
class Segment:
    """Rows of one value of a column.

    Attributes:
        column: e.g. `merchant_id`.
        value: of it.
        rows_share: share of the window's rows.
        part: share of the change that these rows make; above 1 where the others move back.
    """

    column: str
    value: str
    rows_share: float
    part: float


def likely_segments(
    reference: ModelReference,
    incident: Incident,
    rows: pa.Table,
    columns: Sequence[str],
    earlier: pa.Table | None = None,
    most: int = 3,
) -> list[Segment]:
    """The values of some columns whose rows make at least half of a change.

    Each row counts by what it adds to the figure that moved (its normal score, or 1 where it is
    missing or new). A segment's part is its excess over what its rows add usually, over the excess
    of all rows; segments that are nearly all rows explain nothing and are left out.

    Args:
        reference: of the model.
        incident: to explain.
        rows: decisions of the windows that show it, with the columns.
        columns: of segments, e.g. `merchant_id`, `language`.
        earlier: decisions before it, which say what is usual in each segment; without them the
            reference's mean is.
        most: segments to return.

    Returns:
        From the largest part down; none where the change is in all segments alike.

    Raises:
        KeyError: `rows` lacks a column.
    """
    now = _amounts(reference, incident, rows)
    if now is None or not len(now):
        return []
    usual = _usual(reference, incident)
    before = None if earlier is None else _amounts(reference, incident, earlier)
    segments = [
        segment
        for column in columns
        for segment in _of_column(column, rows, now, usual, earlier, before)
        if segment.part >= _LEAST_PART and segment.rows_share <= _MOST_ROWS
    ]
    return sorted(segments, key=lambda segment: (-segment.part, segment.rows_share))[:most]


def _of_column(
    column: str,
    rows: pa.Table,
    now: Floats,
    usual: float,
    earlier: pa.Table | None,
    before: Floats | None,
) -> list[Segment]:
    values, codes = np.unique(_texts(rows, column), return_inverse=True)
    counts = np.bincount(codes, minlength=len(values))
    sums = np.bincount(codes, now, minlength=len(values))
    expected = np.full(len(values), usual)
    if earlier is not None and before is not None and len(before):
        usual = float(before.mean())
        expected = _means(values, _texts(earlier, column), before, usual)
    excess = sums - counts * expected
    total = float(now.sum() - len(now) * usual)
    if abs(total) < 1e-9:
        return []
    largest = np.argsort(-excess / total)[:_LARGEST]
    return [
        Segment(column, str(values[k]), float(counts[k] / len(now)), float(excess[k] / total))
        for k in largest.tolist()
    ]


def _means(
    values: np.ndarray[tuple[int], np.dtype[np.str_]],
    keys: np.ndarray[tuple[int], np.dtype[np.str_]],
    amounts: Floats,
    overall: float,
) -> Floats:
    """Mean amount of each value, drawn towards the overall one by ten rows of it."""
    at = np.searchsorted(values, keys)
    is_known = at < len(values)
    is_known[is_known] &= values[at[is_known]] == keys[is_known]
    sums = np.bincount(at[is_known], amounts[is_known], minlength=len(values))
    counts = np.bincount(at[is_known], minlength=len(values))
    return np.asarray((sums + 10.0 * overall) / (counts + 10.0))


def _texts(rows: pa.Table, column: str) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    texts = rows[column].cast(pa.string()).fill_null("")
    return np.asarray(texts.to_pylist(), dtype=np.str_)


def _amounts(reference: ModelReference, incident: Incident, rows: pa.Table) -> Floats | None:
    """What each row adds to the figure; None where rows as a whole changed, or were not counted."""
    measure = next((m for m in reference.measures if m.bins.name == incident.measure), None)
    if measure is None or measure.bins.column not in rows.column_names:
        return None
    cells = _cells(measure.bins, rows)
    if cells is None:
        return None
    if incident.kind is Kind.MISSING_SHARE:
        return np.asarray(cells == MISSING, dtype=np.float64)
    if measure.bins.kind == "number":
        scores = normal_scores(measure.by_day.sum(axis=0)[1:])
        weights = scores.spread if incident.kind is Kind.SPREAD_MOVED else scores.location
        return np.concatenate([[0.0], weights])[cells]
    if incident.kind is Kind.NEW_VALUE:
        return np.asarray(cells == measure.bins.cells - 1, dtype=np.float64)
    return np.asarray(cells == _cell_of(measure.bins, incident.name), dtype=np.float64)


def _cells(bins: MeasureBins, rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    if bins.kind == "category":
        texts = rows[bins.column].cast(pa.string())
        return bins.category_cells(texts.combine_chunks())
    numbers = as_floats(rows[bins.column])
    return None if numbers is None or bins.kind == "hour" else bins.number_cells(single(numbers))


def _cell_of(bins: MeasureBins, category: str) -> int:
    return bins.categories.index(category) + 1 if category in bins.categories else bins.cells - 1


def _usual(reference: ModelReference, incident: Incident) -> float:
    """The mean amount of a row in the reference."""
    measure = next((m for m in reference.measures if m.bins.name == incident.measure), None)
    if measure is None:
        return 0.0
    counts = measure.by_day.sum(axis=0)
    if incident.kind is Kind.MISSING_SHARE:
        return float(counts[MISSING] / max(int(counts.sum()), 1))
    if measure.bins.kind == "number":
        return 1.0 if incident.kind is Kind.SPREAD_MOVED else 0.0
    cell = _cell_of(measure.bins, "" if incident.kind is Kind.NEW_VALUE else incident.name)
    return float(counts[cell] / max(int(counts.sum()), 1))
