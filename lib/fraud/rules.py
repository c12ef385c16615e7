"""What a fraud rule may read and decide."""

from collections.abc import Iterable
from pathlib import Path

RULES_FILE = Path(__file__).with_name("rules.yaml")
"""The rules that stand in front of the fraud model."""

ACTIONS = ("APPROVE", "REVIEW", "DECLINE")
"""From the mildest to the hardest."""

PAYMENT_TEXTS = ("currency", "payment_method", "user_id", "merchant_id", "device_id")
"""Fields of the payment itself that rules may read beside its features."""


def rule_fields(feature_names: Iterable[str]) -> dict[str, type]:
    """Return the fields a fraud rule may read: every feature (a number) and the payment's texts.

    Args:
        feature_names: names of the fraud features, `lib.fraud.features.FRAUD.names`.
    """
    return {**dict.fromkeys(feature_names, float), **dict.fromkeys(PAYMENT_TEXTS, str)}
