"""One payment with all that its decision was made of: its answer and its record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib.feature import Event
from lib.fraud.features import PAYMENT_METHODS
from lib.rules import Verdict
from serve.framework import Metrics, RequestContext
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
        sight: its features.
        verdict: of the rules.
        opinion: of the model, None while it is out.
        choice: the decision.
        received_at: microseconds since 1970 UTC.
        decided_at: likewise.
    """

    event: Event
    sight: FeatureVector
    verdict: Verdict
    opinion: ModelScore | None
    choice: DecisionResult
    received_at: int
    decided_at: int

    def answer(self, call: RequestContext) -> dict[str, Any]:
        """The body; see `ScoreAnswer`, which tests hold it to."""
        opinion, choice = self.opinion, self.choice
        return {
            "transaction_id": self.event["transaction_id"],
            "decision": choice.decision,
            "fraud_score": None if opinion is None else opinion.probability,
            "reason": choice.reason,
            "reasons": list(choice.reasons),
            "method": choice.method,
            "rule_id": None if self.verdict.action is None else self.verdict.rule_id,
            "model_version": None if opinion is None else opinion.model_version,
            "latency_ms": round((time.perf_counter() - call.started) * 1000.0, 3),
            "request_id": call.request_id,
        }

    def row(
        self, answer: Mapping[str, Any], rules_version: str, feature_set_digest: str
    ) -> dict[str, Any]:
        """The record of the decision that was answered so: the columns of `Decision`."""
        event, features = self.event, self.sight.values
        return {
            "system": SYSTEM,
            "subject_id": event["transaction_id"],
            "entities": {
                "user_id": event["user_id"],
                "merchant_id": event["merchant_id"],
                "device_id": event["device_id"],
            },
            "event_time": event["event_time"],
            "received_at": self.received_at,
            "decided_at": self.decided_at,
            "decision": answer["decision"],
            "score": answer["fraud_score"],
            "method": answer["method"],
            "rule_id": answer["rule_id"],
            "reasons": answer["reasons"],
            "rule_hits": self.verdict.hits,
            "shadow_hits": self.verdict.shadow_hits,
            "model_version": answer["model_version"],
            "rules_version": rules_version,
            "feature_set_digest": feature_set_digest,
            "features": features if isinstance(features, dict) else dict(features),
            "request_id": answer["request_id"],
            "latency_ms": answer["latency_ms"],
            "answer": answer,
            "request": to_json(event),
        }

    def count(self, meter: Metrics, notes: dict[str, Any]) -> None:
        """Counts the decision, and notes for the log what it was."""
        choice = self.choice
        meter.count(metrics.DECISIONS, choice.decision, choice.method)
        notes["decision"], notes["by"] = choice.decision, choice.method
        if choice.method == "fallback":
            notes["out"] = "model" if self.sight.complete else "history"
            meter.count(metrics.FALLBACKS, notes["out"])
        for rule in self.verdict.hits:
            meter.count(metrics.RULE_HITS, rule, "active")
        for rule in self.verdict.shadow_hits:
            meter.count(metrics.RULE_HITS, rule, "shadow")
        if self.event["payment_method"] not in _KNOWN_METHODS:
            meter.count(metrics.UNKNOWN_METHODS)
            notes["unknown_payment_method"] = True
