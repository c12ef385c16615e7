"""How a model performed week after week: from labels where they are ripe, estimated where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lib.evaluation import Interval
from lib.monitoring.contradiction import check_by_outcomes
from lib.monitoring.estimation import Estimate, EstimationSettings, PerformanceEstimator
from lib.monitoring.measures import Measure
from lib.monitoring.performance import Draws, Figure, realised
from lib.monitoring.ripening import LabelDelays, RipeningCurve, correct_count, fit_ripening
from lib.monitoring.scored_rows import DAY, Codes, MonitoringError, ScoredRows

RIPE = 0.9
"""Share of a period's labels from which on its figures stand for all of it."""
_SETTINGS = EstimationSettings(repeats=100, most_rows=20_000)
_SEED = 7


@dataclass(frozen=True)
class Period:
    """Some days of decisions. Times are microseconds since 1970 UTC.

    Attributes:
        since, until: bounds of event times, the second exclusive.
        rows: scored decisions.
        ripe: share of them whose label is known and final.
        positives: share of positives among the ripe, NaN without any.
        expected_rate: positives that there will be by row, from those that are in and the delays of
            labels; None where too few labels are in.
        realised: figures on ripe rows.
        estimated: figures from probabilities; empty where none can be made.
        trusted: False where outcomes contradicted the estimates by then; None without estimates.
    """

    since: int
    until: int
    rows: int
    ripe: float
    positives: float
    expected_rate: Interval | None
    realised: tuple[Figure, ...]
    estimated: tuple[Figure, ...] = ()
    trusted: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rate = None if self.expected_rate is None else self.expected_rate.to_json()
        figures = {
            name: [figure.to_json() for figure in getattr(self, name)]
            for name in ("realised", "estimated")
        }
        return {**vars(self), "expected_rate": rate, **figures}


@dataclass(frozen=True)
class PerformanceHistory:
    """Periods, oldest first, and what could not be measured.

    Attributes:
        periods: of the window.
        curve: share of labels that are in by age; None where too few came.
        notes: why a figure is missing, each a sentence.
    """

    periods: tuple[Period, ...]
    curve: RipeningCurve | None = None
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        curve = self.curve
        delays = {} if curve is None else {f"{q:.0%}": curve.age(q) for q in (0.5, 0.9)}
        return {
            "periods": [period.to_json() for period in self.periods],
            "label_delay_days": delays,
            "notes": list(self.notes),
        }


def label_delays(outcomes: pa.Table, as_of: int) -> LabelDelays:
    """Delays of positive labels that somebody reported.

    Args:
        outcomes: `lib.business.outcomes.OUTCOME_SCHEMA`.
        as_of: microseconds since 1970 UTC.
    """
    is_reported = np.asarray(outcomes["observed_at"].is_valid())
    label = np.asarray(outcomes["label"].fill_null(0.0))
    rows = outcomes.filter(pa.array(is_reported & (label > 0.5)))
    entities = rows["entity_id"].combine_chunks().dictionary_encode()
    times = [np.asarray(rows[name].cast(pa.int64())) for name in ("event_time", "observed_at")]
    return LabelDelays(
        entity=np.asarray(entities.indices, dtype=np.int64),
        event_time=times[0],
        observed_at=times[1],
        as_of=as_of,
    )


def performance_history(
    rows: ScoredRows,
    delays: LabelDelays,
    measures: Sequence[Measure],
    bounds: Sequence[tuple[int, int]],
) -> PerformanceHistory:
    """Figures by period; what cannot be computed is noted and stops nothing else.

    Estimates of a period are learnt on the ripe periods of the first half of the window; those of
    periods that ripened since show whether they are to be trusted.

    Args:
        rows: scored decisions; labels that are not ripe are NaN.
        delays: of positive labels.
        measures: what to compute.
        bounds: of the periods, oldest first; microseconds since 1970 UTC.
    """
    notes: list[str] = []
    curve = _curve(delays, notes)
    periods = [_period(rows, delays, measures, since, until) for since, until in bounds]
    periods = [period for period in periods if period.rows]
    try:
        periods = _estimated(rows, measures, periods)
    except MonitoringError as error:
        notes.append(f"performance before labels is not estimated: {error}")
    notes += _missing_figures(periods)
    return PerformanceHistory(tuple(periods), curve, tuple(notes))


