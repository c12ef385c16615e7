"""Where a change comes from: segments that hold most of it, and more than their part of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lib.monitoring.bins import HOUR_BINS, MISSING, MeasureBins, as_floats
from lib.monitoring.incident import Incident, Kind
from lib.monitoring.reference import ModelReference
from lib.monitoring.scored_rows import Codes, Flags, Floats
from lib.monitoring.window import RULES, TALLIED

_MOST = 3
_LEAST_SHARE = 0.5
_LEAST_RATIO = 2.0
_PRIOR_ROWS = 20.0
_VOLUME = ("rows", "entities", "duplicates")


@dataclass(frozen=True)
class LikelyCause:
    """A segment that holds much of a change.

    Attributes:
        segment: field, e.g. `merchant_id`.
        value: of it.
        share: of the change that lies in the segment, up to 1; above 1 others went the other way.
        rows_share: of the rows since that are of the segment; of those before, for volumes.
        before, after: share of the segment's rows that are affected; for volumes rows since, and
            as many days' rows before.
    """

    segment: str
    value: str
    share: float
    rows_share: float
    before: float
    after: float

    @property
    def sentence(self) -> str:
        """In words."""
        return (
            f"{self.segment} {self.value} holds {min(self.share, 1.0):.0%} of the change with "
            f"{self.rows_share:.0%} of the decisions"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; `value` alone may be an id, so that an erasure finds and replaces it."""
        return asdict(self)


def likely_causes(
    incident: Incident,
    reference: ModelReference | None,
    decisions: pa.Table,
    segments: Mapping[str, Sequence[str | None]],
) -> list[LikelyCause]:
    """Segments that hold at least half of a change and twice their part of the rows.

    The change is the excess of affected rows since over those that each segment had before, drawn
    to the overall share by twenty rows. Nobody says that a segment is the reason.

    Args:
        incident: with its begin.
        reference: of the model; None where only decisions and volumes are watched.
        decisions: `lib.records.decision_table`, before and since the incident.
        segments: values by field, (rows of `decisions`) each.

    Returns:
        At most three, the largest first; none where there is nothing before or the change is
        spread alike.
    """
    times = np.asarray(decisions["event_time"].cast(pa.int64()))
    after = times >= incident.since
    if after.all() or not after.any():
        return []
    affected = _affected(incident, reference, decisions, after)
    if affected is None:
        return []
    causes = []
    for name, values in segments.items():
        if name != incident.measure:
            days = (float(np.ptp(times[part])) + 1.0 for part in (~after, after))
            causes += _of_segment(name, values, after, affected, incident, *days)
    return sorted(causes, key=lambda cause: (-cause.share, cause.rows_share))[:_MOST]


def _affected(
    incident: Incident, reference: ModelReference | None, decisions: pa.Table, after: Flags
) -> Flags | None:
    """(rows,) which show the change; None where a row cannot show it."""
    if incident.measure in _VOLUME:
        return np.ones(len(after), dtype=np.bool_)
    if incident.measure in TALLIED:
        return np.asarray(pc.fill_null(pc.equal(decisions[incident.measure], incident.name), False))
    if incident.measure == RULES:
        hits = decisions["rule_hits"].to_pylist()
        return np.array([incident.name in (row or ()) for row in hits])
    bins = _bins_of(incident.measure, reference)
    if bins is None or bins.column not in decisions.column_names:
        return None
    return _of_measure(incident, bins, decisions[bins.column], after)


def _bins_of(measure: str, reference: ModelReference | None) -> MeasureBins | None:
    if measure == HOUR_BINS.name:
        return HOUR_BINS
    parts = () if reference is None else reference.measures
    return next((part.bins for part in parts if part.bins.name == measure), None)


def _of_measure(
    incident: Incident, bins: MeasureBins, column: pa.ChunkedArray, after: Flags
) -> Flags | None:
    cells = _cells(bins, column)
    if cells is None:
        return None
    if incident.kind in (Kind.MISSING_SHARE, Kind.NOT_COMPUTED):
        return np.asarray(cells == MISSING)
    if incident.kind is Kind.NEW_VALUE:
        numbers = as_floats(column)
        if bins.kind == "category" or numbers is None:
            return np.asarray(cells == bins.cells - 1)
        return np.asarray(bins.new_values(numbers))
    if incident.name in bins.categories:
        return np.asarray(cells == bins.categories.index(incident.name) + 1)
    shares = [
        np.bincount(cells[part], minlength=bins.cells) / max(int(part.sum()), 1)
        for part in (~after, after)
    ]
    return np.asarray((shares[1] > shares[0])[cells])


def _cells(bins: MeasureBins, column: pa.ChunkedArray) -> Codes | None:
    if bins.kind == "category":
        return bins.category_cells(column.cast(pa.string()).combine_chunks())
    numbers = as_floats(column)
    if numbers is None:
        return None
    if bins.kind == "hour":
        return np.asarray(np.floor(numbers / 3.6e9).astype(np.int64) % 24 + 1)
    return bins.number_cells(numbers)


def _of_segment(
    name: str,
    values: Sequence[str | None],
    after: Flags,
    affected: Flags,
    incident: Incident,
    length_before: float,
    length_after: float,
) -> list[LikelyCause]:
    codes, names = pd.factorize(pd.Series(list(values), dtype=object))
    known = codes >= 0
    counts = [
        np.bincount(codes[known & part & chosen], minlength=len(names)).astype(np.float64)
        for part in (~after, after)
        for chosen in (np.ones(len(after), dtype=np.bool_), affected)
    ]
    rows_before, hit_before, rows_after, hit_after = counts
    of = rows_after
    if incident.measure in _VOLUME:
        usual = rows_before * length_after / length_before
        before, since, of = usual, rows_after, rows_before
        excess = rows_after - usual
    else:
        overall = hit_before.sum() / max(rows_before.sum(), 1.0)
        before = (hit_before + _PRIOR_ROWS * overall) / (rows_before + _PRIOR_ROWS)
        since = hit_after / np.maximum(rows_after, 1.0)
        excess = hit_after - before * rows_after
    return _concentrated(name, names, excess, of, before, since)


def _concentrated(
    name: str, names: Sequence[Any], excess: Floats, rows: Floats, before: Floats, since: Floats
) -> list[LikelyCause]:
    total = float(excess.sum())
    if not total:
        return []
    shares = excess / total
    parts = rows / max(float(rows.sum()), 1.0)
    chosen = np.flatnonzero((shares >= _LEAST_SHARE) & (shares >= _LEAST_RATIO * parts))
    return [
        LikelyCause(
            segment=name,
            value=str(names[at]),
            share=float(shares[at]),
            rows_share=float(parts[at]),
            before=float(before[at]),
            after=float(since[at]),
        )
        for at in chosen.tolist()
    ]
