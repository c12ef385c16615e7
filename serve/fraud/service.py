"""The fraud application as one object: everything behind its HTTP face, started and stopped.

Places for what comes: the review queue reads what `Archive` keeps and takes its outcomes in through
`Labels`; an experiment between champion and challenger is a `Model` that asks two others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError

from lib.access import ApiKeys
from lib.fraud.features import FRAUD
from lib.fraud.rules import ACTIONS, PAYMENT_TEXTS, RULES_FILE, rule_fields
from lib.records import DecisionLog, Drainer, Records
from serve.fraud import numbers
from serve.fraud.config import FraudArgs, Live
from serve.fraud.desk import Desk
from serve.fraud.history import History
from serve.fraud.labels import Labels
from serve.fraud.model import Model, Seat
from serve.fraud.recovery import Recovery
from serve.fraud.stores import ThreadedSqliteStore, open_profile_store
from serve.fraud.times import SECOND, Times
from serve.gateway import JsonLog, Meter, Part, Readiness
from serve.gateway.archive import Archive
from serve.gateway.later import Later
from serve.gateway.rulings import Rulings

_FLUSH_SECONDS = 0.25
_SWEEP_SECONDS = 600.0


class FraudService:
    """Rules, features, model, policy, records.

    Args:
        args: what the application was started with.
        meter: counts and times.
        elsewhere: the model's deployment; None keeps the model in this process.
        times: when a payment may come; None is the system clock.
    """

    def __init__(
        self,
        args: FraudArgs,
        meter: Meter,
        elsewhere: Model | None = None,
        times: Times | None = None,
    ) -> None:
        self.args, self.meter = args, meter
        self.log = JsonLog("fraud", args.log)
        self.keys = ApiKeys(args.api_keys)
        self.later = Later(self.log)
        self._seat = Seat(args.registry, args.models, FRAUD) if elsewhere is None else None
        self._model: Model = elsewhere or self._seat  # type: ignore[assignment]
        times = times or Times(args.receipt_seconds * SECOND, args.ahead_seconds * SECOND)
        self._store = open_profile_store(args.profile_store, args.store_timeout_ms / 1000.0)
        self.history = History(
            FRAUD,
            self._store,
            # a clock that is ahead must not outlive its receipt
            args.receipt_seconds + args.ahead_seconds,
            args.store_timeout_ms / 1000.0,
        )
        self.rulings = _rulings(args, self.history.without_store)
        stored = Records(args.records), Drainer(args.journal, args.records)
        self.archive = Archive(numbers.SYSTEM, DecisionLog(args.journal), *stored, meter, self.log)
        self.desk = Desk(
            FRAUD,
            self.history,
            self.rulings,
            self._model,
            self.archive,
            meter,
            self.later.run,
            times,
            args.fallback_cap_minor,
        )
        self.labels = Labels(self.archive, self.history, meter, times.now, times.ahead)
        self.recovery = Recovery(
            FRAUD,
            self.desk,
            self.history,
            self.labels,
            self.archive,
            meter,
            self.log,
            times.now,
        )
        self._config_error: str | None = None
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
        self.later.every(self.args.rescore_seconds, self.recovery.work_off)
        if (seat := self._seat) is not None:
            self.later.every(self.args.follow_seconds, lambda: self._follow(seat))
        if isinstance(self._store, ThreadedSqliteStore):
            self.later.every(_SWEEP_SECONDS, self._store.sweep)
        try:
            yield
        finally:
            await self.later.close(self.args.shutdown_s)
            await self.archive.drain()
            self.archive.close()
            await self.history.close()
            try:
                self.meter.flush()
            finally:
                self.log.close()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads, checks and swaps model and rules; never raises.

        Ray Serve would replace a replica whose reconfiguration fails, so one bad file would take
        the application down. What is wrong is in `/readyz`, the log and the metrics, and what was
        in force stays so.

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
        if self._seat is not None:
            loaded = await asyncio.to_thread(self._seat.load, live.model)
            self._told("model", loaded, self._seat.error)

    async def _follow(self, seat: Seat) -> None:
        loaded = await asyncio.to_thread(seat.follow)
        if loaded is not None:
            self._told("model", loaded, seat.error)

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
        status = await self._model.status()
        return Part(status["version"] is not None and status["error"] is None, status)

    async def _rules_part(self) -> Part:
        return Part(self.rulings.error is None, self.rulings.status())

    async def _store_part(self) -> Part:
        await self.history.ping()
        return Part(True)

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


def _rulings(args: FraudArgs, without_store: frozenset[str]) -> Rulings:
    fields = rule_fields(FRAUD.names)
    return Rulings(fields, RULES_FILE, ACTIONS, {*without_store, *PAYMENT_TEXTS}, _secret(args))


def _secret(args: FraudArgs) -> bytes:
    return b"" if args.exploration_key is None else args.exploration_key.read_bytes().strip()
