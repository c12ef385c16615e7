"""What a maintenance rule may read and decide."""

from pathlib import Path

from lib.feature.attribute_codes import attribute_texts
from lib.maintenance.feature_set import AssetFeatureSet

RULES_FILE = Path(__file__).with_name("rules.yaml")
"""The rules that stand in front of the survival model of the simulated fleet."""

ACTIONS = ("MONITOR", "SERVICE", "INSPECT", "STOP")
"""From the mildest to the hardest: go on; plan a service; look at it now; stand still now."""


def rule_fields(features: AssetFeatureSet) -> dict[str, type]:
    """Every feature (a number), attributes that are texts, and the machine's id."""
    texts = attribute_texts(features.attributes, {})
    return {**dict.fromkeys(features.names, float), **dict.fromkeys(texts, str), "machine_id": str}
