"""Every number that is watched, with its evidence by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lib.monitoring.bins import Floats, Ints
from lib.monitoring.budget import ErrorBudget, log_e_values
from lib.monitoring.measure_series import MeasureSeries, days_of
from lib.monitoring.normal_scores import normal_scores
from lib.monitoring.null import MeanNull, Scores, ShareNull
from lib.monitoring.reference import MeasureReference, ModelReference
from lib.monitoring.tempering import FEWEST_DAYS
from lib.monitoring.window import WindowSketch, is_score
from lib.records.decision_table import FEATURE_PREFIX

CERTAIN = 230.0
"""Logarithm of the e-value of what cannot happen by chance."""


class Aspect(StrEnum):
    """What of a measure a figure watches."""

    MEAN = "mean"
    SPREAD = "spread"
    MISSING = "missing"
    ABSENT = "absent"
    CONSTANT = "constant"
    NEW = "new"
    SHARE = "share"
    CLOCK = "clock"
    ROWS = "rows"
    REPEATED = "repeated"


@dataclass(frozen=True)
class Figure:
    """One watched number in one direction.

    Attributes:
        measure: e.g. `amount`.
        aspect: what of it.
        name: category, value or hours of shift.
        sign: 1 or -1, the direction.
        log_e: (windows,) logarithm of the e-value; NaN where a window says nothing.
        observed, weight: (windows,) the figure, and the rows that it rests on.
        usual: (windows,) the figure that was expected.
    """

    measure: str
    aspect: Aspect
    name: str
    sign: int
    log_e: Floats
    observed: Floats
    weight: Floats
    usual: Floats

    def change(self, first: int, last: int) -> tuple[float, float]:
        """The figure expected and observed over windows `first` to `last`, weighed by rows."""
        part = slice(first, last + 1)
        weight = np.where(np.isfinite(self.log_e[part]), self.weight[part], 0.0)
        total = max(float(weight.sum()), 1e-300)
        usual, observed = (
            float((weight * np.where(weight > 0, numbers[part], 0.0)).sum()) / total
            for numbers in (self.usual, self.observed)
        )
        return usual, observed


def watch(
    reference: ModelReference, windows: Sequence[WindowSketch], budget: ErrorBudget
) -> list[Figure]:
    """All figures of all measures; a measure that cannot be computed stops no other."""
    figures: list[Figure] = []
    for measure in reference.measures:
        figures += _of_measure(measure, series_of(reference, measure, windows, budget))
    figures += _of_rows(reference, windows, budget)
    figures += _of_repeated(reference, windows)
    figures += _of_tallies(reference, windows, budget)
    return figures


def series_of(
    reference: ModelReference,
    measure: MeasureReference,
    windows: Sequence[WindowSketch],
    budget: ErrorBudget,
) -> MeasureSeries:
    """What a measure is compared with, and what is compared."""
    # a training scores the days of its test alone, which may be too few to show how days differ
    fewest = budget.warm_up if is_score(measure.bins.column) else 0
    return MeasureSeries.of(reference, measure, windows, budget.least_rows, fewest)


def _of_measure(measure: MeasureReference, series: MeasureSeries) -> Iterator[Figure]:
    if measure.bins.kind == "hour":
        yield from _of_clock(measure, series)
        return
    name, share = measure.bins.name, measure.design.shares
    yield _absent(name, series)
    yield from _shares((name, Aspect.MISSING, ""), series.missing, series.totals, series, share)
    if measure.bins.values or measure.bins.kind == "category":
        yield from _shares(
            *((name, Aspect.NEW, ""), series.unseen, series.totals, series, 1.0),
            signs=(1,),
            clusters=series.clusters,
        )
    if measure.bins.kind == "category":
        for cell, category in enumerate(measure.bins.categories, start=1):
            counts = series.counts(cell)
            yield from _shares((name, Aspect.SHARE, category), counts, series.filled, series, share)
        return
    if not measure.constant_days:
        yield _constant(measure, series)
    yield from _moments(measure, series)


def _moments(measure: MeasureReference, series: MeasureSeries) -> Iterator[Figure]:
    """Mean and spread; the spread of a mean that grows is that around each day's own mean."""
    name, shares = measure.bins.name, series.reference_cells.sum(axis=0)[1:]
    scores, design = normal_scores(shares), measure.design
    means, squares = (_Means.of(series, own) for own in (scores.location, scores.spread))
    nulls = means.nulls(series, design.mean)
    yield from _of_means((name, Aspect.MEAN, ""), means, series, nulls)
    spreads = squares.around(means) if len(nulls) > 1 else squares
    nulls = spreads.nulls(series, max(design.mean, design.shares))
    yield from _of_means((name, Aspect.SPREAD, ""), spreads, series, nulls)


