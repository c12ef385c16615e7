"""How good every method is on rows after the split, of machines that no model of the fold saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from lib.evaluation import Interval, bootstrap_interval
from lib.maintenance.history import Floats
from lib.maintenance.model.alarms import (
    AlarmWindow,
    ReplayResult,
    WarningStats,
    cheapest_threshold,
    false_alarms,
    replay,
    threshold_for,
    warned,
)
from lib.maintenance.model.baselines import SCORES
from lib.maintenance.model.costs import Costs
from lib.maintenance.model.fitting import CURVES, FIXED_WEIGHT, OutOfFoldStats, scored_times
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import ModelSettings, time_grid
from lib.survival.blending import blend
from lib.survival.curves import Curves
from lib.survival.measures import (
    DCalibration,
    HorizonGroup,
    calibration_error,
    concordance,
    d_calibration,
    horizon_calibration,
    integrated_brier_score,
)
from lib.survival.outcomes import Outcomes, SurvivalError

OURS = "blend"
CONCORDANCE, BRIER = "C-td", "IBS"
WARNED, FALSE_ALARMS, WARNED_EQUALLY = "warned", "false alarms", "warned, equal rate"
FIXED = "blend .6/.4"
METHODS = (*CURVES, FIXED, OURS)
POLICIES = ("run to failure", *SCORES, OURS)
_MOST_PAIRED = 8_000
Rows = np.ndarray
Bootstrap = Callable[[Callable[[Rows], float], Rows], Interval]


@dataclass(frozen=True)
class AnsweredRows:
    """Rows, and what models answered that did not see their machines.

    Attributes:
        rows: n of them.
        answers: arrays of n rows by name, see `curves_of` and `scores_of`.
    """

    rows: TrainingRows
    answers: Mapping[str, Floats]


@dataclass(frozen=True)
class CostResult:
    """A policy replayed: figures per machine and year, with an interval of the cost."""

    services: float
    failures: float
    avoided: float
    cost: Interval


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on the test rows.

    Attributes:
        measures: by method and name of the figure.
        ours: intervals over machines of our figures.
        gain: how much higher the integrated Brier score of another method is than ours.
        money: by policy.
        calibration: groups by horizon in hours, of ours.
        d_calibration: of ours.
        lead_hours: of our alarms that came in time.
        curves: ours, of the test rows.
        seen: outcomes of the test rows, until the horizon.
        threshold: of our alarm, set on training rows.
        warned_of: failures that could have been announced.
    """

    measures: dict[str, dict[str, float]]
    ours: dict[str, Interval]
    gain: dict[str, Interval]
    money: dict[str, CostResult]
    calibration: dict[float, list[HorizonGroup]]
    d_calibration: DCalibration
    lead_hours: Floats
    curves: Curves
    outcomes: Outcomes
    threshold: float
    warned_of: int


def curves_of(answers: Mapping[str, Floats], weight: float, grid: Floats) -> dict[str, Curves]:
    """Curves by name of `METHODS`, of what folds answered."""
    curves = {name: Curves(grid, answers[name]) for name in CURVES}
    for name, share in ((FIXED, FIXED_WEIGHT), (OURS, weight)):
        curves[name] = blend(curves["deep"], curves["Cox"], share, grid)
    return curves


def scores_of(
    answers: Mapping[str, Floats], curves: Mapping[str, Curves], hours: float
) -> dict[str, Floats]:
    """Scores (n,) by which alarms are raised, by method."""
    scores = {name: 1.0 - each.at(hours)[:, 0] for name, each in curves.items()}
    return scores | {name: answers[f"score: {name}"] for name in SCORES}


@dataclass(frozen=True)
class _ScoredWindow:
    """Rows as a replay of alarms sees them, and their scores (n,) by method."""

    window: AlarmWindow
    scores: Mapping[str, Floats]

    @classmethod
    def of(cls, rows: AnsweredRows, curves: Mapping[str, Curves], hours: float) -> _ScoredWindow:
        return cls(AlarmWindow.of(rows.rows), scores_of(rows.answers, curves, hours))


