"""A small simulated fleet, and a model trained on it in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lib.contract import load_mapping, read_checked
from lib.maintenance.contracts import CONTRACTS
from lib.maintenance.dataset import Tables, rows_and_failures
from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.machine_kind import kind_text
from lib.maintenance.model.fitting import HalfPlan, mode_names, reach, usual_values
from lib.maintenance.model.model import Half, SurvivalModel
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import ModelSettings, time_grid
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.files import write_fleet
from lib.maintenance.simulation.policies import FixedInterval
from lib.registry import TrainingRecord
from lib.survival.prediction_interval import PredictionInterval
from lib.survival.settings import HazardSettings

CONFIG = FleetConfig(machines=16, plants=2, seed=3, sudden_per_year=0.5)
WEEKS = 26
SETTINGS = ModelSettings(
    horizon_hours=960.0,
    network=HazardSettings(hidden=(16,), intervals=8, epochs=3, members=1),
    folds=2,
    replicates=3,
    replicate_epochs=2,
)
CREATED_AT = 1_795_428_900_000_000


def write(folder: Path) -> Path:
    """The fleet's files."""
    calendar = FixedInterval(CONFIG, [0.95 * part.life_hours for part in CONFIG.components])
    write_fleet(CONFIG, calendar, WEEKS, folder, calendar.note)
    return folder


@cache
def tables(folder: Path) -> Tables:
    """What the files hold."""
    mapping = load_mapping(folder / "telemetry.yaml", CONTRACTS)
    rest = {
        name: pq.read_table(folder / f"{name}.parquet")
        for name in ("errors", "maintenance", "failures", "machines")
    }
    return Tables(read_checked(mapping, folder / "telemetry").good, **rest)


@dataclass(frozen=True)
class Trained:
    """A model with what it was trained on."""

    features: AssetFeatureSet
    rows: TrainingRows
    model: SurvivalModel


@cache
def trained(folder: Path) -> Trained:
    """A model of the fleet in a folder."""
    features = CONFIG.features
    rows, _ = rows_and_failures(features, tables(folder), every_hours=48.0)
    assert rows is not None
    horizon, modes = reach(rows, SETTINGS), mode_names(rows)
    usual, spread = usual_values(rows.rows)
    plan = HalfPlan(features, modes, horizon, SETTINGS)
    others: tuple[Half, ...] = tuple(plan.fit_replicate(rows, seed) for seed in range(3))
    model = SurvivalModel(
        features=features,
        main_half=plan.fit(rows, 1),
        replicates=others,
        weight=0.5,
        grid=time_grid(horizon),
        modes=modes,
        likely=PredictionInterval(np.array([300.0]), np.array([0.2, 0.3]), horizon),
        alarm_hours=168.0,
        alarm_threshold=0.1,
        usual=usual,
        spread=spread,
    )
    return Trained(features, rows, model)


def save(model: SurvivalModel, folder: Path, created_at: int = CREATED_AT) -> Path:
    """The model's artifact in a new folder."""
    parameters = {"kind": kind_text(model.features)}
    model.save(folder, TrainingRecord(created_at, "f" * 64, "test", parameters, {}))
    return folder


def readings(folder: Path, machine: str, last_hours: int) -> pa.Table:
    """A machine's newest telemetry."""
    table = tables(folder).telemetry
    rows = table.filter(np.array(table["machine_id"].to_pylist()) == machine)
    return rows.sort_by("event_time").slice(max(0, rows.num_rows - last_hours))


SERVICE = {
    "skill": "mechanical",
    "duration_hours": 4,
    "service_cost": 400,
    "repair_cost": 3000,
    "repair_hours": 14,
    "services_per_year": 2.0,
    "failures_per_year": 0.3,
}


def monday(at: int) -> datetime:
    day = datetime.fromtimestamp(at / 1e6, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=7 - day.weekday())


def week(at: int, **changes: Any) -> dict[str, Any]:
    return {
        "start": monday(at).isoformat(),
        "crews": [{"skill": "mechanical", "shifts": {"06-14": 1}}],
        "work": {"bearing": {**SERVICE}, "seal": {**SERVICE, "duration_hours": 3}},
        "lost_per_hour": 900,
        "unplanned_factor": 9,
        **changes,
    }
