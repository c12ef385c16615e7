"""The features of a payment, declared once for training and serving: `features.yaml`.

What they build on that depends on the data set, the scale of amounts, is in `payment_library`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lib.feature import Category, FeatureSet
from lib.feature.feature_library import column_kinds
from lib.feature.feature_reader import read_packaged
from lib.fraud.amounts import AmountScale
from lib.fraud.contracts import TRANSACTIONS
from lib.fraud.feature_library import payment_library

FEATURES_YAML = Path(__file__).with_name("features.yaml")
_EMPTY = FeatureSet(name="fraud", version=1, features=(), facts=("fraud", "declined"))


def fraud_features(scale: AmountScale | None = None) -> FeatureSet:
    """The feature set of amounts on a scale; those of a usual currency without one.

    The scale is part of the digest, so a model is served with the scale it was trained on.
    """
    return _features(scale or AmountScale())


@cache
def _features(scale: AmountScale) -> FeatureSet:
    columns = column_kinds(TRANSACTIONS, _EMPTY)
    return read_packaged(FEATURES_YAML, _EMPTY, columns, payment_library(scale)).extend(_EMPTY)


FRAUD = fraud_features()
"""Of a currency with two decimal digits and amounts up to a million of it."""
PAYMENT_METHODS = next(
    feature.vocabulary
    for feature in FRAUD.features
    if isinstance(feature, Category) and feature.column == "payment_method"
)
"""Those with a code of their own."""
