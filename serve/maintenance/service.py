"""The maintenance application as one object: everything behind its HTTP face."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from lib.access import ApiKeys
from lib.maintenance.feature_set import DAY_US, FeatureSet
from lib.maintenance.features import evaluate
from lib.maintenance.history import History
from lib.maintenance.kind import load_kind
from lib.maintenance.machine_store import open_machine_store
from lib.maintenance.model import SYSTEM, SurvivalModel
from lib.maintenance.model.loading import load_model
from lib.maintenance.rules import ACTIONS, RULES_FILE, rule_fields
from lib.records import DecisionLog, Drainer, Records, RecordsUnavailableError, WorkOrders
from serve.gateway import JsonLog, Meter, Part, Readiness
from serve.gateway.archive import Archive
from serve.gateway.holder import Holder
from serve.gateway.later import Later
from serve.gateway.rulings import Rulings
from serve.maintenance import numbers
from serve.maintenance.config import Live, MaintenanceArgs
from serve.maintenance.desk import Desk
from serve.maintenance.intake import Intake
from serve.maintenance.machines import Machines
from serve.maintenance.orders import Orders
from serve.maintenance.planner import PlannerHere, Planning

_FLUSH_SECONDS = 0.25
_AT_ONCE, _LEASE_US = 50, 60_000_000
_SECOND = 1_000_000


class MaintenanceService:
    """Machines, rules, model, schedules, records.

    Args:
        args: what the application was started with.
        meter: counts.
        planning: where weeks are solved; None solves them here.
        now: microseconds since 1970 UTC; None is the system clock.
    """

    def __init__(
        self,
        args: MaintenanceArgs,
        meter: Meter,
        planning: Planning | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        self.args, self.meter = args, meter
        self._now = now or (lambda: time.time_ns() // 1000)
        self.log = JsonLog(SYSTEM, args.log)
        self.keys = ApiKeys(args.api_keys)
        self.later = Later(self.log)
        self.features = load_kind(args.kind)
        self.holder = Holder(SYSTEM, args.registry, args.models, self._load)
        timeout, ahead = args.store_timeout_ms / 1000.0, args.ahead_seconds * _SECOND
        store = open_machine_store(args.machine_store, timeout)
        self.machines = Machines(self.features, store, timeout)
        self.rulings = Rulings(rule_fields(self.features), RULES_FILE, ACTIONS, {"machine_id"})
        self.archive = Archive(
            SYSTEM,
            DecisionLog(args.journal),
            Records(args.records),
            Drainer(args.journal, args.records),
            meter,
            self.log,
        )
        self.desk = Desk(
            self.machines,
            self.rulings,
            self.holder,
            self.archive,
            meter,
            self.later.run,
            self._now,
            ahead,
        )
        self.intake = Intake(self.machines, meter, self._now, ahead, args.register_unknown)
        self.orders = Orders(
            self.machines,
            self.holder,
            planning or PlannerHere(),
            WorkOrders(args.records),
            meter,
            self._now,
            ahead,
        )
        self._config_error: str | None = None
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self.readiness = Readiness(
            {
                "model": self._model_part,
                "rules": self._rules_part,
                "store": self._store_part,
                "records": self._records_part,
                "keys": self._keys_part,
                "config": self._config_part,
            }
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything that goes on beside requests; at the end nothing is left half done."""
        await self.archive.drain()
        self.later.every(_FLUSH_SECONDS, self._flush)
        self.later.every(self.args.drain_seconds, self.archive.drain)
        self.later.every(self.args.rescore_seconds, self.work_off)
        self.later.every(self.args.follow_seconds, self._follow)
        try:
            yield
        finally:
            await self.later.close(self.args.shutdown_s)
            await self.archive.drain()
            self.archive.close()
            self.orders.book.close()
            await self.machines.close()
            try:
                self.meter.flush()
            finally:
                self.log.close()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads, checks and swaps model and rules; never raises.

        What is wrong is in `/readyz`, the log and the metrics, and what was in force stays so.

        Args:
            config: fields of `Live`; what is not named is as at the start.
        """
        try:
            start = {"model": self.args.model, "rules": self.args.rules}
            live = Live.model_validate({**start, **config})
        except ValidationError as error:
            self._config_error = "; ".join(
                f"user_config.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            self._told("config", False, self._config_error)
            return
        self._config_error = None
        loaded = await asyncio.to_thread(self.rulings.load, live.rules)
        self._told("rules", loaded, self.rulings.error)
        loaded = await asyncio.to_thread(self.holder.load, live.model)
        self._told("model", loaded, self.holder.error)

    async def work_off(self) -> int:
        """Predicts the oldest fallbacks again, once what was out is back; returns how many."""
        if self.machines.out or self.holder.held is None:
            return 0
        try:
            waiting = await self.archive.claim(_AT_ONCE, self._worker, self._now(), _LEASE_US)
        except RecordsUnavailableError:
            return 0
        done = 0
        for decision in waiting:
            answer = await self.desk.redo(decision)
            if answer is None:
                break
            await self.archive.mark(decision.subject_id, answer, self._now())
            done += 1
        if done:
            self.meter.count(numbers.RESCORED, amount=done)
            self.log.write("rescored", predictions=done)
        return done

    def _load(self, directory: Path) -> SurvivalModel:
        """A model of this kind of machine that can answer, tried out."""
        model = load_model(directory, self.features)
        width = len(self.features.names)
        for row in (np.zeros((1, width)), np.full((1, width), np.nan), _of_one_day(self.features)):
            survival = model.predict(row)[0].survival
            if not (np.isfinite(survival).all() and 0.0 <= min(survival) <= max(survival) <= 1.0):
                raise ValueError("the model answers no survival curve")
        return model

    async def _follow(self) -> None:
        loaded = await asyncio.to_thread(self.holder.follow)
        if loaded is not None:
            self._told("model", loaded, self.holder.error)

    async def _flush(self) -> None:
        try:
            self.meter.flush()
        finally:
            await asyncio.to_thread(self.log.flush)

    def _told(self, part: str, loaded: bool, error: str | None) -> None:
        outcome = "loaded" if loaded else "refused"
        self.meter.count(numbers.RELOADS, part, outcome)
        level = "info" if loaded else "error"
        self.log.write("reload", level, part=part, outcome=outcome, error=error)

    async def _model_part(self) -> Part:
        state = self.holder.state()
        return Part(state["version"] is not None and state["error"] is None, state)

    async def _rules_part(self) -> Part:
        return Part(self.rulings.error is None, self.rulings.status())

    async def _store_part(self) -> Part:
        await self.machines.ping()
        return Part(True, {"memories_of_other_features": self.machines.unreadable})

    async def _records_part(self) -> Part:
        await self.archive.ping()
        backlog = self.archive.journal.pending_bytes
        return Part(
            self.archive.error is None, {"error": self.archive.error, "journal_bytes": backlog}
        )

    async def _keys_part(self) -> Part:
        return Part(self.keys.fault is None, {"error": self.keys.fault})

    async def _config_part(self) -> Part:
        return Part(self._config_error is None, {"error": self._config_error})


def _of_one_day(features: FeatureSet) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Features of a made-up day: compiles the loops before the first request needs them."""
    times = np.arange(24, dtype=np.int64) * 3_600_000_000
    readings = np.tile(np.arange(24.0)[:, None], (1, len(features.sensors)))
    return evaluate(features, History("", times, readings), [DAY_US])
