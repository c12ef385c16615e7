"""Measures of which nothing can be said, for want of rows in the reference or in the window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.monitoring.bins import HOUR_BINS
from lib.monitoring.budget import ErrorBudget
from lib.monitoring.figures import Aspect, Figure, series_of
from lib.monitoring.reference import MeasureReference, ModelReference
from lib.monitoring.tempering import FEWEST_DAYS
from lib.monitoring.window import WindowSketch

_OF_COLUMNS = (Aspect.ABSENT, Aspect.CONSTANT)
_NAMED = 3


def coverage_notes(
    reference: ModelReference,
    windows: Sequence[WindowSketch],
    figures: Sequence[Figure],
    budget: ErrorBudget,
) -> list[str]:
    """Which measures are not compared, and what that takes; empty where all are.

    A measure that no decision has is none of them: it is an incident, or only some sources have it.

    Args:
        reference: of the model.
        windows: in order of time.
        figures: `lib.monitoring.figures.watch` of them.
        budget: of the installation.
    """
    compared = {
        figure.measure
        for figure in figures
        if figure.aspect not in _OF_COLUMNS and np.isfinite(figure.log_e).any()
    }
    others = [own for own in reference.measures if own.bins.name not in compared]
    others = [own for own in others if own.bins.kind != HOUR_BINS.kind]
    is_thin = [_is_thin(reference, own, windows, budget) for own in others]
    before = [own.bins.name for own, thin in zip(others, is_thin, strict=True) if thin]
    now = [
        own.bins.name
        for own, thin in zip(others, is_thin, strict=True)
        if not thin and 0 < _rows(own, windows) < budget.least_rows
    ]
    least = f"{budget.least_rows:,} rows"
    return [
        f"{_listed(names)} cannot be compared: {lacking}"
        for names, lacking in (
            (before, f"the model remembers less than {FEWEST_DAYS} times {least} of it; train it "
                     "with more rows, or a larger test"),
            (now, f"the window has less than {least} of it; take a longer one"),
        )
        if names
    ]  # fmt: skip


def _is_thin(
    reference: ModelReference,
    measure: MeasureReference,
    windows: Sequence[WindowSketch],
    budget: ErrorBudget,
) -> bool:
    """Whether too few days of the reference, pooled, have the measure."""
    before, _ = series_of(reference, measure, windows, budget).totals
    return int((before > 0).sum()) < FEWEST_DAYS


def _rows(measure: MeasureReference, windows: Sequence[WindowSketch]) -> int:
    return sum(int(np.sum(own.measures[measure.bins.name].by_cell)) for own in windows)


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
