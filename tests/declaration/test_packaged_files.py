"""Files of the product are read fast, and say the same as where every fault is looked for."""

from __future__ import annotations

import pytest

from lib.churn.features import FEATURES_YAML as CUSTOMERS
from lib.declaration import DeclarationError, load_declaration, load_packaged
from lib.feature.feature_file import FeatureList
from lib.fraud.features import FEATURES_YAML as PAYMENTS
from lib.moderation.author import FEATURES_YAML as POSTS


@pytest.mark.parametrize("path", [PAYMENTS, CUSTOMERS, POSTS], ids=lambda path: path.parent.name)
def test_a_packaged_file_has_no_fault(path):
    text = path.read_text(encoding="utf-8")
    assert load_packaged(text, FeatureList, "f") == load_declaration(text, FeatureList, "f")


@pytest.mark.parametrize(
    "text", ["features:\n- {name: x, unit: u, aggregate: cuont}", "features: ["]
)
def test_a_fault_is_named_with_its_line(text: str):
    with pytest.raises(DeclarationError, match=r"f:[12]: "):
        load_packaged(text, FeatureList, "f")
