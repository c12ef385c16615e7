"""The churn application as one object: everything behind its HTTP face."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from lib.churn.base import CustomerBase, parse_base
from lib.churn.features import churn_features
from lib.churn.interventions.daily import Economics
from lib.churn.model import SYSTEM
from lib.churn.model.churn_model import ChurnModel, base_in, load_model
from lib.churn.rules import ACTIONS, RULES_FILE, rule_fields
from lib.churn.target import Target
from lib.records import CustomerHealth, Interventions
from lib.registry import Registry
from serve.churn import numbers
from serve.churn.config import ChurnArgs, ChurnLive
from serve.churn.considered import Considered
from serve.churn.customers import Customers
from serve.churn.desk import Desk
from serve.churn.health import Health
from serve.churn.intake import Intake
from serve.churn.interventions import Desk as InterventionDesk
from serve.churn.planner import PlannerHere, Planning
from serve.churn.playbook_shelf import Shelf
from serve.gateway import Meter, Part
from serve.gateway.application import Application, state_part
from serve.gateway.arguments import Live
from serve.gateway.clock import SECOND, system_clock
from serve.gateway.holder import Holder
from serve.gateway.profile_stores import ThreadedSqliteStore, open_profile_store
from serve.gateway.redoing import Redoing
from serve.gateway.rulings import Rulings

_SWEEP_SECONDS = 600.0
_DAY_SECONDS = 86_400


class ChurnService(Application):
    """Profiles, rules, model, health, interventions, records.

    Args:
        args: what the application was started with.
        meter: counts.
        planning: where days are solved; None solves them here.
        now: microseconds since 1970 UTC; None is the system clock.

    Raises:
        ChurnError, RegistryError, ArtifactError: no base is named, and no model says which.
    """

    def __init__(
        self,
        args: ChurnArgs,
        meter: Meter,
        planning: Planning | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        self.args = args
        self._now = now or system_clock
        self.base = _base(args)
        names = churn_features(self.base).names
        rulings = Rulings(rule_fields(names), RULES_FILE, ACTIONS, {"customer_id"})
        super().__init__(SYSTEM, args, meter, numbers.RELOADS, rulings, ChurnLive)
        self.shelf = Shelf(names)
        self.holder = Holder(SYSTEM, args.registry, args.models, self._load)
        timeout, ahead = args.store_timeout_ms / 1000.0, args.ahead_seconds * SECOND
        self._store = open_profile_store(args.profile_store, timeout)
        self.customers = Customers(
            self.base, self._store, timeout, args.receipt_days * _DAY_SECONDS
        )
        self.interventions = InterventionDesk(
            self.shelf,
            planning or PlannerHere(),
            Interventions(args.records),
            vars(Economics(args.margin, args.months)),
            args.holdout_name,
            self._window_days,
            meter,
            self._now,
            ahead,
        )
        self.health = Health(
            CustomerHealth(args.records),
            self.interventions.book,
            meter,
            self.later.run,
            self._now,
        )
        self.desk = Desk(
            self.customers,
            self.rulings,
            self.holder,
            self.health,
            self.archive,
            meter,
            self._now,
            ahead,
        )
        self.considered = Considered(self.desk, args.scores, self._now)
        self.intake = Intake(self.customers, self.interventions.outcomes, meter, self._now, ahead)
        self.redoing = Redoing(
            self.archive,
            self.desk.redo,
            self._ready,
            meter,
            numbers.RESCORED,
            self.log,
            self._now,
        )
        self.readiness.add("playbooks", self._playbooks_part)

    @property
    def replaceable(self) -> Holder[ChurnModel]:
        """See `Application`."""
        return self.holder

    def rounds(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """See `Application`."""
        rounds: list[tuple[float, Callable[[], Awaitable[object]]]] = [
            (self.args.rescore_seconds, self.redoing.work_off)
        ]
        if isinstance(self._store, ThreadedSqliteStore):
            rounds.append((_SWEEP_SECONDS, self._store.sweep))
        return rounds

    async def close(self) -> None:
        """See `Application`."""
        self.health.book.close()
        self.interventions.close()
        await self.customers.close()

    async def take_live(self, live: Live) -> None:
        """See `Application`."""
        if isinstance(live, ChurnLive):
            loaded = self.shelf.load(live.playbooks, live.interventions)
            self.log_load("playbooks", loaded, self.shelf.error)

    async def model_part(self) -> Part:
        """See `Application`."""
        return state_part(self.holder.state())

    async def store_part(self) -> Part:
        """See `Application`."""
        await self.customers.ping()
        return Part(True)

    async def _playbooks_part(self) -> Part:
        return Part(self.shelf.error is None, self.shelf.status())

    async def _ready(self) -> bool:
        return not self.customers.out and self.holder.current is not None

    def _window_days(self) -> int:
        target = Target() if self.holder.current is None else self.holder.current.target
        return target.lead_days + target.window_days

    def _load(self, directory: Path) -> ChurnModel:
        """A model of this base that can answer, tried out."""
        model = load_model(directory, self.base)
        width = len(model.names)
        for row in (np.zeros((1, width)), np.full((1, width), np.nan)):
            probability = float(model.probabilities(row)[0])
            if not (math.isfinite(probability) and 0.0 <= probability <= 1.0):
                raise ValueError(f"the model answers {probability}; expected a probability")
            model.contributions(row)
        return model


def _base(args: ChurnArgs) -> CustomerBase:
    """The base that is named, or that of the model that the application starts with."""
    if args.base is not None:
        return parse_base(args.base.read_text(encoding="utf-8"), str(args.base))
    registry = Registry(args.registry)
    version = registry.resolve(SYSTEM, args.model)
    return base_in(registry.fetch(SYSTEM, version, args.models))