def _of_clock(measure: MeasureReference, series: MeasureSeries) -> Iterator[Figure]:
    """For each shift s: mean of log p(h - s) / p(h), on the scale where all rows shifted make 1."""
    rows = series.reference_cells.sum(axis=0)[1:] + 0.5
    # hours that are rare in the reference must not decide by a few rows
    profile = (1.0 - _UNIFORM) * rows / rows.sum() + _UNIFORM / len(rows)
    for shift in SHIFTS:
        weights = np.log(np.roll(profile, shift) / profile)
        full = float((np.roll(profile, shift) - profile) @ weights)
        if full < _FLAT:
            continue
        means = _Means.of(series, weights / full)
        nulls = means.nulls(series, measure.design.shares)
        name = measure.bins.name
        yield from _of_means((name, Aspect.CLOCK, f"{shift:+d}"), means, series, nulls, (1,))


_UNIFORM = 0.1
_FLAT = 1e-3
"""Gain in nats below which a shift by so many hours could not be seen."""

SHIFTS = (-1, 1, -2, 2, -3, 3, -6, 6, 12)
"""Hours of which evidence is kept; `lib.monitoring.kinds` then names the best of all 23."""


@dataclass(frozen=True)
class _Means:
    """Means of weights of bins, on days of the reference (days,) and in windows (windows,).

    Attributes:
        before, after: NaN without rows.
        rows_before, rows_after: on which they rest.
        variance: of the weight of a row.
    """

    before: Floats
    after: Floats
    rows_before: Ints
    rows_after: Ints
    variance: float

    @classmethod
    def of(cls, series: MeasureSeries, weights: Floats) -> _Means:
        """Of weights (bins,)."""
        rows_before = series.reference_cells[:, 1:].sum(axis=1)
        rows_after = series.window_cells[:, 1:].sum(axis=1)
        shares = series.reference_cells.sum(axis=0)[1:]
        shares = shares / max(float(shares.sum()), 1.0)
        return cls(
            before=_mean_of(series.reference_cells[:, 1:], weights, rows_before),
            after=_mean_of(series.window_cells[:, 1:], weights, rows_after),
            rows_before=rows_before,
            rows_after=rows_after,
            variance=float(shares @ weights**2 - (shares @ weights) ** 2),
        )

    def around(self, means: _Means) -> _Means:
        """Where these are means of squares: those around each day's own mean."""
        before, after = self.before - means.before**2, self.after - means.after**2
        return replace(self, before=before, after=after)

    def nulls(self, series: MeasureSeries, design: float) -> tuple[MeanNull, ...]:
        """Measured on the days of the reference; none where all rows have one weight."""
        if self.variance <= 1e-12:
            return ()
        sampling = self.variance / np.maximum(self.rows_before, 1)
        return MeanNull.fit(self.before, sampling, series.reference_days, design)


_About: TypeAlias = tuple[str, Aspect, str]
"""A measure, an aspect of it, and the name within that."""


def _mean_of(cells: Ints, weights: Floats, rows: Ints) -> Floats:
    return np.where(rows > 0, cells @ weights / np.maximum(rows, 1), np.nan)


def _of_means(
    about: _About,
    means: _Means,
    series: MeasureSeries,
    nulls: Sequence[MeanNull],
    signs: tuple[int, ...] = (1, -1),
) -> Iterator[Figure]:
    sampling = means.variance / np.maximum(means.rows_after, 1)
    scores = [null.scores(means.after, sampling, series.window_days) for null in nulls]
    tempers = [null.temper for null in nulls]
    rows = means.rows_after
    yield from _both(about, scores, tempers, means.after, rows, signs)


def _shares(
    about: _About,
    counts: tuple[Ints, Ints],
    totals: tuple[Ints, Ints],
    series: MeasureSeries,
    design: float,
    signs: tuple[int, ...] = (1, -1),
    clusters: npt.ArrayLike = 1.0,
) -> Iterator[Figure]:
    nulls = ShareNull.fit(counts[0], totals[0], series.reference_days, design)
    scores = [null.scores(counts[1], totals[1], series.window_days, clusters) for null in nulls]
    observed = counts[1] / np.maximum(totals[1], 1)
    tempers = [null.temper for null in nulls]
    yield from _both(about, scores, tempers, observed, totals[1], signs)


