"""The experiment that runs, as each replica learns of it, applies it, records it and ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.guarded_call import GuardedCall
from lib.experiment.assignment import Arm
from lib.experiment.declaration import Experiment
from lib.experiment.errors import ExperimentEndedError, ExperimentError
from lib.experiment.models import StoredExperiment
from lib.experiment.repository import ExperimentRepository
from lib.experiment.writer_process import WriterProcess
from lib.records import RecordsError, RecordsUnavailableError
from lib.registry import Registry, RegistryError
from lib.storage import StorageError, redact_uri
from serve.framework.challenger_process import ChallengerProcess, ChallengerSource
from serve.framework.challenger_queue import ChallengerQueue
from serve.framework.champion_watch import ChampionWatch
from serve.framework.experiment_log import ExperimentLog
from serve.framework.guardrail import GuardrailMonitor
from serve.framework.health import Health
from serve.framework.json_log import JsonLog
from serve.framework.metrics import Metrics
from serve.framework.problem import fault_text
from serve.framework.trial import ActiveExperiment, ChallengerKind

if TYPE_CHECKING:
    from serve.framework.settings import ServiceSettings

_RECORDS_SECONDS = 30.0
_SHARE_OF_DEADLINE = 0.5
_LOOKS_AT_ALIAS = 3
GUARDRAIL, CHAMPION, UNTIL, USER_CONFIG = "guardrail", "champion", "until", "user_config"
"""Who ends an experiment where no person does."""


class ExperimentRunner:
    """Applies the system's experiment in one replica.

    The records say which one runs; they are looked at every few seconds, in a thread of its own,
    so that a start, a raised share and an end reach every replica without a restart. While they
    are away, what was known stays.

    Args:
        system: its name.
        args: what the application was started with.
        kind: what experiments need to know of the system; asked when one starts.
        meter: counts.
        log: says what began and ended.
        now: microseconds since 1970 UTC.
    """

    def __init__(
        self,
        system: str,
        args: ServiceSettings,
        kind: Callable[[], ChallengerKind],
        meter: Metrics,
        log: JsonLog,
        now: Callable[[], int],
    ) -> None:
        self._system, self._args, self._kind = system, args, kind
        self._meter, self._log, self._now = meter, log, now
        self._repository = ExperimentRepository(args.records)
        self._writer = WriterProcess(args.records)
        self._log_of_decisions = ExperimentLog(self._writer)
        # threads of their own: a database that hangs takes none of decisions
        self._threads = BoundedExecutor("experiments", 1)
        self._processes = BoundedExecutor("challenger", 1)
        self._guard = GuardedCall("records", RecordsUnavailableError, _RECORDS_SECONDS)
        self._declared: Experiment | None = None
        self._previous: Experiment | None = None
        self._is_declared_new = False
        self._running: asyncio.Task[None] | None = None
        self._endings: dict[str, tuple[str, str]] = {}
        self._last: dict[str, Any] | None = None
        self._error: str | None = None
        self._lost = self._stored = 0
        self.config_error: str | None = None
        self.active: ActiveExperiment | None = None
        name = f"forewarn_{system}"
        self._trials, self._faults = f"{name}_trials", f"{name}_challenger_faults"
        self._times, self._rows = f"{name}_challenger_ms", f"{name}_experiment_rows"
        self._breaches = f"{name}_guardrail_breaches"

    def declare(self, experiment: Experiment | None) -> None:
        """Takes in the experiment of `user_config`; it is started, or ended, by the next `poll`."""
        if experiment != self._declared:
            self._is_declared_new = True
            self._previous, self._declared = self._declared, experiment

    async def poll(self) -> None:
        """Learns what runs, and applies it; never raises for the records."""
        try:
            await self._apply_declared()
            await self._end_in_records()
            stored = await self._ask(lambda: self._repository.running(self._system))
        except (RecordsUnavailableError, RecordsError, ExperimentError) as error:
            self._error = fault_text(error)
            return
        self._error = None
        if stored is not None and stored.is_past(self._now()):
            self._endings.setdefault(stored.id, (UNTIL, "its declared end has come"))
        await self._apply(stored)

    async def flush(self) -> None:
        """Stores what both models said, and ends what broke a guardrail or lost its champion."""
        if (active := self.active) is not None and (ending := self._ending(active)) is not None:
            self._endings[active.stored.id] = ending
            await self._stop(ending[1])
        try:
            if len(self._log_of_decisions):
                await self._ask(self._log_of_decisions.flush)
            if self._endings:
                await self._end_in_records()
        except (RecordsUnavailableError, RecordsError) as error:
            self._error = fault_text(error)
        self._count_rows()

    async def check(self) -> Health:
        """What runs; a challenger that fails makes no application unready."""
        detail: dict[str, Any] = {"error": self._error, "ended": self._last}
        if (active := self.active) is not None:
            declaration, queue = active.stored.declaration, active.queue
            detail |= {
                "experiment": active.stored.id,
                "mode": declaration.mode,
                "share": active.stored.share,
                "entity": declaration.entity_name,
                "challenger": declaration.challenger,
                "challenger_state": "ready" if queue.ready else queue.state,
                "challenger_error": queue.error,
                "arms": dict(active.counts),
                "faults": dict(active.faults),
                "guardrails": active.monitor.status(),
                "rows_stored": self._log_of_decisions.stored,
                "rows_lost": self._log_of_decisions.lost,
            }
        return Health(True, detail)

    async def close(self) -> None:
        """Ends the challenger's process and stores what waits."""
        await self._stop("the replica stops")
        try:
            await self._ask(self._log_of_decisions.flush)
        except (RecordsUnavailableError, RecordsError) as error:
            self._log.write("experiment-rows-lost", "error", rows=len(self._log_of_decisions))
            self._error = fault_text(error)
        await self._threads.run(self._writer.close)
        self._threads.close()
        self._processes.close()
        self._repository.close()

    def _ending(self, active: ActiveExperiment) -> tuple[str, str] | None:
        """What ends an experiment now, and why in words."""
        if (breach := active.monitor.check()) is not None:
            self._meter.count(self._breaches, breach.guardrail)
            self._log.write(
                "guardrail-breach", "error",
                experiment=active.stored.id, guardrail=breach.guardrail, reason=breach.reason,
            )  # fmt: skip
            return GUARDRAIL, breach.reason
        reason = active.watch.fault()
        return None if reason is None else (CHAMPION, reason)

    async def _ask(self, call: Callable[[], Any]) -> Any:
        return await self._guard.run(lambda: self._threads.run(call))

    async def _apply(self, stored: StoredExperiment | None) -> None:
        if stored is not None and stored.id in self._endings:
            stored = None
        active = self.active
        if stored is None:
            await self._stop("it was ended")
        elif active is None or active.stored.id != stored.id:
            await self._stop("another one runs")
            self._begin(stored)
        elif active.stored != stored:
            self._log.write("experiment-changed", experiment=stored.id, share=stored.share)
            active.stored = stored

    def _begin(self, stored: StoredExperiment) -> None:
        kind, declaration = self._kind(), stored.declaration
        source = ChallengerSource(
            system=self._system,
            version=declaration.challenger,
            registry=self._args.registry,
            folder=str(self._args.models),
            loader=kind.loader,
            options=kind.options,
            memory_mb=self._args.challenger_memory_mb,
            idle=declaration.mode == "shadow",
        )
        monitor = GuardrailMonitor(declaration.guardrails, kind.blocking, kind.reviewing)
        # replicas follow an alias that moved each by itself
        watch = ChampionWatch(declaration, _LOOKS_AT_ALIAS * self._args.follow_seconds)
        queue = ChallengerQueue(
            lambda: ChallengerProcess(source, self._processes),
            self._args.challenger_start_s,
            self._args.challenger_batch_ms / 1000.0,
            monitor.add_faults,
        )
        # however long the declaration lets it take, the champion still answers in time
        most = self._args.deadline_ms / 1000.0 * _SHARE_OF_DEADLINE
        self.active = ActiveExperiment(
            stored, queue, monitor, watch, self._log_of_decisions.append, self._count, most
        )
        self._running = asyncio.get_running_loop().create_task(queue.run())
        self._log.write("experiment-begun", experiment=stored.id, share=stored.share)

    async def _stop(self, reason: str) -> None:
        active, self.active = self.active, None
        running, self._running = self._running, None
        if active is None:
            return
        self._last = {"experiment": active.stored.id, "reason": reason}
        self._log.write("experiment-left", experiment=active.stored.id, reason=reason)
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _end_in_records(self) -> None:
        """Ends in the records what was ended here; tried again until they take it."""
        for experiment_id, (by, reason) in tuple(self._endings.items()):
            end = partial(self._repository.end, experiment_id, by=by, reason=reason, at=self._now())
            with suppress(ExperimentEndedError):  # another replica was first
                await self._ask(end)
            self._endings.pop(experiment_id, None)

    async def _apply_declared(self) -> None:
        """Starts, changes or ends what `user_config` says, once."""
        if not self._is_declared_new:
            return
        declared = self._declared
        try:
            await self._ask(lambda: self._declare_in_records(declared, self._previous))
        except (ExperimentError, RegistryError, StorageError) as error:
            self.config_error = redact_uri(f"user_config.experiment: {error}")
            self._log.write("reload", "error", part="experiment", error=self.config_error)
        else:
            self.config_error = None
        self._is_declared_new = False

    def _declare_in_records(self, declared: Experiment | None, before: Experiment | None) -> None:
        if before is not None and (declared is None or declared.name != before.name):
            self._end_declared(before)
        if declared is None:
            return
        experiment_id = f"{self._system}/{declared.name}"
        try:
            stored = self._repository.find(experiment_id)
        except ExperimentError:
            aliases = Registry(self._args.registry).aliases(self._system)
            versions = declared.with_versions(aliases)
            stored = self._start_declared(versions)
        if stored.ended_at is None and declared.share != stored.share:
            self._repository.raise_share(
                experiment_id, declared.share, by=USER_CONFIG, at=self._now()
            )

    def _start_declared(self, experiment: Experiment) -> StoredExperiment:
        try:
            return self._repository.start(experiment, by=USER_CONFIG, at=self._now())
        except ExperimentError as error:
            try:  # another replica was first
                return self._repository.find(f"{self._system}/{experiment.name}")
            except ExperimentError:
                raise error from None

    def _end_declared(self, before: Experiment) -> None:
        try:
            self._repository.end(
                f"{self._system}/{before.name}",
                by=USER_CONFIG, reason="taken out of user_config", at=self._now(),
            )  # fmt: skip
        except ExperimentError:  # ended before, or never started
            return

    def _count(self, arm: Arm, fault: str | None, milliseconds: float | None) -> None:
        self._meter.count(self._trials, arm)
        if fault is not None:
            self._meter.count(self._faults, fault)
        elif milliseconds is not None:
            self._meter.observe(self._times, milliseconds, arm)

    def _count_rows(self) -> None:
        log = self._log_of_decisions
        if new := log.stored - self._stored:
            self._meter.count(self._rows, "stored", amount=new)
        if lost := log.lost - self._lost:
            self._meter.count(self._rows, "lost", amount=lost)
            self._log.write("experiment-rows-lost", "error", rows=lost)
        self._stored, self._lost = log.stored, log.lost
