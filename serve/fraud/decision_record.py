"""One payment with all that its decision was made of: its answer and its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib.feature import Event
from lib.fraud.features import PAYMENT_METHODS
from lib.rules import Verdict
from serve.framework import Metrics, RequestContext
from serve.framework.decision_record import DecisionCounter, decision_row
from serve.fraud import metrics
from serve.fraud.decision_policy import DecisionResult
from serve.fraud.events import to_json
from serve.fraud.metrics import SYSTEM
from serve.fraud.model import ModelScore
from serve.fraud.profiles import FeatureVector

_KNOWN_METHODS = frozenset(PAYMENT_METHODS)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What was known, said and chosen.

    Attributes:
        event: the payment.
        features: its features.
        verdict: of the rules.
        model_score: of the model, None while it is out.
        result: the decision.
        received_at: microseconds since 1970 UTC.
        decided_at: likewise.
    """

    event: Event
    features: FeatureVector
    verdict: Verdict
    model_score: ModelScore | None
    result: DecisionResult
    received_at: int
    decided_at: int

    def answer(self, context: RequestContext) -> dict[str, Any]:
        """The body; see `ScoreAnswer`, which tests hold it to."""
        model_score, result = self.model_score, self.result
        return {
            "transaction_id": self.event["transaction_id"],
            "decision": result.decision,
            "fraud_score": None if model_score is None else model_score.probability,
            "reason": result.reason,
            "reasons": list(result.reasons),
            "method": result.method,
            "rule_id": None if self.verdict.action is None else self.verdict.rule_id,
            "model_version": None if model_score is None else model_score.model_version,
            "latency_ms": context.latency_ms(),
            "request_id": context.request_id,
        }

    def row(
        self, answer: Mapping[str, Any], rules_version: str, feature_set_digest: str
    ) -> dict[str, Any]:
        """The record of the decision that was answered so: the columns of `Decision`."""
        event = self.event
        names = ("user_id", "merchant_id", "device_id")
        return decision_row(
            answer,
            self.verdict,
            self.features.values,
            system=SYSTEM,
            subject_id=event["transaction_id"],
            entities={name: event[name] for name in names},
            event_time=event["event_time"],
            received_at=self.received_at,
            decided_at=self.decided_at,
            score=answer["fraud_score"],
            reasons=answer["reasons"],
            rules_version=rules_version,
            feature_set_digest=feature_set_digest,
            request=to_json(event),
        )

    def count(self, counter: DecisionCounter, meter: Metrics, log_fields: dict[str, Any]) -> None:
        """Counts the decision, and adds it to the log line."""
        unavailable = "model" if self.features.is_complete else "history"
        result = self.result
        counter.count(log_fields, result.decision, result.method, self.verdict, unavailable)
        if self.event["payment_method"] not in _KNOWN_METHODS:
            meter.count(metrics.UNKNOWN_METHODS)
            log_fields["unknown_payment_method"] = True
