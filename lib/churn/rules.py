"""What a churn rule may read and decide."""

from collections.abc import Iterable
from pathlib import Path

RULES_FILE = Path(__file__).with_name("rules.yaml")
"""The rules that stand in front of the churn model."""

ACTIONS = ("MONITOR", "CONTACT", "ACT_NOW")
"""From the mildest to the hardest: nothing special; talk to them soon; today."""


def rule_fields(features: Iterable[str], texts: Iterable[str] = ()) -> dict[str, type]:
    """Every feature (a number), attributes that are texts, and the customer's id."""
    return {**dict.fromkeys(features, float), **dict.fromkeys(texts, str), "customer_id": str}