def week_bounds(since: int, until: int, days: int = 7) -> list[tuple[int, int]]:
    """Periods of some days that end with the window; the first takes what is left over.

    >>> week_bounds(0, 17 * DAY) == [(0, 10 * DAY), (10 * DAY, 17 * DAY)]
    True
    """
    count = max(1, (until - since) // (days * DAY))
    ends = [until - number * days * DAY for number in range(count)][::-1]
    return list(zip([since, *ends[:-1]], ends, strict=True))


def _curve(delays: LabelDelays, notes: list[str]) -> RipeningCurve | None:
    try:
        return fit_ripening(delays)
    except MonitoringError as error:
        notes.append(f"how fast labels come in is not known: {error}")
        return None


def _inside(times: Codes, since: int, until: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray((times >= since) & (times < until))


def _period(
    rows: ScoredRows, delays: LabelDelays, measures: Sequence[Measure], since: int, until: int
) -> Period:
    part = rows.take(_inside(rows.event_time, since, until))
    ripe = float(part.known.mean()) if len(part) else 0.0
    labels = part.label[part.known]
    return Period(
        since=since,
        until=until,
        rows=len(part),
        ripe=ripe,
        positives=float(labels.mean()) if len(labels) else float("nan"),
        expected_rate=_expected_rate(delays, part, since, until),
        realised=tuple(realised(part, measures, Draws(_SEED))) if len(labels) else (),
    )


def _expected_rate(
    delays: LabelDelays, part: ScoredRows, since: int, until: int
) -> Interval | None:
    window = _inside(delays.event_time, since, until)
    if not len(part) or not window.any():
        return None
    try:
        return correct_count(delays, window, part.event_time, seed=_SEED, repeats=100).rate
    except MonitoringError:
        return None


def _estimated(
    rows: ScoredRows, measures: Sequence[Measure], periods: Sequence[Period]
) -> list[Period]:
    """The same periods with estimates of those after the reference.

    Raises:
        MonitoringError: there is no reference, or it has one class.
    """
    ripe = [period for period in periods if period.ripe >= RIPE]
    if not ripe:
        raise MonitoringError("label: expected a period whose labels are ripe, got none")
    reference = ripe[: max(1, len(ripe) // 2)]
    inside = np.logical_or.reduce(
        [_inside(rows.event_time, period.since, period.until) for period in reference]
    )
    estimator = PerformanceEstimator(rows.take(inside & rows.known), measures, _SETTINGS)
    later = [period for period in periods if period.since >= reference[-1].until]
    estimates = [
        estimator.estimate(rows.take(_inside(rows.event_time, period.since, period.until)))
        for period in later
    ]
    trusted = _trusted(later, estimates)
    return [period for period in periods if period not in later] + [
        Period(
            **{
                **vars(period),
                "estimated": tuple(estimate.figure() for estimate in own),
                "trusted": is_trusted,
            }
        )
        for period, own, is_trusted in zip(later, estimates, trusted, strict=True)
    ]


def _trusted(later: Sequence[Period], estimates: Sequence[list[Estimate]]) -> list[bool]:
    """Whether outcomes that are in by each period leave its estimates standing, by all measures."""
    trusted = np.ones(len(later), dtype=np.bool_)
    for number in range(len(estimates[0]) if estimates else 0):
        outcomes = [
            period.realised[number].value if period.ripe >= RIPE else float("nan")
            for period in later
        ]
        checks = check_by_outcomes(
            [own[number].value for own in estimates],
            [own[number].standard_error for own in estimates],
            outcomes,
        )
        trusted &= np.array([check.trusted for check in checks])
    return [bool(value) for value in trusted]


def _missing_figures(periods: Sequence[Period]) -> list[str]:
    """One sentence for each reason for which a figure of any ripe period is missing."""
    if not any(period.realised for period in periods):
        return ["no label of the window is ripe yet, so nothing is measured on labels"]
    reasons = {
        f"{figure.name}: {figure.note}"
        for period in periods
        for figure in period.realised
        if figure.note
    }
    return sorted(reasons)
