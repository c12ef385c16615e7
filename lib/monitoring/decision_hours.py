"""Decisions at other hours of the day than the rows of a training, and what they compare with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.monitoring.bins import HOUR_BINS, Floats, Ints
from lib.monitoring.counts import MeasureCounts
from lib.monitoring.reference import MeasureReference, ModelReference
from lib.monitoring.reference_sketch import measure_of_days, unlisted, volumes_of_days
from lib.monitoring.window import DAY, WindowSketch

BASE_WINDOWS = 28
"""Windows that stand for the training where decisions are of other hours: four whole weeks."""

_ALIKE_HOURS = 0.5
"""Hours by which rows of alike profiles differ, on average: a nightly run that begins early."""

_NAMED_SHARE = 0.1
_NAMED_HOURS = 6


@dataclass(frozen=True)
class ComparedWindows:
    """What can be compared with what.

    Attributes:
        reference: of the training, or of the first windows.
        windows: the same; those that cannot be compared count rows, decisions and rules, but no
            measure.
        note: a sentence for people; "" where all windows are compared with the training.
    """

    reference: ModelReference
    windows: tuple[WindowSketch, ...]
    note: str = ""


def at_alike_hours(reference: ModelReference, windows: Sequence[WindowSketch]) -> ComparedWindows:
    """Compare windows with rows of the same hours of the day only.

    A training that chooses the moments of its rows (each machine or customer at midnight, say)
    tells nothing of other hours: what is measured since a shift, a service or a visit has other
    values at noon. Two profiles of hours are alike if rows of the first need to be moved by no more
    than half an hour on average to make the second (Wasserstein's distance on the circle of the
    day), and as much as so many rows differ by chance; rows that all have one hour do not differ.
    Where most windows are not like the training's rows, the first 28 of these windows stand for it,
    as the first windows do for decisions, which training does not know either; nothing is said of
    measures until then. Windows unlike both are not compared.

    Rows of events (payments, posts) have the hours of the events in training and service; there a
    difference is a change, and `event hour` names it.

    Args:
        reference: of the model that decided in these windows.
        windows: whole days in order of time, best all since the model decides.
    """
    if not reference.hours_are_chosen:
        return ComparedWindows(reference, tuple(windows))
    learnt = reference.measure(HOUR_BINS.name).by_day.sum(axis=0)[1:]
    profiles = np.array([window.measures[HOUR_BINS.name].by_cell[1:] for window in windows])
    profiles = profiles.reshape(len(windows), len(learnt))
    has_rows = profiles.sum(axis=1) > 0
    others = np.flatnonzero(has_rows & ~_are_alike(profiles, learnt))
    if not len(others):
        return ComparedWindows(reference, tuple(windows))
    if 2 * len(others) <= has_rows.sum():
        note = _few_text(profiles, others, learnt)
        return ComparedWindows(reference, _without_measures(windows, others), note)
    base = others[:BASE_WINDOWS]
    served = profiles[base].sum(axis=0)
    note = _most_text(profiles, others, served, learnt)
    unlike = np.flatnonzero(has_rows & ~_are_alike(profiles, served))
    silent = np.union1d(base, unlike) if len(base) == BASE_WINDOWS else np.arange(len(windows))
    compared = _reference_of(reference, [windows[at] for at in base.tolist()])
    return ComparedWindows(compared, _without_measures(windows, silent), note)


def _are_alike(profiles: Ints, usual: Ints) -> npt.NDArray[np.bool_]:
    """(n,) whether profiles (n, 24) of rows by hour are like another (24,)."""
    rows = np.maximum(profiles.sum(axis=-1), 1)
    sampling = _spread_hours(usual) / np.sqrt(rows)
    return np.asarray(hours_apart(profiles, usual) <= _ALIKE_HOURS + sampling)


def _spread_hours(usual: Ints) -> float:
    """Hours by which rows of a profile (24,) are away from their middle, on average.

    Over the root of n it is about the distance of n rows from their profile by chance: 0 where all
    rows have one hour, 6 where they come at any.
    """
    return float(hours_apart(np.eye(len(usual), dtype=np.int64), usual).min())


def hours_apart(profiles: Ints, usual: Ints) -> Floats:
    """(n,) hours by which rows are moved on average from profiles (n, 24) to another (24,).

    Wasserstein's distance on a circle: the mean absolute deviation of the difference of the
    distribution functions from its median (Rabin, Delon and Gousseau, 2011), in hours.
    """
    gaps = np.cumsum(_shares(profiles) - _shares(usual), axis=-1)
    return np.asarray(np.abs(gaps - np.median(gaps, axis=-1, keepdims=True)).sum(axis=-1))


def _shares(rows: Ints) -> Floats:
    return np.asarray(rows / np.maximum(rows.sum(axis=-1, keepdims=True), 1), dtype=np.float64)


def _reference_of(reference: ModelReference, windows: Sequence[WindowSketch]) -> ModelReference:
    """What a model would remember of windows of its service, by the same bins.

    How much rows of an entity are alike is the training's: windows of earlier runs are sums.
    """
    zeros = (0,) * len(windows)
    measures = tuple(_measure_of(measure, windows) for measure in reference.measures)
    return ModelReference(
        system=reference.system,
        entity=reference.entity,
        days=tuple(window.since // DAY for window in windows),
        **volumes_of_days(windows),
        volume_is_served=False,
        hours_are_chosen=True,
        measures=measures,
        positives=zeros,
        labelled=zeros,
    )


def _measure_of(measure: MeasureReference, windows: Sequence[WindowSketch]) -> MeasureReference:
    counts = [window.measures[measure.bins.name] for window in windows]
    return measure_of_days(measure.bins, counts, measure.design, unlisted(counts))


def _without_measures(
    windows: Sequence[WindowSketch], silent: npt.NDArray[np.integer]
) -> tuple[WindowSketch, ...]:
    """Windows of which some, by index, count no measure."""
    chosen = {*silent.tolist()}
    return tuple(
        _bare(window) if index in chosen else window for index, window in enumerate(windows)
    )


def _bare(window: WindowSketch) -> WindowSketch:
    bare = copy.copy(window)
    parts = (*window.bins.measures, HOUR_BINS)
    bare.measures = {part.name: MeasureCounts.empty(part) for part in parts}
    return bare


def _few_text(profiles: Ints, others: npt.NDArray[np.integer], learnt: Ints) -> str:
    rows = profiles[others].sum(axis=0)
    return (
        f"{rows.sum():,} decisions of {len(others)} days are not compared: they are of "
        f"{hours_text(rows)}, the rows that the model learnt from of {hours_text(learnt)}"
    )


def _most_text(profiles: Ints, others: npt.NDArray[np.integer], served: Ints, learnt: Ints) -> str:
    rows = profiles[others].sum()
    compared = len(others) - BASE_WINDOWS
    until = (
        f"the days after the first {BASE_WINDOWS} are compared with those"
        if compared > 0
        else f"they are compared with their first {BASE_WINDOWS} days once those are there"
    )
    return (
        f"{rows:,} decisions of {len(others)} days are not compared with the training: they are of "
        f"{hours_text(served)}, the rows that the model learnt from of {hours_text(learnt)}; "
        f"{until}. Decide at the hours that are learnt from, or train with rows of these hours"
    )


def hours_text(rows: Ints) -> str:
    """The hours of the day (24,) that hold a tenth of the rows or more, in words."""
    hours = np.flatnonzero(_shares(rows) >= _NAMED_SHARE)
    if not 0 < len(hours) <= _NAMED_HOURS:
        return "many hours of the day"
    return ", ".join(f"{hour:02}:00" for hour in hours.tolist()) + " UTC"
