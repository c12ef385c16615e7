"""From measures to features: the arithmetic that offline and online share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lib.feature import exact_arithmetic
from lib.feature.declaration import Category, Columns, Derived, Direct, Feature, FeatureSet
from lib.feature.exact_arithmetic import NAN, Value
from lib.feature.measures import Key, measure_columns

_Step = Callable[["_Given", dict[str, Value]], Value]


class _Given:
    """One call's inputs."""

    __slots__ = ("category", "columns", "has_key", "measured")

    def __init__(
        self,
        columns: Columns,
        measured: Mapping[str, Value],
        has_key: Mapping[Key, Any],
        category: Callable[[Category], Value],
    ) -> None:
        self.columns = columns
        self.measured = measured
        self.has_key = has_key
        self.category = category


class Evaluator:
    """Turns measures into features, for one event or for a whole table.

    Args:
        features: the declarations; their steps are laid out once.
    """

    def __init__(self, features: FeatureSet) -> None:
        self._steps = [(feature.name, _step(feature)) for feature in features.features]
        self.keys = tuple(dict.fromkeys(f.key for f in features.features if isinstance(f, Feature)))

    def __call__(
        self,
        columns: Columns,
        measured: Mapping[str, Value],
        has_key: Mapping[Key, Any],
        category: Callable[[Category], Value],
    ) -> dict[str, Value]:
        """Every feature's value by name, hidden ones included.

        Args:
            columns: the event's columns as numbers: one event's, or arrays of all events'.
            measured: the measures' values by column name, as floats; may lack those of keys that
                the event does not name.
            has_key: by key, whether the event names it (a bool, or an array of them); where it
                does not, features are missing.
            category: the code of a categorical feature.
        """
        context = _Given(columns, measured, has_key, category)
        values: dict[str, Value] = {}
        for name, step in self._steps:
            values[name] = step(context, values)
        return values


def _step(feature: Any) -> _Step:
    if isinstance(feature, Derived):
        return partial(_derived, feature.formula, feature.inputs)
    if isinstance(feature, Direct):
        return partial(_direct, feature.formula, feature.columns)
    if isinstance(feature, Category):
        return partial(_category, feature)
    columns = [column for measure in feature.measures for column in measure_columns(measure)]
    return partial(_aggregate, feature.aggregate.finish, tuple(columns), feature.key, feature.empty)


def _derived(
    formula: Callable[..., Value],
    inputs: tuple[str, ...],
    context: _Given,  # noqa: ARG001
    values: dict[str, Value],
) -> Value:
    return formula(*[values[name] for name in inputs])


def _direct(
    formula: Callable[..., Value],
    columns: tuple[str, ...],
    context: _Given,
    values: dict[str, Value],  # noqa: ARG001
) -> Value:
    return formula(*[context.columns[name] for name in columns])


def _category(feature: Category, context: _Given, values: dict[str, Value]) -> Value:  # noqa: ARG001
    return context.category(feature)


def _aggregate(
    finish: Callable[[tuple[Value, ...], float], Value],
    columns: tuple[str, ...],
    key: Key,
    empty: float,
    context: _Given,
    values: dict[str, Value],  # noqa: ARG001
) -> Value:
    present = context.has_key[key]
    if present is False:
        return NAN
    value = finish(tuple([context.measured[column] for column in columns]), empty)
    return value if present is True else exact_arithmetic.choose(present, value, NAN)
