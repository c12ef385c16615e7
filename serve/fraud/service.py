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
        elsewhere: the model's deployment; None keeps the model in this process.
        times: when a payment may come; None is the system clock.
    """

    def __init__(
        self,
        args: FraudSettings,
        meter: Metrics,
        elsewhere: ScoreProvider | None = None,
        times: EventTimePolicy | None = None,
    ) -> None:
        self.args = args
        features = args.features
        self._seat = LocalModel(args.registry, args.models, features) if elsewhere is None else None
        self._model: ScoreProvider = elsewhere or self._seat  # type: ignore[assignment]
        times = times or EventTimePolicy(args.receipt_seconds * SECOND, args.ahead_seconds * SECOND)
        self._store = open_profile_store(args.profile_store, args.store_timeout_ms / 1000.0)
        self.history = ProfileRepository(
            features,
            self._store,
            # a clock that is ahead must not outlive its receipt
            args.receipt_seconds + args.ahead_seconds,
            args.store_timeout_ms / 1000.0,
        )
        rulings = _rulings(args, self.history.without_store)
        super().__init__(metrics.SYSTEM, args, meter, metrics.RELOADS, rulings)
        self.desk = PaymentDecider(
            features,
            self.history,
            self.rulings,
            self._model,
            self.archive,
            meter,
            self.later.run,
            times,
            args.fallback_cap_minor,
            args.scale,
        )
        self.labels = LabelIngestor(self.archive, self.history, meter, times.now, times.ahead)
        recovery = PaymentRescorer(features, self.desk, self.history, self.labels, times.now)
        self.redoing = Rescorer(
            self.archive,
            recovery.redo,
            recovery.ready,
            meter,
            metrics.RESCORED,
            self.log,
            times.now,
        )

    @property
    def replaceable(self) -> LocalModel | None:
        """See `RiskService`."""
        return self._seat

    def rounds(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """See `RiskService`."""
        rounds = [(self.args.rescore_seconds, self.redoing.work_off)]
        if isinstance(self._store, ThreadedSqliteStore):
            rounds.append((_SWEEP_SECONDS, self._store.sweep))
        return list(rounds)

    async def close(self) -> None:
        """See `RiskService`."""
        await self.history.close()

    async def model_part(self) -> Health:
        """See `RiskService`."""
        return model_health(await self._model.status())

    async def store_part(self) -> Health:
        """See `RiskService`."""
        await self.history.ping()
        return Health(True)


def _rulings(args: FraudSettings, without_store: frozenset[str]) -> ActiveRules:
    fields = rule_fields(FRAUD.names)
    return ActiveRules(fields, RULES_FILE, ACTIONS, {*without_store, *PAYMENT_TEXTS}, _secret(args))


def _secret(args: FraudSettings) -> bytes:
    return b"" if args.exploration_key is None else args.exploration_key.read_bytes().strip()
