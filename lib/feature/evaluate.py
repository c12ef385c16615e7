"""From measures to features: the arithmetic that offline and online share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lib.feature import arithmetic
from lib.feature.arithmetic import NAN, Value
from lib.feature.declaration import Category, Columns, Derived, Direct, Feature, FeatureSet
from lib.feature.measures import Key, measure_columns


def evaluate(
    features: FeatureSet,
    columns: Columns,
    measured: Mapping[str, Value],
    has_key: Callable[[Key], Value],
    category: Callable[[Category], Value],
) -> dict[str, Value]:
    """Every feature's value by name, hidden ones included.

    Args:
        features: the declarations.
        columns: the event's columns as numbers: one event's, or arrays of all events'.
        measured: the measures' values by column name, as floats.
        has_key: whether the event names the key at all; where it does not, features are missing.
        category: the code of a categorical feature.
    """
    values: dict[str, Value] = {}
    for feature in features.features:
        if isinstance(feature, Derived):
            value = feature.formula(*(values[name] for name in feature.inputs))
        elif isinstance(feature, Direct):
            value = feature.formula(*(columns[name] for name in feature.columns))
        elif isinstance(feature, Category):
            value = category(feature)
        else:
            value = _aggregate(feature, measured, has_key)
        values[feature.name] = value
    return values


def _aggregate(
    feature: Feature, measured: Mapping[str, Value], has_key: Callable[[Key], Value]
) -> Value:
    present = has_key(feature.key)
    if present is False:
        return NAN
    parts = tuple(
        measured[column] for measure in feature.measures for column in measure_columns(measure)
    )
    value = feature.aggregate.finish(parts, feature.empty)
    return value if present is True else arithmetic.choose(present, value, NAN)
