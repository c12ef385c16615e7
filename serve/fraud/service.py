"""The fraud application as one object: everything behind its HTTP face, started and stopped."""

from dataclasses import asdict

from lib.fraud.features import FRAUD
from lib.fraud.review import PaymentReview
from lib.fraud.rules import ACTIONS, PAYMENT_TEXTS, RULES_FILE, rule_fields
from serve.framework import Health
from serve.framework.profiles import ProfileRepository, known_without_store
from serve.framework.reloadable import ActiveRules
from serve.framework.service import RiskService, ServiceStart, model_health
from serve.framework.trial import ChallengerKind
from serve.fraud import metrics
from serve.fraud.decision import PaymentDecider
from serve.fraud.labels import LabelIngestor
from serve.fraud.model import LocalModel, ScoreProvider
from serve.fraud.rescoring import PaymentRescorer
from serve.fraud.settings import FraudSettings


class FraudService(RiskService):
    """Rules, features, model, policy, records.

    Args:
        start: see `RiskService`.
        remote_model: the model's deployment; None keeps the model in this process.
    """

    profiles: ProfileRepository
    model_slot: LocalModel | None

    def __init__(
        self, start: ServiceStart[FraudSettings], remote_model: ScoreProvider | None = None
    ) -> None:
        self.args = args = start.args
        features = args.features
        super().__init__(metrics.SYSTEM, start, _active_rules(args))
        self.model_slot = (
            LocalModel(args.registry, args.models, features) if remote_model is None else None
        )
        self._model: ScoreProvider = remote_model or self.model_slot  # type: ignore[assignment]
        timeout = args.store_timeout_ms / 1000.0
        self.profiles = ProfileRepository(
            features,
            self.new_profile_store(args.profile_store, timeout),
            # a clock that is ahead must not outlive its receipt
            args.receipt_seconds + args.ahead_seconds,
            timeout,
        )
        self.decider = PaymentDecider(
            self.parts, features, self.profiles, self._model, args.fallback_cap_minor, args.scale
        )
        self.labels = LabelIngestor(self.parts, self.profiles)
        payment_rescorer = PaymentRescorer(features, self.decider, self.profiles, self.labels)
        self.rescorer = self.new_rescorer(payment_rescorer.rescore, payment_rescorer.ready)
        self.review = self.new_review(PaymentReview(scale=args.scale), self.labels.replay)

    def challenger_kind(self) -> ChallengerKind:
        """See `RiskService`."""
        return ChallengerKind(
            "lib.fraud.model.challenger:load", asdict(self.args.scale), ("DECLINE",), ("REVIEW",)
        )

    async def check_model(self) -> Health:
        """See `RiskService`."""
        return model_health(await self._model.status())


def _active_rules(args: FraudSettings) -> ActiveRules:
    without_store = {*known_without_store(args.features), *PAYMENT_TEXTS}
    return ActiveRules(rule_fields(FRAUD.names), RULES_FILE, ACTIONS, without_store, _secret(args))


def _secret(args: FraudSettings) -> bytes:
    return b"" if args.exploration_key is None else args.exploration_key.read_bytes().strip()
