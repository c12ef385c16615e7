"""From checked tables to training rows and to rows of today, for any share of the machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.coercion import as_array
from lib.maintenance.failures import (
    GRACE_HOURS,
    FailureCounts,
    failure_counts,
    watched_until,
)
from lib.maintenance.feature_set import HOUR_US, AssetFeatureSet
from lib.maintenance.features import evaluate, sound_readings
from lib.maintenance.history import History, Ints
from lib.maintenance.model.rows import TrainingRows, concat, landmarks
from lib.maintenance.offline import event_times, histories, rows_by_machine

_SAME_EVENT_US = 24 * HOUR_US
_PLANNED = ("scheduled", "emergency")
Faults = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Tables:
    """What is known of machines; each table is checked against its contract, or not there.

    Attributes:
        telemetry, errors, maintenance, failures, machines: see `lib.maintenance.contracts`.
        waveforms: what was measured of them, see `measured_waveforms`.
    """

    telemetry: pa.Table
    errors: pa.Table | None = None
    maintenance: pa.Table | None = None
    failures: pa.Table | None = None
    machines: pa.Table | None = None
    waveforms: pa.Table | None = None

    def of(self, telemetry: pa.Table) -> Tables:
        """The tables of the machines in another piece of telemetry."""
        names = pc.unique(as_array(telemetry["machine_id"]))
        others = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen = {
            name: None
            if table is None
            else table.filter(pc.is_in(as_array(table["machine_id"]), value_set=names))
            for name, table in others.items()
            if name != "telemetry"
        }
        return Tables(telemetry, **chosen)

    def histories(self, features: AssetFeatureSet) -> Iterator[History]:
        """Of every machine."""
        return histories(
            features,
            self.telemetry,
            self.errors,
            self.maintenance,
            self.machines,
            self.waveforms,
        )


def ending_in_failure(tables: Tables) -> Tables:
    """The same with a failure at each machine's last reading, beside those that are told."""
    last = tables.telemetry.group_by("machine_id").aggregate([("event_time", "max")])
    ends = pa.table(
        {
            "machine_id": last["machine_id"],
            "event_time": last["event_time_max"],
            "failure_mode": pa.array(["end of run"] * last.num_rows, pa.string()),
        }
    )
    failures = tables.failures
    both = (
        ends if failures is None else pa.concat_tables([failures.select(ends.column_names), ends])
    )
    return replace(tables, failures=both)


def rows_and_failures(
    features: AssetFeatureSet,
    tables: Tables,
    every_hours: float,
    warm_up_hours: float = 24.0,
    preventive: str = "censor",
    pasts: Iterable[History] | None = None,
    grace_hours: float = GRACE_HOURS,
) -> tuple[TrainingRows | None, FailureCounts]:
    """Rows of each machine at whole multiples of `every_hours` UTC, and what they see of failures.

    A machine is watched from `warm_up_hours` after its first reading to its last one, or to the
    failure that came soon after it. The rows are None where there are none.

    Args:
        features: what is computed.
        tables: of these machines.
        every_hours: between two rows of a machine.
        warm_up_hours: readings that are waited for.
        preventive: `censor`: a planned or emergency service ends the wait for a failure, as a
            competing cause; `ignore`: it does not count.
        pasts: histories of these machines, where they are at hand.
        grace_hours: a failure so soon after a machine's last reading is why its readings end.
    """
    failures = _failures(tables.failures)
    planned = _planned(tables.maintenance, failures) if preventive == "censor" else {}
    step = round(every_hours * HOUR_US)
    parts, counts = [], FailureCounts()
    for past in tables.histories(features) if pasts is None else pasts:
        times, kinds = failures.pop(past.machine_id, _EMPTY)
        if not len(past.times_us):
            counts += FailureCounts(without_rows=len(times))
            continue
        first, last = past.times_us[0] + round(warm_up_hours * HOUR_US), int(past.times_us[-1])
        until = watched_until(last, times, grace_hours)
        at = np.arange(-(-first // step) * step, last, step)
        served = planned.get(past.machine_id, np.empty(0, dtype=np.int64))
        rows = landmarks(features, past, at, times, until, served)
        failed = rows.watched.failed
        following = np.searchsorted(times, rows.at_us, side="right")[failed]
        counts += failure_counts(times, at, times[following], last, until)
        if len(rows):
            modes = np.full(len(rows), "", dtype=kinds.dtype if len(kinds) else np.str_)
            modes[failed] = kinds[following]
            parts.append(replace(rows, modes=modes))
    counts += FailureCounts(without_rows=sum(len(times) for times, _ in failures.values()))
    return concat(parts) if parts else None, counts


def current_rows(
    features: AssetFeatureSet, tables: Tables, at_us: int
) -> tuple[list[str], npt.NDArray[np.float64], Ints]:
    """Machines, rows (n, features) at one time, and the last reading of each up to then.

    A machine without any reading by then has `UNKNOWN_US`, and NaN where nothing is known.
    """
    names, rows, last = [], [], []
    for past in tables.histories(features):
        names.append(past.machine_id)
        rows.append(evaluate(features, past, [at_us])[0])
        before = past.times_us[past.times_us <= at_us]
        last.append(int(before[-1]) if len(before) else np.iinfo(np.int64).min)
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(features.names))
    return names, matrix, np.array(last, dtype=np.int64)


def sensor_faults(features: AssetFeatureSet, pasts: Iterable[History]) -> Faults:
    """By sensor: readings, and how many are missing, out of range, or stuck."""
    counts_by_sensor = {
        sensor.name: dict.fromkeys(("readings", "missing", "out_of_range", "stuck"), 0)
        for sensor in features.sensors
    }
    for past in pasts:
        for column, sensor in enumerate(features.sensors):
            raw = np.ascontiguousarray(past.readings[:, column])
            _, faulty, _ = sound_readings(sensor, past.times_us, raw)
            low = -np.inf if sensor.low is None else sensor.low
            high = np.inf if sensor.high is None else sensor.high
            with np.errstate(invalid="ignore"):
                outside = (raw < low) | (raw > high) | np.isinf(raw)
            counts = counts_by_sensor[sensor.name]
            counts["readings"] += len(raw)
            counts["missing"] += int(np.isnan(raw).sum())
            counts["out_of_range"] += int(outside.sum())
            counts["stuck"] += int((faulty & ~outside).sum())
    return counts_by_sensor


_EMPTY = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.str_))


def _failures(table: pa.Table | None) -> dict[str, tuple[Ints, npt.NDArray[np.str_]]]:
    if table is None:
        return {}
    times, modes = event_times(table), np.array(table["failure_mode"].to_pylist(), dtype=np.str_)
    return {name: (times[rows], modes[rows]) for name, rows in rows_by_machine(table).items()}


def _planned(
    table: pa.Table | None, failures: dict[str, tuple[Ints, npt.NDArray[np.str_]]]
) -> dict[str, Ints]:
    """Services that were not repairs; without a type, one within a day of a failure is."""
    if table is None:
        return {}
    times = event_times(table)
    kinds = np.array([kind or "" for kind in table["maintenance_type"].to_pylist()], dtype=np.str_)
    services = {}
    for name, rows in rows_by_machine(table).items():
        broken, _ = failures.get(name, _EMPTY)
        near = (np.abs(broken - times[rows, None]) <= _SAME_EVENT_US).any(axis=1)
        planned = np.isin(kinds[rows], _PLANNED) | ((kinds[rows] == "") & ~near)
        services[name] = times[rows][planned]
    return services