def _both(
    about: _About,
    scores: Sequence[Scores],
    tempers: Sequence[float],
    observed: Floats,
    weight: npt.NDArray[np.generic],
    signs: tuple[int, ...],
) -> Iterator[Figure]:
    """Figures of both directions; none where there is no null.

    Where a level and a line are the null, anything between them is no change: the smaller e-value
    is one against both.
    """
    rows = np.asarray(weight, dtype=np.float64)
    for sign in signs if scores else ():
        each = np.stack(
            [
                log_e_values(sign * own.standardised, own.degrees, temper)
                for own, temper in zip(scores, tempers, strict=True)
            ]
        )
        least = each.argmin(axis=0)[None]
        usual = np.take_along_axis(np.stack([own.usual for own in scores]), least, axis=0)[0]
        log_e = np.take_along_axis(each, least, axis=0)[0]
        yield Figure(*about, sign, log_e, observed, rows, usual)


def _absent(name: str, series: MeasureSeries) -> Figure:
    """A column that a window lacks, or that cannot be read, on at least half of its rows."""
    rows = series.computed + series.absent
    share = series.absent / np.maximum(rows, 1)
    log_e = np.where(rows > 0, np.where(share >= 0.5, CERTAIN, -CERTAIN), np.nan)
    if not series.column.startswith(FEATURE_PREFIX):
        # what only some sources of decisions hold counts once it was there
        ever = np.maximum.accumulate(series.computed) > 0
        log_e = np.where(ever, log_e, np.nan)
    return Figure(name, Aspect.ABSENT, "", 1, log_e, share, rows.astype(float), np.zeros(len(rows)))


def _constant(measure: MeasureReference, series: MeasureSeries) -> Figure:
    """All rows have one value, by how rare all others are, and how much that differs by day."""
    filled = series.window_cells[:, 1:]
    rows = filled.sum(axis=1)
    likely = _unlikely_absence(series.reference_cells[:, 1:], filled.argmax(axis=1), rows)
    likely = likely / measure.design.shares
    log_e = np.where(series.is_constant, np.minimum(likely, CERTAIN), -CERTAIN)
    says = rows > 1
    ones = series.is_constant.astype(float)
    weight = rows.astype(float)
    log_e = np.where(says, log_e, np.nan)
    zeros = np.zeros(len(rows))
    return Figure(measure.bins.name, Aspect.CONSTANT, "", 1, log_e, ones, weight, zeros)


def _unlikely_absence(before: Ints, cell: Ints, rows: Ints) -> Floats:
    """(windows,) minus log of the probability that rows of each window lie in one cell alone.

    The share of all other cells differs from day to day with mean m and variance k m^2; as a gamma
    variable it makes counts of n rows negative binomial, which are 0 with the probability
    (1 + n m k)^(-1 / k) (Greenwood and Yule, JRSS 83, 1920). k is two standard errors above what
    the days of the reference show, so that few days claim little. A reference without any value
    tells nothing.

    Args:
        before: (days, cells) rows of the reference.
        cell: (windows,) in which all rows lie.
        rows: (windows,) how many.
    """
    before = before[before.sum(axis=1) > 0]
    if not len(before):
        return np.zeros(len(rows))
    totals = before.sum(axis=1, keepdims=True)
    others = 1.0 - before / np.maximum(totals, 1)
    mean = np.maximum(
        1.0 - before.sum(axis=0) / max(int(totals.sum()), 1), 0.5 / rows.sum().clip(1)
    )
    days = max(len(before), 2)
    sampling = mean * (1.0 - mean) * np.mean(1.0 / np.maximum(totals, 1))
    between = np.maximum(others.var(axis=0) * days / (days - 1) - sampling, 0.0)
    k = between * (1.0 + 2.0 * np.sqrt(2.0 / (days - 1))) / mean**2
    k = np.maximum(k, 1e-9)
    return np.asarray((np.log1p(rows * mean[cell] * k[cell]) / k[cell]), dtype=np.float64)


