"""The maintenance application as one object: everything behind its HTTP face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from lib.maintenance.feature_set import DAY_US, AssetFeatureSet
from lib.maintenance.features import evaluate
from lib.maintenance.history import History
from lib.maintenance.machine_kind import load_kind
from lib.maintenance.machine_store import open_machine_store
from lib.maintenance.model import SYSTEM, SurvivalModel
from lib.maintenance.model.loading import load_model
from lib.maintenance.rules import ACTIONS, RULES_FILE, rule_fields
from lib.records import WorkOrders
from serve.framework import Health, Metrics
from serve.framework.active_rules import ActiveRules
from serve.framework.model_slot import ModelSlot
from serve.framework.rescoring import Rescorer
from serve.framework.service import RiskService, model_health
from serve.framework.timestamps import SECOND, system_clock
from serve.maintenance import metrics
from serve.maintenance.decision import MachinePredictor
from serve.maintenance.ingestion import EventIngestor
from serve.maintenance.machine_states import MachineStates
from serve.maintenance.planner import PlannerHere, Planning
from serve.maintenance.settings import MaintenanceSettings
from serve.maintenance.work_orders import WorkOrderService


class MaintenanceService(RiskService):
    """Machines, rules, model, schedules, records.

    Args:
        args: what the application was started with.
        meter: counts.
        planning: where weeks are solved; None solves them here.
        now: microseconds since 1970 UTC; None is the system clock.
    """

    def __init__(
        self,
        args: MaintenanceSettings,
        meter: Metrics,
        planning: Planning | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        self.args = args
        self._now = now or system_clock
        self.features = load_kind(args.kind)
        active_rules = ActiveRules(rule_fields(self.features), RULES_FILE, ACTIONS, {"machine_id"})
        super().__init__(SYSTEM, args, meter, metrics.RELOADS, active_rules)
        self.model_slot = ModelSlot(SYSTEM, args.registry, args.models, self._load)
        timeout, ahead = args.store_timeout_ms / 1000.0, args.ahead_seconds * SECOND
        store = open_machine_store(args.machine_store, timeout)
        self.machines = MachineStates(self.features, store, timeout)
        self.decider = MachinePredictor(
            self.machines,
            self.active_rules,
            self.model_slot,
            self.decision_store,
            meter,
            self.background,
            self._now,
            ahead,
        )
        self.ingestor = EventIngestor(self.machines, meter, self._now, ahead, args.register_unknown)
        self.orders = WorkOrderService(
            self.machines,
            self.model_slot,
            planning or PlannerHere(),
            WorkOrders(args.records),
            meter,
            self._now,
            ahead,
        )
        self.rescorer = Rescorer(
            self.decision_store,
            self.decider.rescore,
            self._ready,
            meter,
            metrics.RESCORED,
            self.log,
            self._now,
        )

    @property
    def local_model(self) -> ModelSlot[SurvivalModel]:
        """See `RiskService`."""
        return self.model_slot

    def periodic_tasks(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """See `RiskService`."""
        return [(self.args.rescore_seconds, self.rescorer.run_once)]

    async def close(self) -> None:
        """See `RiskService`."""
        self.orders.repository.close()
        await self.machines.close()

    async def check_model(self) -> Health:
        """See `RiskService`."""
        return model_health(self.model_slot.state())

    async def check_store(self) -> Health:
        """See `RiskService`."""
        await self.machines.ping()
        return Health(True, {"memories_of_other_features": self.machines.unreadable})

    async def _ready(self) -> bool:
        return not self.machines.unavailable and self.model_slot.current is not None

    def _load(self, directory: Path) -> SurvivalModel:
        """A model of this kind of machine that can answer, tried out."""
        model = load_model(directory, self.features)
        width = len(self.features.names)
        for row in (np.zeros((1, width)), np.full((1, width), np.nan), _of_one_day(self.features)):
            survival = model.predict(row)[0].survival
            if not (np.isfinite(survival).all() and 0.0 <= min(survival) <= max(survival) <= 1.0):
                raise ValueError("the model answers no survival curve")
        return model


def _of_one_day(features: AssetFeatureSet) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Features of a made-up day: compiles the loops before the first request needs them."""
    times = np.arange(24, dtype=np.int64) * 3_600_000_000
    readings = np.tile(np.arange(24.0)[:, None], (1, len(features.sensors)))
    return evaluate(features, History("", times, readings), [DAY_US])
