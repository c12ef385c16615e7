"""What the applications of all systems have in common: log, keys, rules, records, upkeep."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from lib.access import ApiKeys
from lib.concurrency.background_tasks import BackgroundTasks
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.guarded_call import GuardedRepository
from lib.feature import AsyncProfileStore
from lib.feature.async_store import ThreadedSqliteStore, open_profile_store
from lib.records import Decision, DecisionLog, DrainProcess, Records
from lib.records.review import ReviewStore
from lib.review.policy import ReviewPolicy
from lib.review.queue import ReviewQueue
from lib.review.salt import read_salt
from lib.review.settings import ReviewSettings
from lib.storage import redact_uri
from serve.framework.answers import AnswerWriter
from serve.framework.decision import ServiceParts
from serve.framework.decision_store import DecisionStore
from serve.framework.experiment import ExperimentRunner
from serve.framework.flushing import FLUSH_SECONDS, Flusher
from serve.framework.health import Health, HealthChecks
from serve.framework.incident_watch import IncidentWatch
from serve.framework.json_log import JsonLog
from serve.framework.metrics import Metrics
from serve.framework.model_slot import ModelSlot
from serve.framework.problem import fault_fields
from serve.framework.reloadable import ActiveRules
from serve.framework.rescoring import RescoreDecision, Rescorer
from serve.framework.review import ReviewService
from serve.framework.review_flow import Follow, ReviewAdmission, ReviewOutcomes, record_facts
from serve.framework.rule_service import RuleService, RuleSource
from serve.framework.settings import ServiceSettings, UserConfig
from serve.framework.trial import ChallengerKind
from serve.framework.validation import SECOND, BodyParser, Clock, system_clock

_SWEEP_SECONDS, _EXPERIMENT_SECONDS = 600.0, 1.0
SettingsT_co = TypeVar("SettingsT_co", bound=ServiceSettings, covariant=True)


@dataclass(frozen=True)
class ServiceStart(Generic[SettingsT_co]):
    """What a replica's service begins with.

    Attributes:
        args: what the application was started with.
        meter: counts.
        now: microseconds since 1970 UTC; None is the system clock.
    """

    args: SettingsT_co
    meter: Metrics
    now: Callable[[], int] | None = None


class RiskService:
    """One replica's service: what a system's own parts are added to.

    Args:
        system: its name.
        start: settings, counts and clock.
        active_rules: rules in force.

    Attributes:
        parts: what the system's own parts share.
        profiles: what is known of subjects, in the system's own store.
        model_slot: the model of this process; None where it is in another deployment.
        review: the queue of what people decide; `outcomes` lets that take effect.
        periodic_tasks: the system's own, with the seconds between them.
    """

    profiles: GuardedRepository[Any]
    model_slot: ModelSlot[Any] | None
    review: ReviewService
    outcomes: ReviewOutcomes

    def __init__(
        self, system: str, start: ServiceStart[ServiceSettings], active_rules: ActiveRules
    ) -> None:
        args, meter, now = start.args, start.meter, start.now
        self.system, self.meter = system, meter
        self._settings, self.limits = args, args.limits
        self.periodic_tasks: list[tuple[float, Callable[[], Awaitable[object]]]] = []
        self._incidents = IncidentWatch(system, args.records, meter)
        self.periodic_tasks.append((args.follow_seconds, self._incidents.refresh))
        self.log = JsonLog(system, args.log_file)
        # threads of their own: a database or registry that hangs takes none of the others'
        self.loading = BoundedExecutor("loading", 1)
        self._flusher = Flusher(meter, self.log)
        self._admitting = BoundedExecutor("admission", 1)
        self.parsing, self.answers = BodyParser(), AnswerWriter()
        self.keys = ApiKeys(args.api_keys)
        self.background = BackgroundTasks(self.log, fault_fields)
        self.active_rules = active_rules
        self.decision_store = DecisionStore(
            system,
            DecisionLog(args.journal),
            Records(args.records),
            DrainProcess(args.journal, args.records),
            meter,
            self.log,
        )
        clock = Clock(
            now or system_clock, args.ahead_seconds * SECOND, args.receipts_seconds * SECOND
        )
        self.rules = RuleService(
            RuleSource(system, args.records, args.rules),
            active_rules, self.loading, clock.now, partial(self.record_reload, "rules"),
        )  # fmt: skip
        self.experiments = ExperimentRunner(
            system, args, self.challenger_kind, meter, self.log, clock.now
        )
        self.parts = ServiceParts(
            system, clock, active_rules, self.decision_store, meter, self.background,
            self.experiments,
        )  # fmt: skip
        # of leases in the review queue; None is the database's, which all replicas share
        self.lease_clock = now
        self._config_error: str | None = None
        self.readiness = HealthChecks(
            {
                "model": self.check_model,
                "rules": self.rules.check,
                "store": self.check_store,
                "records": self._check_records,
                "keys": self._check_keys,
                "config": self._check_config,
                "experiment": self.experiments.check,
            }
        )

    def challenger_kind(self) -> ChallengerKind:
        """What experiments need to know of the system; asked when one starts."""
        raise NotImplementedError

    async def check_model(self) -> Health:
        """How the model is."""
        if self.model_slot is None:
            raise NotImplementedError
        return model_health(self.model_slot.state())

    @property
    def restart_reason(self) -> str:
        """See `FrontService`."""
        return "" if self.model_slot is None else self.model_slot.restart_reason

    async def check_store(self) -> Health:
        """How the store of profiles is."""
        await self.profiles.ping()
        return Health(True)

    async def is_ready(self) -> bool:
        """Whether what fallbacks waited for is back."""
        model = None if self.model_slot is None else self.model_slot.current
        return not self.profiles.unavailable and model is not None

    async def close(self) -> None:
        """Gives back what the system's own parts hold; called last."""
        self.review.close()
        await self.profiles.close()

    def new_profile_store(self, url: str, timeout: float) -> AsyncProfileStore:
        """See `open_profile_store`; an SQLite file is swept every ten minutes."""
        store = open_profile_store(url, timeout)
        if isinstance(store, ThreadedSqliteStore):
            self.periodic_tasks.append((_SWEEP_SECONDS, store.sweep))
        return store

    def new_rescorer(
        self, rescore: RescoreDecision, is_ready: Callable[[], Awaitable[bool]] | None = None
    ) -> Rescorer:
        """See `Rescorer`; it runs every `rescore_seconds`."""
        rescorer = Rescorer(
            self.decision_store, rescore, is_ready or self.is_ready, self.meter,
            f"forewarn_{self.system}_rescored", self.log, self.parts.clock.now,
        )  # fmt: skip
        self.periodic_tasks.append((self._settings.rescore_seconds, rescorer.run_once))
        return rescorer

    def new_review(
        self, policy: ReviewPolicy, then: Callable[[Decision], Awaitable[None]] | None = None
    ) -> ReviewService:
        """The review queue of the decisions of a policy, filled and emptied in the background.

        Args:
            policy: which decisions people look at, and what a closed case becomes.
            then: what else follows for the decision; done again, it changes nothing.
        """
        salt = read_salt(self._settings.review_salt)
        reviews = ReviewStore(self._settings.records, self.system)
        queue = ReviewQueue(reviews, ReviewSettings(salt=salt))
        self.admission = ReviewAdmission(self.parts, queue, policy, self.log, self._admitting)
        self.periodic_tasks.append((self._settings.review_seconds, self.admission.run_once))
        self.outcomes = self.new_outcomes(queue, record_facts(policy, self.parts, then))
        return ReviewService(self.parts, queue, self.lease_clock, policy)

    def new_outcomes(self, queue: ReviewQueue, follow: Follow) -> ReviewOutcomes:
        """See `ReviewOutcomes`; it runs every `review_seconds`."""
        outcomes = ReviewOutcomes(self.parts, queue, follow, self.log)
        self.periodic_tasks.append((self._settings.review_seconds, outcomes.run_once))
        return outcomes

    async def apply_user_config(self, live: UserConfig) -> None:
        """Takes in the fields of `user_config` beside `model` and `rules`; never raises."""

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Everything that goes on beside requests; at the end nothing is left half done."""
        await self.decision_store.drain()
        await self.rules.poll()  # before the first decision
        self.background.schedule(FLUSH_SECONDS, self._flusher.flush)
        self.background.schedule(self._settings.drain_seconds, self.decision_store.drain)
        if self.model_slot is not None:
            self.background.schedule(self._settings.follow_seconds, self._follow)
        self.background.schedule(self._settings.rules_seconds, self.rules.poll)
        self.background.schedule(self._settings.experiment_seconds, self.experiments.poll)
        self.background.schedule(_EXPERIMENT_SECONDS, self.experiments.flush)
        for seconds, work in self.periodic_tasks:
            self.background.schedule(seconds, work)
        try:
            yield
        finally:
            await self.background.close(self._settings.shutdown_s)
            await self.experiments.close()
            self.rules.close()
            await self.decision_store.drain()
            self.decision_store.close()
            self._incidents.close()
            await self.close()
            for threads in (self.loading, self._admitting, self.parsing, self.answers):
                threads.close()
            self._flusher.close()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads, checks and swaps model and rules; never raises.

        Ray Serve would replace a replica whose reconfiguration fails, so one bad file would take
        the application down. What is wrong is in `/readyz`, the log and the metrics, and what was
        in force stays so.

        Args:
            config: fields of `UserConfig`; what is not named is as at the start.
        """
        try:
            live = self._settings.user_config.model_validate(self._live_fields(config))
        except ValidationError as error:
            self._config_error = "; ".join(
                f"user_config.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            self.record_reload("config", False, self._config_error)
            return
        self._config_error = None
        self.experiments.declare(live.experiment)
        await self.rules.declare(live.rules)
        await self.apply_user_config(live)
        if (model := self.model_slot) is not None:
            loaded = await self.loading.run(model.load, live.model)
            self.record_reload("model", loaded, model.error)

    def _live_fields(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """`user_config` in full; an experiment is of this system unless it names another one."""
        fields = {**self._settings.live, **config}
        if isinstance(experiment := fields["experiment"], Mapping):
            fields["experiment"] = {"system": self.system, **experiment}
        return fields

    def record_reload(self, part: str, loaded: bool, error: str | None) -> None:
        """Counts and logs a load."""
        outcome = "loaded" if loaded else "refused"
        self.readiness.expire()
        self.meter.count(f"forewarn_{self.system}_reloads", part, outcome)
        level = "info" if loaded else "error"
        error_text = None if error is None else redact_uri(error)
        self.log.write("reload", level, part=part, outcome=outcome, error=error_text)

    async def _follow(self) -> None:
        model = self.model_slot
        loaded = None if model is None else await self.loading.run(model.refresh_alias)
        if model is not None and loaded is not None:
            self.record_reload("model", loaded, model.error)

    async def _check_records(self) -> Health:
        await self.decision_store.ping()
        backlog = self.decision_store.journal.pending_bytes
        return Health(
            self.decision_store.error is None,
            {
                "error": self.decision_store.error,
                "journal_bytes": backlog,
                "memory_bytes": self.decision_store.buffered_bytes,
            },
        )

    async def _check_keys(self) -> Health:
        return Health(self.keys.fault is None, {"error": self.keys.fault})

    async def _check_config(self) -> Health:
        error = self._config_error or self.experiments.config_error
        return Health(error is None, {"error": error})


def model_health(state: Mapping[str, Any]) -> Health:
    """How a model is, by its `version` and `error`; see `ModelSlot.state`."""
    return Health(state["version"] is not None and state["error"] is None, state)
