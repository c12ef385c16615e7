"""Rows of the PdM machines: to learn from, to be judged on, and before each failure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import load_mapping, read_checked
from lib.maintenance.contracts import CONTRACTS
from lib.maintenance.feature_set import HOUR_US, AssetFeatureSet, Sensor
from lib.maintenance.history import History
from lib.maintenance.model.rows import TrainingRows, concat, landmarks
from lib.maintenance.offline import histories
from tests.benchmarks.result import ROOT

STEP_HOURS = 6
NEAR_HOURS = 36
COHORT = 20
FAR_WEIGHT = 5
FEATURES = AssetFeatureSet(
    sensors=(Sensor("volt"), Sensor("rotate", "rpm"), Sensor("pressure"), Sensor("vibration")),
    components=("comp1", "comp2", "comp3", "comp4"),
    error_codes=("error1", "error2", "error3", "error4", "error5"),
    windows_hours=(12, 6),
    error_windows_hours=(24, 168),
)
_FILES = {
    "telemetry": ("telemetry_m001-020_90d", "telemetry_windows_all_machines"),
    "errors": ("errors",),
    "maintenance": ("maint",),
    "failures": ("failures",),
}


@dataclass(frozen=True)
class Azure:
    """Rows in three roles, with the same columns.

    Attributes:
        train: cohort and near-failure rows before the split, outcomes watched until the split.
        weight: (n,) whole number of each training row.
        test: cohort rows after the split.
        before: rows 24 to 36 h before a failure after the split, of all machines.
        failure: (b,) which failure each row of `before` precedes.
        names: of the columns.
        rows_read: telemetry rows.
        summary: what was read, for people.
    """

    train: TrainingRows
    weight: np.ndarray
    test: TrainingRows
    before: TrainingRows
    failure: np.ndarray
    names: tuple[str, ...]
    rows_read: int
    summary: str


def read(folder: Path, split: str) -> Azure:
    """All rows by role; `split` is a day in UTC."""
    split_us = int(datetime.fromisoformat(split).replace(tzinfo=UTC).timestamp() * 1e6)
    tables = {name: _table(folder, name, files) for name, files in _FILES.items()}
    end_us = pc.max(_cohort(tables["telemetry"])["event_time"]).cast(pa.int64()).as_py()
    failures = _by_machine(tables["failures"])
    train, weight, test, before, failed = [], [], [], [], []
    for history in histories(
        FEATURES, tables["telemetry"], tables["errors"], tables["maintenance"]
    ):
        fails = failures.get(history.machine_id, np.empty(0, dtype=np.int64))
        at = _complete(history)
        next_failure = _next(fails, at)
        cohort = int(history.machine_id) <= COHORT
        near = next_failure - at <= NEAR_HOURS * HOUR_US
        early = at[(at < split_us) & (cohort & (at < end_us) | near)]
        rows = landmarks(FEATURES, history, early, fails, split_us)
        train.append(rows)
        ahead = _next(fails, rows.at_us) - rows.at_us <= NEAR_HOURS * HOUR_US
        weight.append(np.where(ahead, 1, FAR_WEIGHT))
        if cohort:
            late = at[(at >= split_us) & (at < end_us)]
            test.append(landmarks(FEATURES, history, late, fails, end_us))
        lead = next_failure - at
        warned = at[(at >= split_us) & (lead >= 24 * HOUR_US) & near]
        before.append(landmarks(FEATURES, history, warned, fails, 2**62))
        failed.append([f"{history.machine_id} {failure_us}" for failure_us in _next(fails, warned)])
    keep = [index for index, name in enumerate(FEATURES.names) if _supported(name)]
    parts = [_columns(concat(part), keep) for part in (train, test, before)]
    names = tuple(FEATURES.names[index] for index in keep)
    which = np.concatenate([np.array(part, dtype=object) for part in failed]).astype(str)
    telemetry = tables["telemetry"].num_rows
    summary = _summary(parts, which, tables, split, telemetry)
    return Azure(parts[0], np.concatenate(weight), *parts[1:], which, names, telemetry, summary)


def _table(folder: Path, name: str, files: tuple[str, ...]) -> pa.Table:
    mapping = load_mapping(ROOT / f"tests/benchmarks/mappings/azure_{name}.yaml", CONTRACTS)
    return read_checked(mapping, [folder / f"PdM_{file}.parquet" for file in files]).good


def _cohort(telemetry: pa.Table) -> pa.Table:
    """The 90 days: what machine 1 was read without a gap."""
    readings = telemetry.filter(pc.equal(telemetry["machine_id"], "1"))
    times = np.sort(readings["event_time"].cast(pa.int64()).to_numpy())
    cohort_times = times[: np.append(np.diff(times) > HOUR_US, True).argmax() + 1]
    return readings.filter(
        pc.less_equal(readings["event_time"].cast(pa.int64()), int(cohort_times[-1]))
    )


def _by_machine(failures: pa.Table) -> dict[str, np.ndarray]:
    frame = failures.to_pandas()
    times = frame["event_time"].astype("int64") // (
        1 if "us" in str(frame.event_time.dtype) else 1000
    )
    return {name: np.unique(part.to_numpy()) for name, part in times.groupby(frame["machine_id"])}


def _complete(history: History) -> np.ndarray:
    """Times on the grid with twelve readings in the twelve hours before."""
    times = history.times_us
    count = np.searchsorted(times, times, "right") - np.searchsorted(
        times, times - 12 * HOUR_US, "right"
    )
    return times[(count == 12) & (times % (STEP_HOURS * HOUR_US) == 0)]


def _next(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.append(times, 2**61)[np.searchsorted(times, at, side="right")]


def _supported(name: str) -> bool:
    """Whether a window of telemetry gives it; coverage and the like would tell windows apart."""
    suffixes = ("_zscore", "_level", "_unchanged_hours", "_last", "_last_rpm", "_faults_12h")
    suffixes += ("hours_since_reading", "age_hours", "operating_hours_since_service")
    return not name.endswith(suffixes) and "_coverage_" not in name


def _columns(rows: TrainingRows, keep: list[int]) -> TrainingRows:
    return replace(rows, rows=rows.rows[:, keep])


def _summary(
    parts: list[TrainingRows], which: np.ndarray, tables: dict[str, pa.Table], split: str, rows: int
) -> str:
    train, test, _ = parts
    soon = float((test.outcomes.failed & (test.outcomes.time <= 168.0)).mean())
    return (
        f"{rows} telemetry rows, {tables['failures'].num_rows} failures; split {split}\n"
        f"train: {len(train)} rows of {len(np.unique(train.machines))} machines, "
        f"{int((train.outcomes.time <= NEAR_HOURS).sum())} within {NEAR_HOURS} h of a failure\n"
        f"test: {len(test)} rows of {len(np.unique(test.machines))} machines, prevalence of a "
        f"failure within 7 d {soon:.3f}"
        f"; warnings: {len(np.unique(which))} failures"
    )
