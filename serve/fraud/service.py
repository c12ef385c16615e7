"""The fraud application as one object: everything behind its HTTP face, started and stopped.

Places for what comes: the review queue reads what `Archive` keeps and takes its outcomes in through
`LabelIngestor`; an experiment between champion and challenger is a `ScoreProvider` that asks two
others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lib.fraud.features import FRAUD
from lib.fraud.rules import ACTIONS, PAYMENT_TEXTS, RULES_FILE, rule_fields
from serve.framework import Health, Metrics
from serve.framework.active_rules import ActiveRules
from serve.framework.profile_stores import ThreadedSqliteStore, open_profile_store
from serve.framework.rescoring import Rescorer
from serve.framework.service import RiskService, model_health
from serve.fraud import metrics
from serve.fraud.decision import PaymentDecider
from serve.fraud.event_time import SECOND, EventTimePolicy
from serve.fraud.labels import LabelIngestor
from serve.fraud.model import LocalModel, ScoreProvider
from serve.fraud.profiles import ProfileRepository
from serve.fraud.rescoring import PaymentRescorer
from serve.fraud.settings import FraudSettings

_SWEEP_SECONDS = 600.0


class FraudService(RiskService):
    """Rules, features, model, policy, records.

    Args:
        args: what the application was started with.
        meter: counts and times.
        remote_model: the model's deployment; None keeps the model in this process.
        times: when a payment may come; None is the system clock.
    """

    def __init__(
        self,
        args: FraudSettings,
        meter: Metrics,
        remote_model: ScoreProvider | None = None,
        times: EventTimePolicy | None = None,
    ) -> None:
        self.args = args
        features = args.features
        self._local_model = (
            LocalModel(args.registry, args.models, features) if remote_model is None else None
        )
        self._model: ScoreProvider = remote_model or self._local_model  # type: ignore[assignment]
        times = times or EventTimePolicy(args.receipt_seconds * SECOND, args.ahead_seconds * SECOND)
        self._store = open_profile_store(args.profile_store, args.store_timeout_ms / 1000.0)
        self.profiles = ProfileRepository(
            features,
            self._store,
            # a clock that is ahead must not outlive its receipt
            args.receipt_seconds + args.ahead_seconds,
            args.store_timeout_ms / 1000.0,
        )
        active_rules = _rulings(args, self.profiles.without_store)
        super().__init__(metrics.SYSTEM, args, meter, metrics.RELOADS, active_rules)
        self.decider = PaymentDecider(
            features,
            self.profiles,
            self.active_rules,
            self._model,
            self.decision_store,
            meter,
            self.background,
            times,
            args.fallback_cap_minor,
            args.scale,
        )
        self.labels = LabelIngestor(
            self.decision_store, self.profiles, meter, times.now, times.ahead
        )
        payment_rescorer = PaymentRescorer(
            features, self.decider, self.profiles, self.labels, times.now
        )
        self.rescorer = Rescorer(
            self.decision_store,
            payment_rescorer.rescore,
            payment_rescorer.ready,
            meter,
            metrics.RESCORED,
            self.log,
            times.now,
        )

    @property
    def local_model(self) -> LocalModel | None:
        """See `RiskService`."""
        return self._local_model

    def periodic_tasks(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """See `RiskService`."""
        tasks = [(self.args.rescore_seconds, self.rescorer.run_once)]
        if isinstance(self._store, ThreadedSqliteStore):
            tasks.append((_SWEEP_SECONDS, self._store.sweep))
        return list(tasks)

    async def close(self) -> None:
        """See `RiskService`."""
        await self.profiles.close()

    async def check_model(self) -> Health:
        """See `RiskService`."""
        return model_health(await self._model.status())

    async def check_store(self) -> Health:
        """See `RiskService`."""
        await self.profiles.ping()
        return Health(True)


def _rulings(args: FraudSettings, without_store: frozenset[str]) -> ActiveRules:
    fields = rule_fields(FRAUD.names)
    return ActiveRules(fields, RULES_FILE, ACTIONS, {*without_store, *PAYMENT_TEXTS}, _secret(args))


def _secret(args: FraudSettings) -> bytes:
    return b"" if args.exploration_key is None else args.exploration_key.read_bytes().strip()