def evaluate(
    train: AnsweredRows,
    test: AnsweredRows,
    learnt: OutOfFoldStats,
    horizon: float,
    settings: ModelSettings,
    costs: Costs,
    seed: int,
    repeats: int,
) -> Evaluation:
    """All figures.

    Args:
        train: rows before the split.
        test: rows after it.
        learnt: blend and intervals, from training rows.
        horizon: of the curves, hours.
        settings: of the model.
        costs: assumed where policies are compared in money.
        seed: of the bootstrap.
        repeats: draws of machines.
    """
    grid, hours = time_grid(horizon), settings.alarm_hours
    _refuse_few_failures(test.rows)
    curves = curves_of(test.answers, learnt.weight, grid)
    after = _ScoredWindow.of(test, curves, hours)
    before = _ScoredWindow.of(train, curves_of(train.answers, learnt.weight, grid), hours)
    outcomes = test.rows.outcomes.capped(horizon)
    thresholds = {
        name: threshold_for(before.window, before.scores[name], hours, settings.false_alarms)
        for name in METHODS
    }
    measures = {
        name: _curve_figures(outcomes, curves[name], scored_times(outcomes.time, grid))
        | _alarm_figures(after.window, after.scores[name], thresholds[name], settings)
        for name in METHODS
    }
    announced = warned(after.window, after.scores[OURS] >= thresholds[OURS], hours)
    interval = partial(bootstrap_interval, seed=seed, repeats=repeats)
    return Evaluation(
        measures,
        _intervals(test.rows, outcomes, curves[OURS], announced, interval),
        {
            name: interval(_gain(outcomes, curves[name], curves[OURS]), test.rows.machines)
            for name in ("Kaplan-Meier", "Cox", "deep", FIXED)
        },
        _money(before, after, costs, interval),
        {each: horizon_calibration(outcomes, curves[OURS], each)
         for each in (24.0, 168.0, 720.0) if each < min(horizon, float(outcomes.time.max()))},
        d_calibration(outcomes, curves[OURS]),
        announced.lead_hours[announced.early],
        curves[OURS],
        outcomes,
        thresholds[OURS],
        len(announced.early),
    )  # fmt: skip


def _refuse_few_failures(test: TrainingRows) -> None:
    failed = test.outcomes.failed
    machines = len(np.unique(test.machines[failed]))
    if machines < 2:
        raise SurvivalError(
            f"{machines} machines fail after the split, among {len(np.unique(test.machines))}; two "
            "are the least to measure anything: give more history, or a smaller --test-share"
        )


def _curve_figures(outcomes: Outcomes, curves: Curves, times: Floats) -> dict[str, float]:
    some = _few(len(outcomes))
    return {
        CONCORDANCE: concordance(outcomes.take(some), curves.take(some)),
        BRIER: integrated_brier_score(outcomes, curves, times),
        **{
            f"ECE {name}": calibration_error(horizon_calibration(outcomes, curves, hours))
            for name, hours in (("24 h", 24.0), ("7 d", 168.0))
            if hours < outcomes.time.max()
        },
    }


def _few(count: int) -> Rows:
    """Rows for measures that compare all pairs."""
    if count <= _MOST_PAIRED:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, _MOST_PAIRED, replace=False))


def _alarm_figures(
    watch: AlarmWindow, scores: Floats, threshold: float, settings: ModelSettings
) -> dict[str, float]:
    """At the threshold of the training rows, and at the one that is as often false on these."""
    hours = settings.alarm_hours
    equal = threshold_for(watch, scores, hours, settings.false_alarms)
    return {
        WARNED: _share(warned(watch, scores >= threshold, hours).early),
        FALSE_ALARMS: false_alarms(watch, scores >= threshold, hours),
        WARNED_EQUALLY: _share(warned(watch, scores >= equal, hours).early),
    }


def _share(flags: Rows) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _intervals(
    test: TrainingRows,
    outcomes: Outcomes,
    curves: Curves,
    announced: WarningStats,
    interval: Bootstrap,
) -> dict[str, Interval]:
    """Of our figures, over machines."""
    some = _few(len(outcomes))
    intervals = {
        CONCORDANCE: interval(
            lambda rows: concordance(outcomes.take(some[rows]), curves.take(some[rows])),
            test.machines[some],
        ),
        BRIER: interval(lambda rows: _brier(outcomes, curves, rows), test.machines),
    }
    if len(announced.early):
        intervals[WARNED] = interval(
            lambda rows: float(announced.early[rows].mean()), announced.machines
        )
    return intervals


def _brier(outcomes: Outcomes, curves: Curves, rows: Rows) -> float:
    part = outcomes.take(rows)
    return integrated_brier_score(part, curves.take(rows), scored_times(part.time, curves.times))


def _gain(outcomes: Outcomes, other: Curves, ours: Curves) -> Callable[[Rows], float]:
    common = Curves(ours.times, other.at(ours.times))
    return lambda rows: _brier(outcomes, common, rows) - _brier(outcomes, ours, rows)


def _money(
    before: _ScoredWindow, after: _ScoredWindow, costs: Costs, interval: Bootstrap
) -> dict[str, CostResult]:
    """Every policy at the threshold that would have been cheapest on the training rows."""
    money = {}
    for name in POLICIES:
        alarms = np.zeros(len(after.window.at_us), dtype=bool)
        if name in after.scores:
            threshold = cheapest_threshold(before.window, before.scores[name], costs)
            alarms = after.scores[name] >= threshold
        money[name] = _per_machine_year(replay(after.window, alarms, costs), interval)
    return money


def _per_machine_year(past: ReplayResult, interval: Bootstrap) -> CostResult:
    years = float(past.months.sum()) / 12.0
    cost = interval(
        lambda rows: float(past.cost[rows].sum() / (past.months[rows].sum() / 12.0)), past.machines
    )
    services, failures, avoided = (
        float(each.sum()) / years for each in (past.services, past.failures, past.avoided)
    )
    return CostResult(services, failures, avoided, cost)
