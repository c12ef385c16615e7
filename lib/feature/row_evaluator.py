"""From measures to features for one event: the arithmetic of `offline`, laid out flat.

Only what there is something to compute from is computed; everything else is a constant.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from lib.feature.declaration import (
    Aggregate,
    Category,
    Columns,
    Derived,
    Direct,
    Feature,
    FeatureSet,
)
from lib.feature.exact_arithmetic import NAN
from lib.feature.measures import Measure, measure_columns, nothing_measured


class FinishStep(NamedTuple):
    """One aggregate's last step: `values[position] = finish(parts(measured), empty)`."""

    position: int
    finish: Callable[[tuple[float, ...], float], float]
    parts: Callable[[tuple[float, ...]], tuple[float, ...]]
    empty: float


class AggregateStep(NamedTuple):
    """The same as data: the aggregate, and where its parts are among what was measured."""

    position: int
    aggregate: Aggregate
    places: tuple[int, ...]
    empty: float

    @property
    def run(self) -> FinishStep:
        """The step as it is run."""
        parts = _several([*self.places])
        return FinishStep(self.position, self.aggregate.finish, parts, self.empty)


class RowEvaluator:
    """The steps for one event: a value per feature, hidden ones included, by place.

    Aggregates start at what they are for a key without history; whoever reads profiles then runs
    the `FinishStep` steps of those measures that there is something of.
    """

    def __init__(self, features: FeatureSet) -> None:
        declared = list(enumerate(features.features))
        self._count = len(declared)
        positions = {feature.name: at for at, feature in declared}
        self._aggregates = [(at, f) for at, f in declared if isinstance(f, Feature)]
        self._direct = [(at, f.formula, f.columns) for at, f in declared if isinstance(f, Direct)]
        self._coded = [
            (at, f.codes, f.missing_code, f.column) for at, f in declared if isinstance(f, Category)
        ]
        self._derived = [
            (at, f.formula, _several([positions[name] for name in f.inputs]))
            for at, f in declared
            if isinstance(f, Derived)
        ]
        self._names = features.names
        self._shown = _several([positions[name] for name in features.names])

    def without_history(self, absent: Iterable[str]) -> list[float]:
        """Every aggregate's value for keys that were never seen.

        Args:
            absent: columns that the event lacks; features of keys with one of them are missing.
        """
        lacking = set(absent)
        values = [NAN] * self._count
        for at, feature in self._aggregates:
            if lacking.isdisjoint(feature.key):
                parts = [float(n) for m in feature.measures for n in nothing_measured(m)]
                values[at] = feature.aggregate.finish(tuple(parts), feature.empty)
        return values

    def finishes(self, measures: Sequence[Measure]) -> tuple[AggregateStep, ...]:
        """The steps of all features that are made of `measures` alone, whose numbers they take."""
        columns = [column for measure in measures for column in measure_columns(measure)]
        return tuple(
            AggregateStep(at, f.aggregate, tuple(columns.index(c) for c in needed), f.empty)
            for at, f in self._aggregates
            if set(f.measures) <= set(measures)
            for needed in [[c for measure in f.measures for c in measure_columns(measure)]]
        )

    def features(self, event: Columns, values: list[float]) -> dict[str, float]:
        """The features by name, once `values` has the aggregates; completes `values`."""
        for at, formula, columns in self._direct:
            values[at] = formula(*[event[column] for column in columns])
        for at, codes, missing_code, column in self._coded:
            value = event.get(column)
            values[at] = missing_code if value is None else codes.get(str(value), 0.0)
        for at, formula, inputs in self._derived:
            values[at] = formula(*inputs(values))
        return dict(zip(self._names, map(float, self._shown(values)), strict=True))


def _several(positions: list[int]) -> Callable[[Any], Any]:
    """Takes the numbers at `positions` out of a sequence, as one like it or as a tuple."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return itemgetter(slice(positions[0], positions[0] + 1) if positions else slice(0))
