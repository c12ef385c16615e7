"""What the fraud application counts and times."""

from serve.framework import Metric
from serve.framework.metrics import (
    MILLISECONDS,
    attribute_states,
    common_metrics,
    review_admissions,
)

SYSTEM = "fraud"
STAGE = "forewarn_fraud_stage_ms"
RETRIES = "forewarn_fraud_retries"
UNKNOWN_METHODS = "forewarn_fraud_unknown_payment_methods"
ATTRIBUTES = "forewarn_fraud_attributes"
LABELS = "forewarn_fraud_labels"

INSTRUMENTS = (
    *common_metrics("fraud"),
    review_admissions("fraud"),
    Metric(STAGE, "time of a stage of one decision in eight, ms", ("stage",), MILLISECONDS),
    Metric(RETRIES, "retries, by whether the payment was the same", ("payment",)),
    Metric(UNKNOWN_METHODS, "payments by a method outside the vocabulary"),
    attribute_states(ATTRIBUTES, "payments"),
    Metric(LABELS, "facts received", ("outcome",)),
)
