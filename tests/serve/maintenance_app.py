"""The maintenance application in this process, with a model and keys, without Ray."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from serve.maintenance.metrics import INSTRUMENTS
from serve.maintenance.routes import build_gateway
from serve.maintenance.service import MaintenanceService
from serve.maintenance.settings import MaintenanceSettings
from tests.maintenance.small_fleet import CREATED_AT, readings, save, tables, trained, week
from tests.serve.application import Application, Parts, add_token, publish_champion

SCOPES = (
    *("maintenance:label", "maintenance:score"),
    *("maintenance:review", "maintenance:read", "admin"),
)
HOUR = timedelta(hours=1)
MACHINES = [f"M0000{number}" for number in range(5)]
"""Ids of machines of the small fleet."""


@dataclass(frozen=True)
class Running(Application):
    """The maintenance application that runs."""

    system = "maintenance"
    parts = Parts(MaintenanceSettings, MaintenanceService, INSTRUMENTS, build_gateway)


def published(fleet: Path, folder: Path) -> Path:
    """A registry whose champion is the small fleet's model."""
    artifact = save(trained(fleet).model, folder / "model")
    return publish_champion(folder, "maintenance", artifact, CREATED_AT)


@asynccontextmanager
async def maintenance(
    fleet: Path | None, folder: Path, now_us: int | None = None, **changes: Any
) -> AsyncIterator[Running]:
    """The application in a folder; without a fleet it has no model."""
    token = add_token(folder, SCOPES)
    if fleet is not None and not (folder / "registry").exists():
        published(fleet, folder)
    settings = {"machine_store": f"sqlite:///{folder}/machines.sqlite", **changes}
    async with Running.started(folder, token, now_us, **settings) as running:
        yield running


def end_of(fleet: Path) -> int:
    """When the fleet's newest reading was taken."""
    return max(tables(fleet).telemetry["event_time"].cast("int64").to_pylist())


def news(fleet: Path, machine: str, hours: int = 744, **more: Any) -> dict[str, Any]:
    """A machine's last readings, error codes and services, as a caller tells them."""
    rows = readings(fleet, machine, hours).to_pylist()
    source_tables = tables(fleet)
    sensors = [name for name in rows[0] if name not in ("machine_id", "event_time")]

    def of(table: Any) -> list[dict[str, Any]]:
        return [row for row in table.to_pylist() if row["machine_id"] == machine]

    return {
        "machine_id": machine,
        "readings": [
            {
                "event_time": row["event_time"].isoformat(),
                "sensors": {name: row[name] for name in sensors},
            }
            for row in rows
        ],
        "errors": [
            {"event_time": row["event_time"].isoformat(), "error_code": row["error_code"]}
            for row in of(source_tables.errors)
        ],
        "services": [
            {"event_time": row["event_time"].isoformat(), "component": row["component"]}
            for row in of(source_tables.maintenance)
        ],
        **more,
    }


@asynccontextmanager
async def planning(fleet: Path, folder: Path, now_us: int) -> AsyncIterator[Running]:
    """The application after each machine of the fleet has sent its last readings."""
    shutil.copytree(await _prepared(fleet, now_us), folder)
    async with maintenance(fleet, folder, now_us) as running:
        yield running


async def _prepared(fleet: Path, now_us: int) -> Path:
    """What that application keeps; the machines send once for all who start from it."""
    kept = fleet.with_name(f"{fleet.name}-prepared-{now_us}")
    if not kept.exists():
        sending = kept.with_suffix(".sending")
        async with maintenance(fleet, sending, now_us) as running:
            for name in MACHINES:
                await running.post("readings", news(fleet, name))
        sending.rename(kept)
    return kept


def schedule_request(at: int, machines: list[str] = MACHINES, **changes: Any) -> dict[str, Any]:
    """A request to plan the week after a time, microseconds UTC; `changes` are of the week."""
    sites = [
        {"machine_id": name, "plant": "p", "line": "l", "criticality": 0.8} for name in machines
    ]
    return {"machines": sites, "week": week(at, **changes)}
