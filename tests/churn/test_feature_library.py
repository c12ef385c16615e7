"""The packaged features of customers are a file, and other files may use what it uses."""

from __future__ import annotations

import yaml

from lib.churn.events import NUMBERS
from lib.churn.feature_library import GROUPS, customer_library
from lib.churn.features import FEATURES_YAML, churn_features, group_of
from lib.churn.profiles import STANDING, online_features
from lib.churn.reasons import words_for
from lib.churn.vocabulary import CustomerVocabulary

BASE = CustomerVocabulary()
LIBRARY = customer_library(BASE)


def test_a_model_of_before_reads_the_same_features():
    some = CustomerVocabulary(("a", "b"), ("p", "q"), ("usage", "invoices"))
    assert churn_features(BASE).digest.startswith("4c993e2999704ee1")
    assert churn_features(some).digest.startswith("c6e8be058012a03e")
    assert online_features(some).digest.startswith("a3eb40ad31a3c0b2")
    assert STANDING.digest.startswith("f9d2beca42fca159")


def test_the_file_declares_every_feature_and_its_group():
    groups = yaml.safe_load(FEATURES_YAML.read_text(encoding="utf-8"))["groups"]
    names = [entry["name"] for entries in groups.values() for entry in entries]
    assert names == [feature.name for feature in churn_features(BASE).features]
    assert tuple(groups) == GROUPS
    assert group_of()["active_users_30d"] == "adoption"
    assert "usage_30d" in group_of()
    assert "opened_ever" not in group_of()


def test_the_file_has_the_words_of_reasons():
    assert words_for("competitor_mention_30d") == "mentions of a competitor in the last 30 days"
    assert words_for("tenure_days") == "days since the first contract"
    assert words_for("usage_7d") == "usage in the last 7 days"


def test_what_says_that_a_customer_leaves_has_no_name_in_files():
    read = {column for each in LIBRARY.quantities.values() for column in each.quantity.columns}
    assert set(NUMBERS) - read == {"leaving", "ends_day", "flagged", "noticed"}
