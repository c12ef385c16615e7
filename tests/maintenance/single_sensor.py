"""A machine with a single sensor and component: its readings, failures and services."""

import numpy as np
import pyarrow as pa

from lib.contract import TIME
from lib.maintenance.feature_set import DAY_US, HOUR_US, AssetFeatureSet, Sensor

START = 20_000 * DAY_US


SMALL = AssetFeatureSet(
    sensors=(Sensor("heat", low=0.0, high=100.0, stuck_hours=4.0),), components=("belt",)
)


def telemetry(machine="m", hours=240, value=None):
    times = START + np.arange(hours) * HOUR_US
    heat = np.random.default_rng(1).uniform(40, 60, hours) if value is None else value
    return pa.table(
        {"machine_id": [machine] * hours, "event_time": pa.array(times).cast(TIME), "heat": heat}
    )


def events(kind, rows):
    """Rows of machine, hour and name."""
    columns = {"failures": "failure_mode", "maintenance": "component"}
    arrays = {
        "machine_id": pa.array([row[0] for row in rows], pa.string()),
        "event_time": pa.array([START + int(row[1] * HOUR_US) for row in rows], pa.int64()).cast(
            TIME
        ),
        columns[kind]: pa.array([row[2] for row in rows], pa.string()),
    }
    if kind == "maintenance":
        arrays["maintenance_type"] = pa.array([row[3] for row in rows], pa.string())
    return pa.table(arrays)
