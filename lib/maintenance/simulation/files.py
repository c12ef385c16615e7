"""A simulated fleet's past as Parquet files, with the mapping file that reads its telemetry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import yaml

from lib.contract import TIME, ContractError, write_parquet
from lib.durable.files import replace_file
from lib.maintenance.simulation.config import SENSORS, FleetConfig
from lib.maintenance.simulation.fleet import Event, Fleet, Passed
from lib.maintenance.simulation.policies import Policy, Year, run
from lib.maintenance.simulation.readings import hour_us, machine_ids, observe

TABLES = ("machines", "maintenance", "failures", "errors", "truth")


def write_fleet(
    config: FleetConfig,
    policy: Policy,
    weeks: int,
    directory: str | Path,
    note: Callable[[Fleet, Passed], None] | None = None,
) -> Year:
    """Let weeks pass and write what was told: one file of telemetry a week, and `TABLES`.

    Each file is whole or not there. `truth.parquet` has each machine's rate of wear and the wear
    of its components at the end, which no application would know.

    Args:
        config: of the fleet.
        policy: asked for services at the start of each week.
        weeks: how many, 1 or more.
        directory: made where there is none.
        note: called after each week, for policies and progress.

    Raises:
        ContractError: `directory` is a file, or there is no week.
    """
    folder = Path(directory)
    if folder.exists() and not folder.is_dir():
        raise ContractError(f"'{folder}' is a file; give a folder")
    if weeks < 1:
        raise ContractError(f"weeks: expected 1 or more, got {weeks}")
    (folder / "telemetry").mkdir(parents=True, exist_ok=True)
    errors: list[pa.Table] = []
    last: list[Fleet] = []

    def keep(fleet: Fleet, passed: Passed) -> None:
        telemetry, codes = observe(fleet, passed)
        write_parquet(telemetry, folder / "telemetry" / f"week_{passed.week:04d}.parquet")
        errors.append(codes)
        last[:] = [fleet]
        if note is not None:
            note(fleet, passed)

    year = run(config, policy, weeks, keep)
    tables = {
        "machines": machine_rows(last[0]),
        "maintenance": service_rows(config, year.events),
        "failures": failure_rows(config, year.events),
        "errors": pa.concat_tables(errors),
        "truth": _truth(last[0]),
    }
    for name in TABLES:
        write_parquet(tables[name], folder / f"{name}.parquet")
    replace_file(folder / "telemetry.yaml", telemetry_mapping().encode())
    return year


def telemetry_mapping() -> str:
    """The mapping file of simulated telemetry: every sensor by its name, with its unit."""
    columns: dict[str, dict[str, str]] = {
        "machine_id": {"from": "machine_id"},
        "event_time": {"from": "event_time"},
    }
    columns |= {sensor.name: {"from": sensor.name, "unit": sensor.unit} for sensor in SENSORS}
    note = "simulated fleet; bounds of sensors are those of its features, not of its rows"
    return yaml.safe_dump(
        {"contract": "telemetry", "note": note, "columns": columns}, sort_keys=False
    )


def _times(config: FleetConfig, hours: list[float]) -> pa.Array:
    return pa.array([hour_us(config, round(hour)) for hour in hours], pa.int64()).cast(TIME)


def service_rows(config: FleetConfig, events: Sequence[Event]) -> pa.Table:
    """Services and repairs as they are logged, at their end."""
    names, parts = machine_ids(config), config.components
    component = [parts[event.component].name for event in events]
    kinds = ["scheduled" if event.planned else "corrective" for event in events]
    modes = [None if e.planned else part for e, part in zip(events, component, strict=True)]
    return pa.table(
        {
            "machine_id": pa.array([names[e.machine] for e in events], pa.string()),
            "event_time": _times(config, [e.hour + e.hours for e in events]),
            "component": pa.array(component, pa.string()),
            "maintenance_type": pa.array(kinds, pa.string()),
            "failure_mode": pa.array(modes, pa.string()),
            "downtime_hours": pa.array([float(e.hours) for e in events], pa.float64()),
            "cost": pa.array([float(e.cost) for e in events], pa.float64()),
            "parts_replaced": pa.array(component, pa.string()),
        }
    )


def failure_rows(config: FleetConfig, events: Sequence[Event]) -> pa.Table:
    """Failures at their hour."""
    names, failed = machine_ids(config), [event for event in events if not event.planned]
    modes = [config.components[event.component].name for event in failed]
    return pa.table(
        {
            "machine_id": pa.array([names[e.machine] for e in failed], pa.string()),
            "event_time": _times(config, [float(e.hour) for e in failed]),
            "failure_mode": pa.array(modes, pa.string()),
        }
    )


def machine_rows(fleet: Fleet) -> pa.Table:
    """The list of machines."""
    config, fixed = fleet.config, fleet.machines
    return pa.table(
        {
            "machine_id": machine_ids(config),
            "model": ["press"] * config.machines,
            "installed_at": pa.nulls(config.machines, TIME),
            "plant": [f"plant {number}" for number in fixed.plant],
            "line": [f"plant {n} line {k // config.plants % 2}" for k, n in enumerate(fixed.plant)],
            "criticality": pa.array(fixed.criticality, pa.float64()),
        }
    )


def _truth(fleet: Fleet) -> pa.Table:
    columns = {"machine_id": machine_ids(fleet.config), "rate": fleet.machines.rate}
    for column, part in enumerate(fleet.config.components):
        columns[f"{part.name}_wear"] = fleet.wear[:, column]
    return pa.table(columns)
