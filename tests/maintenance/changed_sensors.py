"""A simulated fleet whose sensors were first read under the names of other machines, as files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.maintenance.simulation.files import write_fleet
from lib.maintenance.simulation.policies import FixedInterval
from tests.maintenance.small_fleet import CONFIG, SETTINGS

SMALL = {
    "model": SETTINGS,
    "bootstrap": 40,
    "simulated": True,
    "engine": "process",
    "progress": "none",
    "test_proportionality": False,
}
"""Options of a small training."""
FLEET = replace(CONFIG, machines=30, sudden_per_year=0.3)
TABLES = ("errors", "maintenance", "failures", "machines")


def write_machines(folder: Path, weeks: int) -> Path:
    """Files of a fleet that is hardly serviced, so that many machines fail."""
    calendar = FixedInterval(FLEET, [3.0 * part.life_hours for part in FLEET.components])
    write_fleet(FLEET, calendar, weeks, folder, calendar.note)
    return folder


def until(source: Path, folder: Path, weeks: int, *, exchanged: bool = False) -> Path:
    """The same files up to a week.

    Args:
        source: files of the fleet.
        folder: for the copies.
        weeks: that are kept.
        exchanged: each machine's readings are those of another one, so that a model of them learns
            that readings tell nothing.
    """
    (folder / "telemetry").mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "telemetry.yaml", folder)
    files = sorted((source / "telemetry").glob("*.parquet"))[:weeks]
    for file in files:
        table = pq.read_table(file)
        named = _exchanged(table) if exchanged else table
        pq.write_table(named, folder / "telemetry" / file.name)
    end = pc.max(table["event_time"]).as_py() + timedelta(hours=1)
    for name in TABLES:
        rows = pq.read_table(source / f"{name}.parquet")
        if "event_time" in rows.column_names:
            rows = rows.filter(pc.less(rows["event_time"], pa.scalar(end, rows["event_time"].type)))
        pq.write_table(rows, folder / f"{name}.parquet")
    return folder


def sources(folder: Path) -> dict[str, str]:
    """Options of jobs that name the tables of a folder."""
    return {
        **{name: str(folder / f"{name}.parquet") for name in TABLES},
        "telemetry": str(folder / "telemetry"),
        "mapping_telemetry": str(folder / "telemetry.yaml"),
    }


def _exchanged(table: pa.Table) -> pa.Table:
    names = sorted(table["machine_id"].unique().to_pylist())
    others = dict(zip(names, np.roll(names, len(names) // 2).tolist(), strict=True))
    moved = pa.array([others[name] for name in table["machine_id"].to_pylist()])
    return table.set_column(table.schema.get_field_index("machine_id"), "machine_id", moved)
