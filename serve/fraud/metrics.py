"""What the fraud application counts and times."""

from __future__ import annotations

from serve.framework import Metric
from serve.framework.decision_store import RECORD_FAULTS
from serve.framework.gateway import REQUEST_MS, REQUESTS
from serve.framework.metrics import MILLISECONDS
from serve.framework.rescoring import RESCORE_FAULTS

SYSTEM = "fraud"
STAGE = "forewarn_fraud_stage_ms"
DECISIONS = "forewarn_fraud_decisions"
FALLBACKS = "forewarn_fraud_fallbacks"
RETRIES = "forewarn_fraud_retries"
UNKNOWN_METHODS = "forewarn_fraud_unknown_payment_methods"
LABELS = "forewarn_fraud_labels"
RESCORED = "forewarn_fraud_rescored"
RELOADS = "forewarn_fraud_reloads"
RULE_HITS = "forewarn_fraud_rule_hits"

INSTRUMENTS = (
    REQUESTS,
    REQUEST_MS,
    Metric(STAGE, "time of a stage of one decision in eight, ms", ("stage",), MILLISECONDS),
    Metric(DECISIONS, "decisions", ("decision", "method")),
    Metric(FALLBACKS, "decisions of a fallback, by what was out", ("out",)),
    Metric(RETRIES, "retries, by whether the payment was the same", ("payment",)),
    Metric(UNKNOWN_METHODS, "payments by a method outside the vocabulary"),
    Metric(LABELS, "facts received", ("outcome",)),
    Metric(RESCORED, "fallbacks scored again"),
    Metric(RELOADS, "loads of a model or of rules", ("part", "outcome")),
    Metric(RULE_HITS, "rules that fired", ("rule", "status")),
    RECORD_FAULTS,
    RESCORE_FAULTS,
)