def _of_rows(
    reference: ModelReference, windows: Sequence[WindowSketch], budget: ErrorBudget
) -> Iterator[Figure]:
    """Rows a window: the reference says how much days vary, the first windows how many there are.

    A service may decide on a part of what its model was trained on, so only the variation and the
    weekdays are the reference's. Where training rows are not those of a service (snapshots of all
    customers, say), both are learnt from the first windows.
    """
    days = days_of(windows)
    sizes = np.log(np.array([window.rows for window in windows], dtype=np.float64) + 0.5)
    learnt = 7 if reference.volume_is_served else budget.warm_up
    if len(windows) <= learnt:
        return
    first, volumes = days[:learnt], sizes[:learnt]
    if reference.volume_is_served:
        first = np.arange(reference.days[0], reference.days[-1] + 1)
        volumes = np.full(len(first), np.log(0.5))
        volumes[np.array(reference.days) - first[0]] = np.log(np.array(reference.rows) + 0.5)
    nulls = MeanNull.fit(volumes, np.exp(-volumes), first)
    if not nulls:
        return
    # earlier windows say how many rows there are by now
    null, sampling = nulls[0], np.exp(-sizes)
    usual = null.scores(sizes, sampling, days).usual
    level, rests_on = np.zeros(len(sizes)), np.full(len(sizes), np.inf)
    if reference.volume_is_served:
        level, rests_on = _level(sizes - usual, learnt)
    scores = null.scores(sizes - level, sampling, days)
    # the median of n windows varies as pi / 2n of one
    standardised = scores.standardised / np.sqrt(1.0 + np.pi / 2.0 / rests_on)
    standardised = np.where(np.arange(len(sizes)) < learnt, np.nan, standardised)
    scores = Scores(standardised, scores.degrees, scores.usual + level)
    weight = np.ones(len(sizes))
    yield from _both(("rows", Aspect.ROWS, ""), [scores], [null.temper], sizes, weight, (1, -1))


def _level(gaps: Floats, learnt: int) -> tuple[Floats, Floats]:
    """By how much windows before each are above the reference, and how many windows say so.

    The latest three are left out, so that a change does not hide itself.
    """
    level, rests_on = np.zeros(len(gaps)), np.ones(len(gaps))
    for window in range(learnt, len(gaps)):
        last = max(window - _LATEST, learnt)
        known = gaps[max(0, last - _LEVEL_WINDOWS) : last]
        known = known[np.isfinite(known)]
        if len(known):
            level[window], rests_on[window] = float(np.median(known)), float(len(known))
    return level, rests_on


_LEVEL_WINDOWS = 28
_LATEST = 3


def _of_repeated(reference: ModelReference, windows: Sequence[WindowSketch]) -> Iterator[Figure]:
    nulls = ShareNull.fit(
        np.array(reference.repeated), np.array(reference.sampled), np.array(reference.days)
    )
    repeated, sampled = (
        np.array([getattr(window, name) for window in windows], dtype=np.int64)
        for name in ("repeated", "sampled")
    )
    scores = [null.scores(repeated, sampled, days_of(windows)) for null in nulls]
    tempers = [null.temper for null in nulls]
    observed = repeated / np.maximum(sampled, 1)
    yield from _both(("duplicates", Aspect.REPEATED, ""), scores, tempers, observed, sampled, (1,))


def _of_tallies(
    reference: ModelReference, windows: Sequence[WindowSketch], budget: ErrorBudget
) -> Iterator[Figure]:
    """Shares of decisions, rules, labels; where the reference has none, against first windows."""
    days = days_of(windows)
    for tally in sorted({name for window in windows for name in window.tallies}):
        kept = reference.tallies.get(tally)
        parts = [window.tallies.get(tally) for window in windows]
        totals = np.array([part.total if part else 0 for part in parts], dtype=np.int64)
        first = np.flatnonzero(totals > 0)[: budget.warm_up]
        if kept is None and len(first) < max(budget.warm_up, FEWEST_DAYS):
            continue
        for name in sorted({name for part in parts if part for name in part.counts}):
            counts = np.array([part.counts[name] if part else 0 for part in parts], dtype=np.int64)
            if kept is None:
                nulls = ShareNull.fit(counts[first], totals[first], days[first])
            else:
                before = kept.counts.get(name, (0,) * len(kept.totals))
                known = np.array(before), np.array(kept.totals), np.array(reference.days)
                nulls = ShareNull.fit(*known)
            is_new = np.arange(len(windows)) > (first[-1] if kept is None else -1)
            counted = np.where(is_new, totals, 0)
            scores = [null.scores(counts, counted, days) for null in nulls]
            tempers = [null.temper for null in nulls]
            observed = counts / np.maximum(totals, 1)
            aspect = Aspect.SHARE
            yield from _both((tally, aspect, name), scores, tempers, observed, totals, (1, -1))
