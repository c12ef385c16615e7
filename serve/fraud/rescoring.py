"""Scores again what a fallback decided, once the parts that were out are back."""

import json
from collections.abc import Mapping
from typing import Any

from lib.feature import FeatureSet, ReceiptConflictError, StoreError
from lib.fraud.payment_event import split_cached_response
from lib.records import Decision
from lib.records.json_codec import write_json
from serve.framework.profiles import ProfileRepository
from serve.fraud.decision import PaymentDecider
from serve.fraud.labels import LabelIngestor

_KEPT = ("decision", "fraud_score", "model_version", "reasons")


class PaymentRescorer:
    """Replays what the profiles missed and asks the model that was out.

    Args:
        features: the declarations.
        decider: asks the model.
        profiles: profiles.
        labels: lets facts count that came meanwhile.
    """

    def __init__(
        self,
        features: FeatureSet,
        decider: PaymentDecider,
        profiles: ProfileRepository,
        labels: LabelIngestor,
    ) -> None:
        self._features, self._decider, self._profiles = features, decider, profiles
        self._labels, self._codec = labels, decider.codec

    async def ready(self) -> bool:
        """Whether everything is back."""
        return not self._profiles.unavailable and await self._decider.has_model()

    async def rescore(self, decision: Decision) -> dict[str, Any] | None:
        """What would have been answered; None while a part is out."""
        try:
            if set(self._features.names) <= decision.features.keys():
                return await self._by_model(decision.features)
            return await self._replayed(decision)
        except StoreError:
            return None

    async def _replayed(self, decision: Decision) -> dict[str, Any] | None:
        """The same, and the profiles know of the payment and of what followed from then on."""
        event = self._codec.from_json(decision.request)
        features = await self._profiles.record_event(event, self._codec.fingerprint(event))
        if features.cached_response is not None:
            # a retry has reached another replica while this one was cut off from the store
            content, answer = split_cached_response(features.cached_response)
            if content != features.fingerprint:
                raise ReceiptConflictError("transaction_id: used meanwhile for another payment")
            settled = json.loads(answer)
            return {name: settled[name] for name in _KEPT}
        if decision.decision == "DECLINE":
            await self._profiles.record_label(event, "declined", event["event_time"], True, 0)
        await self._labels.replay(decision)
        answer = await self._by_model(features.values)
        if answer is not None:
            first = write_json(decision.answer)
            await self._profiles.cache_response(decision.subject_id, features.fingerprint + first)
        return answer

    async def _by_model(self, values: Mapping[str, float]) -> dict[str, Any] | None:
        model_score = await self._decider.model_score(values)
        if model_score is None:
            return None
        return {
            "decision": model_score.decision,
            "fraud_score": model_score.probability,
            "model_version": model_score.model_version,
            "reasons": list(model_score.reasons),
        }
