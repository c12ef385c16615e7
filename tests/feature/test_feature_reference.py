"""The reference of feature files: every key and every aggregate is there, and its examples load."""

from __future__ import annotations

import dataclasses
from typing import get_args

import yaml

from lib.feature.feature_file import AggregateName, FeatureDeclaration
from lib.feature.feature_reader import load_features
from lib.feature.feature_reference import AGGREGATES, example_file, key_meanings, reference
from tests.feature.shop_events import BASE, COLUMNS


def test_every_key_of_an_entry_has_a_meaning():
    fields = [field.name for field in dataclasses.fields(FeatureDeclaration)]
    assert list(key_meanings()) == fields
    assert all(f"| `{name}` |" in reference() for name in fields)


def test_every_aggregate_has_an_example_that_loads():
    assert set(AGGREGATES) == set(get_args(AggregateName))
    text = example_file()
    assert [entry.get("aggregate") for entry in yaml.safe_load(text)["features"]] == [
        *AGGREGATES,
        None,
    ]
    file = load_features(text, "features.yaml", BASE, COLUMNS)
    assert len(file.features) == len(AGGREGATES) + 1
    assert text in reference()
