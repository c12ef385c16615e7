"""The maintenance application as one object: everything behind its HTTP face."""

from pathlib import Path
from typing import Any

import numpy as np

from lib.feature.attribute_codes import attribute_difference
from lib.maintenance.feature_set import DAY_US, AssetFeatureSet
from lib.maintenance.features import evaluate
from lib.maintenance.history import History
from lib.maintenance.machine_decisions import MachineRecords
from lib.maintenance.machine_kind import kind_text, load_kind
from lib.maintenance.machine_store import open_machine_store
from lib.maintenance.model.model import SYSTEM, SurvivalModel, kind_in, load_model
from lib.maintenance.review import MachineReview
from lib.maintenance.rules import ACTIONS, RULES_FILE, rule_fields
from lib.registry import ArtifactError
from serve.framework import Health
from serve.framework.model_slot import ModelSlot
from serve.framework.offload import LocalSolver, Solver
from serve.framework.reloadable import ActiveRules
from serve.framework.service import RiskService, ServiceStart
from serve.framework.trial import ChallengerKind
from serve.maintenance.decision import MachinePredictor
from serve.maintenance.ingestion import EventIngestor
from serve.maintenance.inspections import Inspections
from serve.maintenance.machine_states import MachineStates
from serve.maintenance.planner import solve_plan
from serve.maintenance.schedule_changes import ScheduleChanges
from serve.maintenance.settings import MaintenanceSettings
from serve.maintenance.work_orders import WorkOrderService


class MaintenanceService(RiskService):
    """Machines, rules, model, schedules, records.

    Args:
        start: see `RiskService`.
        solver: where weeks are solved; None solves them here.
    """

    profiles: MachineStates
    model_slot: ModelSlot[SurvivalModel]

    def __init__(
        self, start: ServiceStart[MaintenanceSettings], solver: Solver | None = None
    ) -> None:
        self.args = args = start.args
        self.features = load_kind(args.kind)
        active_rules = ActiveRules(rule_fields(self.features), RULES_FILE, ACTIONS, {"machine_id"})
        super().__init__(SYSTEM, start, active_rules)
        self.model_slot = ModelSlot(SYSTEM, args.registry, args.models, self._load)
        timeout = args.store_timeout_ms / 1000.0
        store = open_machine_store(args.machine_store, timeout)
        self.machines = self.profiles = MachineStates(self.features, store, timeout)
        self.decider = MachinePredictor(self.parts, self.machines, self.model_slot)
        self.ingestor = EventIngestor(self.parts, self.machines, args.register_unknown)
        repository, planner = MachineRecords(args.records), solver or LocalSolver(solve_plan)
        self.orders = WorkOrderService(
            self.parts, self.machines, self.model_slot, planner, repository
        )
        self.schedule_changes = ScheduleChanges(self.parts, planner, repository)
        self.periodic_tasks.append((args.review_seconds, self.orders.follow_closed))
        self.rescorer = self.new_rescorer(self.decider.rescore)
        self.review = self.new_review(MachineReview())
        self.inspections = Inspections(self.parts, self.review, repository)

    def challenger_kind(self) -> ChallengerKind:
        """See `RiskService`."""
        options = {"kind": kind_text(self.features)}
        loader = "lib.maintenance.model.challenger:load"
        return ChallengerKind(loader, options, ("STOP", "SERVICE"), ("INSPECT",))

    async def close(self) -> None:
        """See `RiskService`."""
        self.orders.repository.close()
        await super().close()

    async def check_store(self) -> Health:
        """See `RiskService`."""
        await self.machines.ping()
        return Health(True, {"memories_of_other_features": self.machines.unreadable})

    def _load(self, directory: Path) -> SurvivalModel:
        """A model of this kind of machine that can answer, tried out."""
        _require_attributes(directory, self.features)
        model = load_model(directory, self.features)
        width = len(self.features.names)
        for row in (np.zeros((1, width)), np.full((1, width), np.nan), _of_one_day(self.features)):
            survival = model.predict(row)[0].survival
            if not (np.isfinite(survival).all() and 0.0 <= min(survival) <= max(survival) <= 1.0):
                raise ValueError("the model answers no survival curve")
        return model


def _require_attributes(directory: Path, features: AssetFeatureSet) -> None:
    """Refuse a model of other attributes of machines.

    Raises:
        ArtifactError: says which.
    """
    kind = kind_in(directory)
    others = () if kind is None else kind.attributes
    if differs := attribute_difference(others, features.attributes, with_words=False):
        raise ArtifactError(
            f"{directory.name} reads other attributes of machines than the kind of machine that "
            f"this service started with: {differs}; start the service again with the kind of this "
            "model (kind.yaml beside its training rows), then send new attributes of machines"
        )


def _of_one_day(features: AssetFeatureSet) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Features of a made-up day: compiles the loops before the first request needs them."""
    times = np.arange(24, dtype=np.int64) * 3_600_000_000
    readings = np.tile(np.arange(24.0)[:, None], (1, len(features.sensors)))
    return evaluate(features, History("", times, readings), [DAY_US])
