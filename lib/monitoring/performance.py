"""Figures of a window from labels that are in, with how ripe they are and intervals by entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lib.evaluation import Interval, bootstrap_interval
from lib.monitoring.measures import Measure
from lib.monitoring.scored_rows import Floats, MonitoringError, ScoredRows

Basis = Literal["realised", "ripening", "estimated"]
"""From labels alone; from labels and, for those to come, probabilities; from probabilities."""


@dataclass(frozen=True)
class Figure:
    """One measure of one window.

    Attributes:
        name, unit: of the measure.
        basis: what it rests on.
        value, low, high: with its interval over entities; NaN where it cannot be computed.
        rows, entities, positives: that it was computed on.
        ripeness: share of the window's labels that is in, 0 to 1.
        note: why there is no value, or what else to know; empty if nothing.
    """

    name: str
    unit: str
    basis: Basis
    value: float
    low: float
    high: float
    rows: int
    entities: int
    positives: float
    ripeness: float
    note: str = ""

    @property
    def sentence(self) -> str:
        """Name, value, limits and what it rests on."""
        words, unit = self.name.replace("_", " "), f" {self.unit}" if self.unit else ""
        value, low, high = (number_text(number) for number in (self.value, self.low, self.high))
        rests_on = f"{self.rows:,} rows of {self.entities:,}, {self.ripeness:.0%} of labels in"
        return f"{words:36} {value}{unit} ({low} to {high})   {rests_on}"

    def to_json(self) -> dict[str, Any]:
        """For the records; what is not a number is null."""
        numbers = {name: getattr(self, name) for name in ("value", "low", "high", "positives")}
        return vars(self) | {k: v if np.isfinite(v) else None for k, v in numbers.items()}


def number_text(value: float) -> str:
    """A figure as people read it: whole from a hundred on, a dash where it is not known."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


@dataclass(frozen=True)
class Draws:
    """Draws of entities that an interval is made of.

    Attributes:
        seed: of the draws.
        repeats: how many.
        level: share of them inside the interval.
    """

    seed: int
    repeats: int = 200
    level: float = 0.95


def realised(rows: ScoredRows, measures: Sequence[Measure], draws: Draws) -> list[Figure]:
    """Measures on the rows whose label is known; the others only count in the ripeness.

    Args:
        rows: of a window.
        measures: what to compute.
        draws: of entities, for the intervals.

    Returns:
        A figure per measure; where one is not defined its value is NaN and its note says why.
    """
    known = rows.take(rows.known)
    ripeness = len(known) / len(rows) if len(rows) else 0.0
    return [_figure(measure, "realised", known, ripeness, draws) for measure in measures]


def ripening(
    rows: ScoredRows,
    probability: Floats,
    ripeness: Floats,
    measures: Sequence[Measure],
    draws: Draws,
) -> list[Figure]:
    """Measures on a window that is not ripe yet: labels that are in, probabilities for the others.

    A row of which nothing is known at an age where a share F of labels is in is positive with the
    probability p (1 - F) / (1 - p F) (Bayes); with F = 0 this is the estimate before labels, with
    F = 1 what came out.

    Args:
        rows: of a window; NaN where nobody has said anything so far.
        probability: (n,) of a positive, before anything was said; see `lib.monitoring.estimation`.
        ripeness: (n,) share of labels in, see `RipeningCurve.ripeness`.
        measures: what to compute.
        draws: of entities, for the intervals.
    """
    left = probability * (1.0 - ripeness) / np.maximum(1.0 - probability * ripeness, 1e-12)
    filled = rows.labelled(np.where(rows.known, rows.label, left))
    share = float(np.where(rows.known, 1.0, ripeness).mean()) if len(rows) else 0.0
    return [_figure(measure, "ripening", filled, share, draws) for measure in measures]


@dataclass(frozen=True)
class Difference:
    """A measure of two scores on the same rows: second less first, over entities.

    Attributes:
        name: of the measure.
        first, second: its values.
        difference: second less first with its interval.
        share_above: of the draws in which the second was higher.
    """

    name: str
    first: float
    second: float
    difference: Interval
    share_above: float


def paired_difference(
    first: ScoredRows,
    second: ScoredRows,
    measure: Measure,
    *,
    seed: int,
    repeats: int = 400,
    level: float = 0.95,
) -> Difference:
    """Compares two models on the same decisions, entities drawn as a whole for both at once.

    Args:
        first: rows scored by one model; every label is known.
        second: the same rows in the same order, scored (and with money) by the other.
        measure: what to compare.
        seed: of the draws.
        repeats: draws.
        level: share of draws inside the interval.

    Raises:
        MonitoringError: the rows differ, a label is not known, or the measure is not defined.
    """
    if not np.array_equal(first.entity, second.entity):
        raise MonitoringError("entity: expected the same rows for both models, got others")
    if not (first.known.all() and np.array_equal(first.label, second.label)):
        raise MonitoringError("label: expected known labels, the same for both, got others")
    draws: list[float] = []

    def difference(index: np.ndarray[Any, Any]) -> float:
        weight = _times(index, len(first))
        draws.append(measure.value(second, weight) - measure.value(first, weight))
        return draws[-1]

    interval = bootstrap_interval(difference, first.entity, seed, repeats, level)
    above = float(np.mean(np.asarray(draws[:-1]) > 0)) if len(draws) > 1 else float("nan")
    values = measure.value(first), measure.value(second)
    return Difference(measure.name, *values, difference=interval, share_above=above)


def _figure(
    measure: Measure, basis: Basis, rows: ScoredRows, ripeness: float, draws: Draws
) -> Figure:
    """The measure with its interval; NaN and the reason where it is not defined."""
    interval, note = Interval(*[float("nan")] * 3), ""
    try:
        if not len(rows):
            raise MonitoringError("label: expected rows with a known label, got none")
        measure.value(rows)
        interval = bootstrap_interval(
            lambda index: measure.value(rows, _times(index, len(rows))),
            rows.entity,
            draws.seed,
            draws.repeats,
            draws.level,
        )
    except MonitoringError as error:
        note = str(error)
    return Figure(
        name=measure.name,
        unit=measure.unit,
        basis=basis,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        rows=len(rows),
        entities=len(np.unique(rows.entity)),
        positives=float(rows.label.sum()),
        ripeness=ripeness,
        note=note,
    )


def _times(index: np.ndarray[Any, Any], count: int) -> Floats:
    return np.bincount(index, minlength=count).astype(np.float64)
