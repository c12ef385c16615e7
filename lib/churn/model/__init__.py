"""The churn model: two halves, calibrated, explained, judged and reported."""

SYSTEM = "churn"
