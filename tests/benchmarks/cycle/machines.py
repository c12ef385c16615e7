"""Simulated machines whose sensors are replaced, served day by day as any model says."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.maintenance import monitor, retrain, train
from lib.maintenance.machine_kind import kind_text
from lib.maintenance.model.model import SurvivalModel, load_model
from lib.maintenance.model.settings import ModelSettings
from lib.maintenance.outcomes import FAILURE
from lib.maintenance.simulation.config import COMPONENTS, FleetConfig
from lib.maintenance.simulation.files import telemetry_mapping
from lib.maintenance.simulation.readings import hour_us, machine_ids
from lib.survival.settings import HazardSettings
from tests.benchmarks.cycle.fleet import LivingFleet
from tests.benchmarks.cycle.world import (
    Answers,
    Floats,
    Model,
    Pace,
    Subjects,
    decision_rows,
    label_rows,
)

_HISTORY_WEEKS, _KEPT_WEEKS = 26, 16
_WEAR = 4.0
"""How much faster parts wear than those of the simulated fleet: else weeks show few failures."""
_MODEL = ModelSettings(
    network=HazardSettings(hidden=(16,), intervals=12, epochs=8, members=1), folds=2, replicates=0
)


@dataclass
class MachineWorld:
    """See `World`. Machines are decided about at midnight UTC, as in the rows of a training, and
    served on the day. Services that a model calls for replace parts, so that failures stay away;
    machines that are not served fail. Loads and wear are those of the same random numbers, whoever
    decides.

    Args:
        folder: of this world's files.
        seed: of the simulation.
        machines: in the fleet.
        weeks: after the first model.
        change_week: in whose begin sensors are replaced, from 1 on.
    """

    folder: Path
    seed: int
    machines: int
    weeks: int
    change_week: int

    system = "maintenance"
    train, retrain, monitor = train, retrain, monitor
    blocking, reviewing = ("STOP", "SERVICE"), ("INSPECT",)
    guardrails: ClassVar[Mapping[str, float]] = {"blocked_increase": 0.3}
    pace = Pace(
        history=7 * _HISTORY_WEEKS, monitored=10, retrain_after=14, retrain_every=7,
        shadow=2, ab=28, ripening=7, least_labels=4,
    )  # fmt: skip
    absurd: ClassVar[Mapping[str, Any]] = {"model": replace(_MODEL, false_alarms=1e6)}
    monitoring: ClassVar[Mapping[str, Any]] = {}
    prices = None

    def __post_init__(self) -> None:
        self.days = self.pace.history + 7 * self.weeks
        self.change_day = self.pace.history + 7 * (self.change_week - 1)
        parts = tuple(replace(part, life_hours=part.life_hours / _WEAR) for part in COMPONENTS)
        self.config = FleetConfig(
            machines=self.machines, plants=4, seed=self.seed, components=parts
        )
        files = {"kind": kind_text(self.config.features), "mapping_telemetry": telemetry_mapping()}
        for name, text in files.items():
            (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        self.settings = {
            **{name: str(self.folder / f"{name}.yaml") for name in files},
            "engine": "process",
            "model": _MODEL,
            "test_share": 0.15,
            "test_proportionality": False,
            "bootstrap": 40,
            "simulated": True,
            "progress": "none",
        }
        self.fleet = LivingFleet(self.config, self.change_day // 7, _KEPT_WEEKS)
        self.fleet.pass_weeks(_HISTORY_WEEKS)
        self._models: dict[Path, SurvivalModel] = {}
        self._rows: tuple[int, Floats] = (-1, np.empty((0, 0)))

    def time_of(self, day: int) -> int:
        """See `World`."""
        return hour_us(self.config, 24 * day)

    def write_known(self, day: int) -> dict[str, str]:
        """See `World`."""
        return self.fleet.write(day, self.folder)

    def write_facts(self, day: int) -> Path:
        """See `World`."""
        path, failures = self.folder / "facts.parquet", self.fleet.failures(day)
        values = pa.array(np.ones(failures.num_rows, dtype=np.bool_))
        pq.write_table(
            label_rows(failures["machine_id"], FAILURE, values, failures["event_time"]), path
        )
        return path

    def subjects(self, day: int) -> Subjects:
        """See `World`."""
        names = machine_ids(self.config)
        times = np.full(len(names), self.time_of(day), dtype=np.int64)
        return Subjects([f"{name}:{day}" for name in names], names, times)

    def answers(self, day: int, model: Path) -> Answers:
        """See `World`."""
        if self._rows[0] != day:
            self._rows = day, self.fleet.features(day)
        return self._answers(self._rows[1], model)

    def decide(self, day: int, versions: Sequence[str], answers: Mapping[str, Answers]) -> pa.Table:
        """See `World`."""
        names, columns = self.config.features.names, self._rows[1].T
        features = dict(zip(names, map(pa.array, columns), strict=True))
        requests = ["{}"] * len(versions)
        table = decision_rows(self.subjects(day), versions, answers, requests, features)
        if day == self.change_day:
            self._at_change = copy.deepcopy(self.fleet)
        self.fleet.follow(day, _called(table["decision"].to_pylist()))
        return table

    def losses(self, model: Model, first: str) -> tuple[Floats, Floats]:
        """See `World`; without the loop the fleet as it was at the change goes on."""
        alone = self._at_change
        for day in range(self.change_day, self.days):
            answers = self._answers(alone.features(day), model(first))
            alone.follow(day, _called(answers.decisions))
        return self.fleet.losses(self.days), alone.losses(self.days)

    def _answers(self, rows: Floats, path: Path) -> Answers:
        if path not in self._models:
            self._models[path] = load_model(path)
        model = self._models[path]
        risks = np.asarray(model.risk(rows), dtype=np.float64)
        is_alarm = risks >= model.alarm_threshold
        return Answers(risks, ["SERVICE" if alarm else "MONITOR" for alarm in is_alarm.tolist()])


def _called(decisions: Sequence[str]) -> list[bool]:
    return [decision == "SERVICE" for decision in decisions]
