"""The fraud application as one object: everything behind its HTTP face, started and stopped."""

from lib.fraud.payment_features import PaymentFeatures
from lib.fraud.review import PaymentReview
from lib.fraud.rules import ACTIONS, PAYMENT_TEXTS, RULES_FILE
from serve.framework import Health
from serve.framework.profiles import ProfileRepository, known_without_store
from serve.framework.reloadable import ActiveRules
from serve.framework.service import RiskService, ServiceStart, model_health
from serve.framework.trial import ChallengerKind
from serve.fraud import metrics
from serve.fraud.decision import PaymentDecider
from serve.fraud.labels import LabelIngestor
from serve.fraud.model import LocalModel, ScoreProvider, served_features
from serve.fraud.rescoring import PaymentRescorer
from serve.fraud.settings import FraudSettings


class FraudService(RiskService):
    """Rules, features, model, policy, records.

    Args:
        start: see `RiskService`.
        features: of the payments; None takes those of the model.
        remote_model: the model's deployment; None keeps the model in this process.
    """

    profiles: ProfileRepository
    model_slot: LocalModel | None

    def __init__(
        self,
        start: ServiceStart[FraudSettings],
        features: PaymentFeatures | None = None,
        remote_model: ScoreProvider | None = None,
    ) -> None:
        self.args = args = start.args
        self.features = features = features or served_features(args)
        super().__init__(metrics.SYSTEM, start, _active_rules(args, features))
        self.model_slot = (
            LocalModel(args.registry, args.models, features) if remote_model is None else None
        )
        self._model: ScoreProvider = remote_model or self.model_slot  # type: ignore[assignment]
        timeout = args.store_timeout_ms / 1000.0
        self.profiles = ProfileRepository(
            features.feature_set,
            self.new_profile_store(args.profile_store, timeout),
            # a clock that is ahead must not outlive its receipt
            args.receipt_seconds + args.ahead_seconds,
            timeout,
        )
        self.decider = PaymentDecider(
            self.parts, features, self.profiles, self._model, args.fallback_cap_minor
        )
        self.labels = LabelIngestor(self.parts, self.profiles, self.decider.codec)
        payment_rescorer = PaymentRescorer(
            features.feature_set, self.decider, self.profiles, self.labels
        )
        self.rescorer = self.new_rescorer(payment_rescorer.rescore, payment_rescorer.ready)
        self.review = self.new_review(PaymentReview(scale=args.scale), self.labels.replay)

    def challenger_kind(self) -> ChallengerKind:
        """See `RiskService`."""
        return ChallengerKind(
            "lib.fraud.model.challenger:load", self.features.to_json(), ("DECLINE",), ("REVIEW",)
        )

    async def check_model(self) -> Health:
        """See `RiskService`."""
        return model_health(await self._model.status())


def _active_rules(args: FraudSettings, features: PaymentFeatures) -> ActiveRules:
    without_store = {*known_without_store(features.feature_set), *PAYMENT_TEXTS, *features.texts}
    return ActiveRules(features.rule_fields, RULES_FILE, ACTIONS, without_store, _secret(args))


def _secret(args: FraudSettings) -> bytes:
    return b"" if args.exploration_key is None else args.exploration_key.read_bytes().strip()
