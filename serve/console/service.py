"""All parts of one replica of the console: sessions, keys, and where each system is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, ParamSpec, TypeVar

from lib.access import ApiKeys
from lib.concurrency.background_tasks import BackgroundTasks
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.guarded_call import GuardedCall
from lib.console.sessions import SessionRepository
from lib.console.source import SystemSource
from lib.fraud.amounts import AmountScale
from lib.records import RecordsError, RecordsUnavailableError
from lib.records.partitions import DAY
from lib.registry import ArtifactError
from lib.storage import StorageError
from serve.console.settings import ConsoleSettings, SystemSettings
from serve.console.shared_readings import SharedReadings
from serve.console.sign_in import SignInThrottle
from serve.framework.flushing import FLUSH_SECONDS, Flusher
from serve.framework.health import Health, HealthChecks
from serve.framework.json_log import JsonLog
from serve.framework.metrics import Metrics
from serve.framework.problem import fault_fields
from serve.framework.validation import system_clock

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_PREPARE_SECONDS, _FORGET_SECONDS = 5.0, 3_600.0
_AWAY = (RecordsUnavailableError, RecordsError, ArtifactError, StorageError, OSError)
_SESSION_THREADS = 4
_BACKTEST_THREADS = 1


class Reader:
    """Runs blocking reads of one database, in threads of its own, behind a circuit breaker.

    Args:
        name: of what is read.
        threads: reads at a time.
        timeout: seconds, after which it counts as unavailable.
    """

    def __init__(self, name: str, threads: int, timeout: float) -> None:
        self._threads = BoundedExecutor(name, threads)
        self._guard = GuardedCall(name, RecordsUnavailableError, timeout)

    async def run(
        self,
        call: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """What a call returns.

        Raises:
            RecordsUnavailableError: it failed, took too long, or failed often of late.
        """
        work = partial(call, *args, **kwargs)
        return await self._guard.run(lambda: self._threads.run(work))

    async def check(self, call: Callable[[], object]) -> Health:
        """How the database is, by a call of its own."""
        await self._guard.ping(partial(self._ping, call))
        return Health(True)

    async def _ping(self, call: Callable[[], object]) -> None:
        await self._threads.run(call)

    def close(self) -> None:
        """Gives the threads back."""
        self._threads.close()


@dataclass(frozen=True)
class SystemReader:
    """One system, and the threads in which it is read.

    Attributes:
        source: its records and models.
        reader: the threads.
        shared: what everybody looks at.
    """

    source: SystemSource
    reader: Reader
    shared: SharedReadings

    async def read(self, view: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """A view model of this system; see `Reader.run`."""
        return await self.reader.run(view, self.source, *args, **kwargs)

    async def read_shared(self, view: Callable[[SystemSource, int], Result], now: int) -> Result:
        """A view model of this moment, which may be that of somebody who asked just before."""
        return await self.shared.get(view, lambda: self.read(view, now))

    async def read_if_there(self, view: Callable[..., Result], *args: Any) -> Result | None:
        """The same; None where the records or the registry do not answer."""
        try:
            return await self.read(view, *args)
        except _AWAY:
            return None

    async def read_shared_if_there(
        self, view: Callable[[SystemSource, int], Result], now: int
    ) -> Result | None:
        """As `read_shared`; None where the records or the registry do not answer."""
        try:
            return await self.read_shared(view, now)
        except _AWAY:
            return None


@dataclass
class ConsoleService:
    """One replica. It has no model, so none that only a start could bring in.

    Attributes:
        args: what it was started with.
        meter: counts.
        now: microseconds since 1970 UTC.
        lease_clock: of leases of the queue; None is the database's, which all share.
        log: lines of requests and sign-ins.
        keys: who may sign in.
        throttle: slows failed sign-ins.
        session_repository: sessions, read through `sessions`.
        systems: by name, in the order of the settings.
    """

    restart_reason: ClassVar[str] = ""

    args: ConsoleSettings
    meter: Metrics
    now: Callable[[], int] = system_clock
    lease_clock: Callable[[], int] | None = None
    log: JsonLog = field(init=False)
    keys: ApiKeys = field(init=False)
    throttle: SignInThrottle = field(init=False)
    session_repository: SessionRepository = field(init=False)
    systems: Mapping[str, SystemReader] = field(init=False)

    def __post_init__(self) -> None:
        args = self.args
        self.limits = args.limits
        self.log = JsonLog("console", args.log_file)
        self.keys = ApiKeys(args.api_keys)
        self.throttle = SignInThrottle(args.sign_in_failures)
        self.background = BackgroundTasks(self.log, fault_fields)
        self._flusher = Flusher(self.meter, self.log)
        self.solving = BoundedExecutor("solving", 1)
        self.writing = BoundedExecutor("writing", 1)
        self._timeout = args.store_timeout_ms / 1000.0
        self.session_repository = SessionRepository(args.records)
        self.sessions = Reader("sessions", _SESSION_THREADS, self._timeout)
        self.backtests = Reader("backtests", _BACKTEST_THREADS, args.backtest_ms / 1000.0)
        self.systems = {name: self._open(name, where) for name, where in args.systems.items()}
        self._is_prepared = False
        self.readiness = HealthChecks({
            "keys": self._check_keys,
            "sessions": self._check_sessions,
            **{name: partial(self._check_system, reader) for name, reader in self.systems.items()},
        })  # fmt: skip

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """What goes on beside requests."""
        await self._prepare()
        self.background.schedule(FLUSH_SECONDS, self._flusher.flush)
        self.background.schedule(_PREPARE_SECONDS, self._prepare)
        self.background.schedule(_FORGET_SECONDS, self._forget)
        try:
            yield
        finally:
            await self.background.close(self.args.shutdown_s)
            for system in self.systems.values():
                system.reader.close()
                system.source.records.close()
            self.backtests.close()
            self.sessions.close()
            self.solving.close()
            self.writing.close()
            self.session_repository.close()
            self._flusher.close()

    def lease_now(self) -> int | None:
        """The time by which leases end; None leaves it to the database."""
        return None if self.lease_clock is None else self.lease_clock()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Nothing changes while it runs; keys are read again by themselves."""

    def _open(self, name: str, where: SystemSettings) -> SystemReader:
        scale = AmountScale(where.currency_digits)
        source = SystemSource.open(
            name, where.records, where.registry, where.review_salt, scale, where.media
        )
        reader = Reader(name, self.args.threads, self._timeout)
        return SystemReader(source, reader, SharedReadings(self.args.shared_seconds))

    async def _prepare(self) -> None:
        """Brings the table of sessions up to this code, as soon as the database answers."""
        if self._is_prepared:
            return
        try:
            await self.sessions.run(self.session_repository.migrate)
        except RecordsUnavailableError:  # readiness says so
            return
        self._is_prepared = True

    async def _forget(self) -> None:
        before = self.now() - round(self.args.session_days * DAY)
        await self.sessions.run(self.session_repository.forget, before)

    async def _check_keys(self) -> Health:
        return Health(self.keys.fault is None, {"error": self.keys.fault}, required=True)

    async def _check_sessions(self) -> Health:
        await self.sessions.check(self.session_repository.ping)
        return Health(True)

    async def _check_system(self, system: SystemReader) -> Health:
        records = system.source.records
        return await system.reader.check(partial(records.count_open, system.source.system))
