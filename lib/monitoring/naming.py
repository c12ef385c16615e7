"""From figures that moved to an incident in words: which change explains them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lib.monitoring.bins import HOUR_BINS, Ints, MeasureBins
from lib.monitoring.budget import SmallestEffects
from lib.monitoring.figures import Aspect, Figure
from lib.monitoring.incident import Incident, Kind, moment_text
from lib.monitoring.kinds import clock_shift, effect_of, kind_of, unit_change
from lib.monitoring.reference import MeasureReference, ModelReference
from lib.monitoring.window import WindowSketch

Evidence = Sequence[tuple[Figure, float]]
_MOSTLY = 0.5

_FIRST = (Aspect.ABSENT, Aspect.CONSTANT)
_VALUES = (Aspect.MEAN, Aspect.SPREAD, Aspect.NEW)


def describe(
    reference: ModelReference,
    windows: Sequence[WindowSketch],
    evidence: Evidence,
    span: tuple[int, int],
    effects: SmallestEffects,
) -> tuple[int, Incident]:
    """The figure that names a change best, and the incident.

    Args:
        reference: of the model.
        windows: all.
        evidence: figures of one measure that moved, with logarithms of their e-values.
        span: first and last window of the change.
        effects: the smallest.
    """
    first, last = span
    best = _leading(evidence, span)
    figure, log_e = evidence[best]
    kind, name = kind_of(figure, first, last), figure.name
    before, after = figure.change(first, last)
    parts = windows[first : last + 1]
    measure = next((m for m in reference.measures if m.bins.name == figure.measure), None)
    if measure is not None:
        kind, name = _renamed(measure, parts, figure, kind)
    unit = _UNITS.get(figure.aspect, "share of rows")
    if measure is not None and figure.aspect in {Aspect.MEAN, Aspect.SPREAD}:
        before, after = _middles(measure, parts)
        unit = "median"
    if figure.aspect is Aspect.ROWS:
        before, after = float(np.exp(before)), float(np.exp(after))
    effect = effect_of(figure, first, last, effects).size
    incident = Incident(
        system=reference.system,
        measure=figure.measure,
        kind=kind,
        since=windows[first].since,
        opened_at=windows[last].until,
        seen_at=windows[last].until,
        name=name,
        before=before if np.isfinite(before) else None,
        after=after if np.isfinite(after) else None,
        unit=unit,
        effect=effect,
        evidence=float(log_e / np.log(10.0)),
        windows=last - first + 1,
    )
    return best, incident.model_copy(update={"sentence": sentence(incident, figure)})


_UNITS = {
    Aspect.ROWS: "rows a window",
    Aspect.CLOCK: "nats",
    Aspect.CONSTANT: "",
    Aspect.ABSENT: "",
}


def _leading(evidence: Evidence, span: tuple[int, int]) -> int:
    """Index of the figure that names the change: certain ones, then new values, then the surest."""
    aspects = [figure.aspect for figure, _ in evidence]
    for aspect in _FIRST:
        if aspect in aspects:
            return aspects.index(aspect)
    ranked = sorted(range(len(evidence)), key=lambda k: -evidence[k][1])
    if Aspect.NEW in aspects:
        at = aspects.index(Aspect.NEW)
        _, share = evidence[at][0].change(*span)
        others = [k for k in ranked if aspects[k] in {Aspect.MEAN, Aspect.SPREAD}]
        return others[0] if share > _MOSTLY and others else at
    for k in ranked:
        if kind_of(evidence[k][0], *span) is Kind.VANISHED_VALUE:
            return k
    return ranked[0]


def _renamed(
    measure: MeasureReference, parts: Sequence[WindowSketch], figure: Figure, kind: Kind
) -> tuple[Kind, str]:
    """The kind that explains more, and what it speaks of."""
    name = measure.bins.name
    if figure.aspect is Aspect.CLOCK:
        hours = sum(part.measures[HOUR_BINS.name].by_cell for part in parts)
        shift = clock_shift(measure.by_day.sum(axis=0)[1:], np.asarray(hours)[1:])
        return (Kind.CLOCK_SHIFTED, f"{shift:+d} h") if shift else (Kind.SHARE_MOVED, "")
    if figure.aspect in _VALUES and measure.bins.kind == "number":
        magnitudes: Counter[int] = Counter()
        for part in parts:
            magnitudes.update(part.measures[name].magnitudes)
        if unit := unit_change(measure.magnitudes, magnitudes):
            return Kind.UNIT_CHANGED, unit
    if figure.aspect is Aspect.NEW:
        names = {text for part in parts for text in part.measures[name].unseen_names}
        return kind, ", ".join(sorted(names)[:5])
    return kind, figure.name


def _middles(measure: MeasureReference, parts: Sequence[WindowSketch]) -> tuple[float, float]:
    name = measure.bins.name
    low = min([measure.low or 0.0, *(part.measures[name].low for part in parts)])
    high = max([measure.high or 0.0, *(part.measures[name].high for part in parts)])
    after = np.asarray(sum(part.measures[name].by_cell for part in parts))
    before = measure.by_day.sum(axis=0)
    return (
        median_of(measure.bins, before, measure.low or 0.0, measure.high or 0.0),
        median_of(measure.bins, after, low, high),
    )


def median_of(bins: MeasureBins, cells: Ints, low: float, high: float) -> float:
    """The median of a number, read off its bins; NaN without rows.

    Args:
        bins: of the number.
        cells: (cells,) rows, missing first.
        low: where the first bin begins.
        high: where the last bin ends.
    """
    rows = cells[1:].astype(np.float64)
    if not rows.sum():
        return float("nan")
    edges = np.array([min(low, *bins.edges), *bins.edges, max(high, *bins.edges)], dtype=np.float64)
    if not bins.edges:
        edges = np.array([low, high], dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(rows)]) / rows.sum()
    return float(np.interp(0.5, sums, edges))


def sentence(incident: Incident, figure: Figure) -> str:
    """An incident in words."""
    since = moment_text(incident.since)
    what = f" ({incident.name})" if incident.name else ""
    size = _size_text(incident, figure)
    return f"{incident.measure}: {incident.kind}{what} since {since}{size}"


def _size_text(incident: Incident, figure: Figure) -> str:
    if incident.unit == "" or incident.before is None or incident.after is None:
        return ""
    if incident.unit == "share of rows":
        return f": {incident.before:.2%} of rows before, {incident.after:.2%} now"
    if incident.unit == "median":
        moved = f"{figure.sign * incident.effect:+.2f} standard deviations; "
        text = moved if figure.aspect is Aspect.MEAN else ""
        return f": {text}median {incident.before:.4g} before, {incident.after:.4g} now"
    if incident.unit == "rows a window":
        return f": about {incident.before:,.0f} rows a window before, {incident.after:,.0f} now"
    return ""
