"""Failures beside what predictions foresaw, in the figures that monitoring shows of machines."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lib.business.outcomes import Flags, Floats, Ints
from lib.business.spans import EntityRows, standing_events
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.model.prediction import HORIZONS
from lib.maintenance.outcomes import FAILURE, SAME_FAILURE_US, MachineOutcomes
from lib.monitoring.failure_performance import (
    CurveQuality,
    FailureCount,
    FalseAlarms,
    curve_quality,
    failure_count,
    false_alarms,
)
from lib.monitoring.incident import moment_text
from lib.monitoring.scored_rows import MonitoringError
from lib.monitoring.system_figures import (
    DecidedWindow,
    FigureTable,
    interval_text,
    realised_figure,
)
from lib.records.json_codec import read_json
from lib.report import Cell
from lib.survival.curves import Curves
from lib.survival.outcomes import CENSORED, Outcomes
from lib.survival.outcomes import FAILURE as FAILED

_SERVICED = 2
_LEAST = 1e-12
_BRIER_TIMES = 9


@dataclass(frozen=True)
class FailureFigures:
    """See `lib.monitoring.system_figures.SystemFigures`.

    A prediction is a landmark: the machine is watched from then until it fails, is serviced, or
    labels end. Landmarks of one machine are taken a horizon apart, so that a failure counts once.

    Attributes:
        outcomes: horizon of alarms, and what a failure is.
        services: gives services and repairs, in the columns of the contract `MAINTENANCE`.
        seed: of intervals.
    """

    outcomes: MachineOutcomes
    services: Callable[[], pa.Table]
    seed: int = 7

    def __call__(self, window: DecidedWindow) -> list[FigureTable]:
        """Failures by horizon, then false alarms and curves."""
        alarms = self.outcomes.acts(window.decisions["decision"])
        landmarks = _Landmarks.of(window, self.services(), alarms)
        return [self._by_horizon(landmarks), self._alarms_and_curves(landmarks)]

    def _by_horizon(self, landmarks: "_Landmarks") -> FigureTable:
        rows: list[tuple[Cell, ...]] = []
        figures, notes = [], []
        for name, hours in HORIZONS.items():
            chosen = landmarks.apart(hours)
            if not len(chosen):
                known_at = moment_text(landmarks.window.since + round(hours * HOUR_US))
                notes.append(f"failures within {name}: not known before {known_at}")
                continue
            counted = landmarks.count(chosen, hours)
            if counted is None:
                notes.append(f"failures within {name}: no prediction has a curve so long")
                continue
            rows.append(_count_row(name, counted))
            machines = len(np.unique(landmarks.rows.codes[chosen]))
            figures.append(
                realised_figure(
                    f"failures_over_expected_{name}", counted.ratio, counted.rows, machines,
                    counted.observed, counted.ripeness,
                )
            )  # fmt: skip
        return FigureTable(
            "Failures beside those that were foreseen, by horizon",
            ("within", "predictions", "failed", "foreseen", "failed over foreseen", "agrees"),
            tuple(rows),
            "predictions of a machine are a horizon apart; one that was serviced counts until "
            "then; in brackets exact 95% limits; it agrees where they hold 1",
            tuple(figures),
            tuple(notes),
        )

    def _alarms_and_curves(self, landmarks: "_Landmarks") -> FigureTable:
        hours = self.outcomes.horizon_hours
        rows: list[tuple[Cell, ...]] = []
        figures, notes = [], []
        try:
            alarms = landmarks.alarms(hours)
            rows.append(_alarm_row(alarms))
            figures.append(
                realised_figure(
                    "false_alarms_per_machine_month", alarms.rate, alarms.alarms,
                    landmarks.machines, alarms.alarms - alarms.false,
                )
            )  # fmt: skip
        except MonitoringError as error:
            notes.append(f"false alarms: {error}")
        try:
            quality = landmarks.quality(hours, self.seed)
            rows += _curve_rows(quality)
            figures += [
                realised_figure(name, interval, quality.rows, quality.machines, float("nan"))
                for name, interval in (("c_td", quality.c_td), ("ibs", quality.ibs))
            ]
        except MonitoringError as error:
            notes.append(f"C-td and IBS: {error}")
        return FigureTable(
            "False alarms, order and error of survival curves",
            ("figure", "value", "rests on"),
            tuple(rows),
            f"alarms and curves of which {hours:g} hours have passed; an alarm whose failure a "
            "service prevented counts as false; C-td: 1 is perfect order, 0.5 none; IBS: 0 is "
            "perfect, 0.25 a guess",
            tuple(figures),
            tuple(notes),
        )


def _count_row(name: str, counted: FailureCount) -> tuple[Cell, ...]:
    return (
        name, counted.rows, counted.observed, f"{counted.expected:.1f}",
        interval_text(counted.ratio), "yes" if counted.calibrated else "no",
    )  # fmt: skip


def _alarm_row(alarms: FalseAlarms) -> tuple[Cell, ...]:
    return (
        "false alarms per machine and month",
        interval_text(alarms.rate),
        f"{alarms.false:,} of {alarms.alarms:,} alarms, {alarms.machine_months:.1f} machine-months",
    )


def _curve_rows(quality: CurveQuality) -> list[tuple[Cell, ...]]:
    rests_on = f"{quality.rows:,} predictions of {quality.machines:,} machines"
    return [
        ("C-td", interval_text(quality.c_td), rests_on),
        ("integrated Brier score", interval_text(quality.ibs), rests_on),
    ]


@dataclass(frozen=True)
class _Landmarks:
    """Predictions (n,) with what became of their machines.

    Attributes:
        window: of the predictions.
        rows: machines and times, with failures as events.
        ended, event: (n,) microseconds and `lib.survival.outcomes` code of each machine's end.
        is_alarm: (n,) that call for a service.
    """

    window: DecidedWindow
    rows: EntityRows
    ended: Ints
    event: Ints
    is_alarm: Flags

    @classmethod
    def of(cls, window: DecidedWindow, services: pa.Table, alarms: Flags) -> "_Landmarks":
        failures = standing_events(window.labels, (FAILURE,), window.as_of)
        rows = EntityRows.of(window.decisions, failures).merged(SAME_FAILURE_US)
        served = services.select(["machine_id", "event_time"])
        serviced = EntityRows.of(
            window.decisions, served.rename_columns(["subject_id", "observed_at"])
        ).first_after()
        failed = rows.first_after()
        ended = np.minimum(np.minimum(failed, serviced), window.as_of)
        event = np.where(ended == serviced, _SERVICED, CENSORED)
        event = np.where(ended == failed, FAILED, event)
        return cls(window, rows, ended, event, alarms)

    @property
    def machines(self) -> int:
        """How many there are."""
        return len(np.unique(self.rows.codes))

    def passed(self, hours: float) -> Flags:
        """(n,) of which so many hours have passed."""
        return np.asarray(self.rows.times + round(hours * HOUR_US) <= self.window.as_of)

    def apart(self, hours: float) -> Ints:
        """Row numbers of which the hours have passed, those of a machine as far apart."""
        chosen = self.rows.thinned(self.passed(hours), round(hours * HOUR_US))
        return np.flatnonzero(chosen & (self.ended > self.rows.times))

    def outcomes(self, chosen: Ints) -> Outcomes:
        """Of some, hours since each."""
        hours = (self.ended[chosen] - self.rows.times[chosen]) / HOUR_US
        return Outcomes(hours, self.event[chosen])

    def count(self, chosen: Ints, hours: float) -> FailureCount | None:
        """Failures of those whose curve reaches as far; None without any."""
        curves, has = _curves(self.window.decisions["answer"].take(pa.array(chosen)), hours)
        if curves is None:
            return None
        counted = failure_count(self.outcomes(chosen[has]), curves, hours)
        return replace(counted, ripeness=float(self.passed(hours).mean()))

    def alarms(self, hours: float) -> FalseAlarms:
        """False alarms; see `lib.monitoring.failure_performance.false_alarms`."""
        chosen = self.is_alarm & self.passed(hours)
        ripe_until = min(self.window.until, self.window.as_of - round(hours * HOUR_US))
        watched = max(ripe_until - self.window.since, 0) / HOUR_US * self.machines
        return false_alarms(
            self.rows.codes[chosen],
            self.rows.times[chosen],
            self.rows.event_codes,
            self.rows.event_times,
            horizon_hours=hours,
            watched_hours=watched,
        )

    def quality(self, hours: float, seed: int) -> CurveQuality:
        """Order and error of curves; see `curve_quality`.

        Raises:
            MonitoringError: no curve is old enough or long enough, or none failed.
        """
        chosen = self.apart(hours)
        if not len(chosen):
            raise MonitoringError(f"no prediction is {hours:g} hours old yet")
        curves, has = _curves(self.window.decisions["answer"].take(pa.array(chosen)), hours)
        if curves is None:
            raise MonitoringError(f"no prediction has a curve of {hours:g} hours")
        kept = chosen[has]
        times = np.linspace(0.0, hours, _BRIER_TIMES).tolist()
        every = np.ones(len(kept), dtype=np.bool_)
        outcomes, machines = self.outcomes(kept), self.rows.codes[kept]
        return curve_quality(outcomes, curves, machines, every, times, seed=seed)


def _curves(answers: pa.ChunkedArray, hours: float) -> tuple[Curves | None, Flags]:
    """Curves (k,) of the answers (n,) that reach so far, on one grid, and which (n,) these are."""
    points = [_points(read_json(text or "{}")) for text in answers.to_pylist()]
    has = np.array([len(at) > 1 and at[-1] >= hours for at, _ in points], dtype=np.bool_)
    kept = [own for own, reaches in zip(points, has.tolist(), strict=True) if reaches]
    if not kept:
        return None, has
    grid = kept[-1][0]
    grid = np.append(grid[grid < hours], hours)
    logs = [np.interp(grid, at, np.log(np.maximum(values, _LEAST))) for at, values in kept]
    return Curves(grid, np.exp(np.stack(logs))), has


def _points(answer: dict[str, object]) -> tuple[Floats, Floats]:
    """Hours and S of an answer: its curve, else what it says of the horizons."""
    curve, within = answer.get("survival"), answer.get("failure_within")
    if isinstance(curve, list) and curve:
        pairs = [(point["hours"], point["survival"]) for point in curve]
    elif isinstance(within, dict):
        known = {name: risk for name, risk in within.items() if risk is not None}
        pairs = [(0.0, 1.0), *((HORIZONS[name], 1.0 - risk) for name, risk in known.items())]
    else:
        pairs = [(0.0, 1.0)]
    at, values = np.array(sorted(pairs), dtype=np.float64).T
    return at, values
