"""The reference of feature files: every key and every aggregate is there, and its examples load."""

from __future__ import annotations

import dataclasses
from typing import get_args

import yaml

from lib.feature.feature_file import FORMS, AggregateName, FeatureDeclaration
from lib.feature.feature_reader import load_features
from lib.feature.feature_reference import (
    AGGREGATES,
    OTHERS,
    example_file,
    key_meanings,
    library_reference,
    reference,
)
from tests.feature.shop_events import BASE, COLUMNS, LIBRARY


def test_every_key_of_an_entry_has_a_meaning():
    fields = [field.name for field in dataclasses.fields(FeatureDeclaration)]
    assert list(key_meanings()) == fields
    assert all(f"| `{name}` |" in reference() for name in fields)


def test_every_aggregate_has_an_example_that_loads():
    assert set(AGGREGATES) == set(get_args(AggregateName))
    text = example_file()
    assert [entry.get("aggregate") for entry in yaml.safe_load(text)["features"]] == [
        *AGGREGATES,
        *[None] * len(OTHERS),
    ]
    assert set(OTHERS) == set(FORMS) - {"aggregate"}
    file = load_features(text, "features.yaml", BASE, COLUMNS, library=LIBRARY)
    assert len(file.features) == len(AGGREGATES) + len(OTHERS)
    assert text in reference()


def test_what_a_system_gives_by_name_is_listed_without_what_is_for_packaged_files():
    text = library_reference(LIBRARY)
    assert "| `revenue` | what was paid, EUR |" in text
    assert "| `order` | `revenue` | the newest large order |" in text
    assert (
        "| `share` | `part`, `total` | `part / total`; missing where there is no total. |" in text
    )
    assert "root" not in text
