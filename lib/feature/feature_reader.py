"""Feature files as features: entries bound to the columns and the features that they build on."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from lib.contract.reading_keys import duration_us
from lib.declaration import did_you_mean, load_declaration, locate
from lib.feature.column_measures import (
    DeviationOfPresent,
    MeanOfPresent,
    NewestValue,
    multiples_of,
    present_in,
)
from lib.feature.declaration import (
    Age,
    Aggregate,
    Count,
    Declaration,
    Derived,
    DistinctCount,
    Feature,
    FeatureSet,
    IsFirstSeen,
    Rate,
    Sum,
)
from lib.feature.expression_formula import ExpressionFormula
from lib.feature.feature_file import FeatureDeclaration, FeatureFileError, FeatureList
from lib.feature.windows import DAY, Window, span
from lib.rules.scanner import ExpressionError

ColumnKind: TypeAlias = Literal["category", "number", "flag"]
"""What a column of events holds: texts, numbers, or true and false."""
MOST_FEATURES = 200
MOST_TILES = 2_000
"""Of one feature and key: more is a hop that is too short for its window."""


@dataclass(frozen=True)
class FeatureFile:
    """Features of a file, bound to the columns and the features that they build on.

    Attributes:
        text: of the file, as it travels with a model.
        features: as they are computed.
        words: how people name them, by name of the feature.
        tiles: the most numbers of tiles that a profile keeps for a feature, by its name.
    """

    text: str
    features: tuple[Declaration, ...]
    words: Mapping[str, str]
    tiles: Mapping[str, int]

    def extend(self, base: FeatureSet) -> FeatureSet:
        """The packaged features with these after them."""
        return replace(base, features=(*base.features, *self.features))


def load_features(
    text: str,
    origin: str,
    base: FeatureSet,
    columns: Mapping[str, ColumnKind],
    reserved: Collection[str] = (),
) -> FeatureFile:
    """Read a feature file.

    Args:
        text: YAML with a list `features`, see `FeatureDeclaration`.
        origin: the file's name, for messages.
        base: packaged features, over which expressions may be written.
        columns: kinds of the columns that events have.
        reserved: names of other columns beside them, which no feature may have.

    Raises:
        FeatureFileError: of the first fault, with its line.
    """
    declared = load_declaration(text, FeatureList, origin, FeatureFileError).features
    reader = _Reader(base, columns, [entry.name for entry in declared], reserved)
    features: list[Declaration] = []
    for index, entry in enumerate(declared):
        try:
            if index >= MOST_FEATURES:
                raise _EntryError("name", f"expected at most {MOST_FEATURES} features")
            features.append(reader.feature(entry))
        except _EntryError as fault:
            line = locate(text, origin, ("features", index, fault.key))
            raise FeatureFileError(f"{line}: {fault}") from fault
    words = {entry.name: entry.words for entry in declared if entry.words}
    return FeatureFile(text, tuple(features), words, reader.tiles)


def columns_by_value(text: str, origin: str) -> frozenset[str]:
    """Columns that the features of a file are computed by, or whose values they distinguish.

    Raises:
        FeatureFileError: the file cannot be read, with its line.
    """
    declared = load_declaration(text, FeatureList, origin, FeatureFileError).features
    by_value = {entry.of for entry in declared if entry.aggregate == "distinct" and entry.of}
    return frozenset(by_value.union(*(entry.key for entry in declared)))


class _EntryError(ValueError):
    """What is wrong with a key of a feature."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class _Reader:
    """Turns entries into features in turn; each may build on those before it."""

    def __init__(
        self,
        base: FeatureSet,
        columns: Mapping[str, ColumnKind],
        declared: Sequence[str],
        reserved: Collection[str],
    ) -> None:
        self._reserved = {*columns, *reserved, *base.input_columns()}
        self._base, self._columns, self._declared = base, columns, declared
        self._names = {feature.name for feature in base.features}
        self._numbers = list(base.names)
        self._resolutions: dict[str, float] = {}
        self.tiles: dict[str, int] = {}

    def feature(self, entry: FeatureDeclaration) -> Declaration:
        if entry.name in self._names:
            raise _EntryError("name", f"a feature {entry.name!r} is declared already")
        if entry.name in self._reserved:
            raise _EntryError("name", f"{entry.name!r} is a column of the events")
        feature = self._expression(entry) if entry.aggregate is None else self._aggregate(entry)
        self._names.add(entry.name)
        self._numbers.append(entry.name)
        return feature

    def _expression(self, entry: FeatureDeclaration) -> Derived:
        try:
            formula = ExpressionFormula.of(str(entry.expression), self._numbers)
        except ExpressionError as error:
            raise _EntryError("expression", self._later(entry) or str(error)) from error
        return Derived(entry.name, entry.unit, formula.inputs, formula)

    def _later(self, entry: FeatureDeclaration) -> str:
        """Why an expression cannot read what it reads, if that is declared after it."""
        words = re.findall(r"[a-z][a-z0-9_]*", str(entry.expression))
        if entry.name in words:
            return f"{entry.name!r} reads itself: a cycle of expressions has no value"
        later = [name for name in words if name in self._declared and name not in self._numbers]
        if not later:
            return ""
        return (
            f"{later[0]!r} is declared after {entry.name!r}; move it before it, without reading "
            f"{entry.name!r}: a cycle of expressions has no value"
        )

    def _aggregate(self, entry: FeatureDeclaration) -> Feature:
        for column in entry.key:
            self._column(column, "key", ("category",))
        if len(set(entry.key)) != len(entry.key):
            raise _EntryError("key", f"expected different columns, got {', '.join(entry.key)}")
        for key, fact in {"fact": entry.fact, "without": entry.without}.items():
            if fact is not None and fact not in self._base.facts:
                raise _EntryError(
                    key, f"unknown fact {fact!r}; {did_you_mean(fact, self._base.facts)}"
                )
        if entry.fact and entry.without:
            raise _EntryError("without", "expected either 'fact' or 'without'")
        window = self._window(entry)
        aggregate = _AGGREGATES[str(entry.aggregate)](self, entry)
        return Feature(
            entry.name,
            entry.unit,
            tuple(entry.key),
            aggregate,
            window,
            float("nan") if entry.empty is None else float(entry.empty),
        )

    def _label_hint(self, name: str) -> str:
        facts = self._base.facts
        if not any(part in facts for part in name.split("_")):
            return ""
        return (
            f"a label is no column of events; 'aggregate: rate' or 'count' with 'fact: {facts[0]}' "
            "counts what was known by then; "
        )

    def _window(self, entry: FeatureDeclaration) -> Window | None:
        if entry.window is None:
            return None
        length, behind = self._duration(entry, "window"), self._duration(entry, "behind", least=0)
        hop = self._duration(entry, "hop") if entry.hop else _default_hop(length, behind)
        if hop > length:
            raise _EntryError(
                "hop", f"expected at most the window, {span(length)}, got {span(hop)}"
            )
        for key, value in {"window": length, "behind": behind}.items():
            if value % hop:
                raise _EntryError(
                    key, f"expected a multiple of the hop, {span(hop)}, got {span(value)}"
                )
        window = Window(length, hop, behind)
        tiles = window.reach // hop
        if tiles > MOST_TILES:
            least = _usual_hop(-(-window.reach // MOST_TILES))
            raise _EntryError(
                "hop",
                f"{tiles:,} tiles would be kept for each key, expected at most {MOST_TILES:,}: "
                f"a hop of at least {least}",
            )
        self.tiles[entry.name] = tiles
        return window

    def _duration(self, entry: FeatureDeclaration, key: str, least: int = 1) -> int:
        written = getattr(entry, key)
        if written is None:
            return 0
        try:
            value = duration_us(written)
        except ValueError as error:
            raise _EntryError(key, str(error)) from error
        if value < least:
            raise _EntryError(key, f"expected a duration above 0, got {written}")
        return value

    def horizon(self, entry: FeatureDeclaration) -> int:
        """How far back the newest event may lie, microseconds."""
        return self._duration(entry, "horizon")

    def text(self, entry: FeatureDeclaration) -> str:
        """The column whose values are distinguished."""
        column = self._column(str(entry.of), "of", ("category",))
        if column in entry.key:
            raise _EntryError("of", f"{column!r} is of the key: each key has one value of it")
        if entry.behind:
            raise _EntryError("behind", "a distinct count reaches up to now")
        return column

    def number(self, entry: FeatureDeclaration) -> tuple[str, float]:
        """The column that is read as a number, and in multiples of what."""
        column = self._column(str(entry.of), "of", ("number", "flag"))
        standing = self._resolutions.get(column)
        resolution = entry.resolution if entry.resolution is not None else standing or _RESOLUTION
        if not 0 < resolution < float("inf"):
            raise _EntryError("resolution", f"expected a number above 0, got {resolution}")
        if standing not in (None, float(resolution)):
            raise _EntryError(
                "resolution", f"{column!r} has {standing} in another feature, got {resolution}"
            )
        self._resolutions[column] = float(resolution)
        return column, float(resolution)

    def _column(self, name: str, key: str, kinds: Sequence[ColumnKind]) -> str:
        kind = self._columns.get(name)
        if kind is None:
            known_names = [column for column, of in self._columns.items() if of in kinds]
            raise _EntryError(
                key,
                f"unknown column {name!r}; {self._label_hint(name)}"
                f"{did_you_mean(name, known_names)}",
            )
        if kind not in kinds:
            raise _EntryError(key, f"expected a {' or a '.join(kinds)}, and {name!r} is a {kind}")
        return name


_RESOLUTION = 0.01
_Make: TypeAlias = Callable[[_Reader, FeatureDeclaration], Aggregate]


def _usual_hop(least: int) -> str:
    """The shortest of the usual hops that is no shorter, or whole days."""
    usual = next((hop for hop in _HOPS if hop >= least), None)
    return span(usual if usual is not None else -(-least // DAY) * DAY)


def _default_hop(length: int, behind: int) -> int:
    """The shortest of the usual hops that cuts a window into at most 60 tiles."""
    for hop in _HOPS:
        if length // hop <= 60 and length % hop == 0 and behind % hop == 0:
            return hop
    return length


_HOPS = tuple(map(duration_us, ("1s", "10s", "1m", "10m", "1h", "6h", "1d", "7d")))


def _sum(reader: _Reader, entry: FeatureDeclaration) -> Aggregate:
    column, resolution = reader.number(entry)
    return Sum(multiples_of(column, resolution), 1.0 / resolution, entry.without)


def _mean(reader: _Reader, entry: FeatureDeclaration) -> Aggregate:
    column, resolution = reader.number(entry)
    quantity = multiples_of(column, resolution)
    return MeanOfPresent(quantity, 1.0 / resolution, entry.without, present=present_in(column))


def _deviation(reader: _Reader, entry: FeatureDeclaration) -> Aggregate:
    column, resolution = reader.number(entry)
    quantity, squares = multiples_of(column, resolution), multiples_of(column, resolution, True)
    scale = 1.0 / resolution
    return DeviationOfPresent(quantity, squares, scale, entry.without, present=present_in(column))


def _newest(reader: _Reader, entry: FeatureDeclaration) -> Aggregate:
    column, resolution = reader.number(entry)
    quantity, present = multiples_of(column, resolution), present_in(column)
    return NewestValue(quantity, present, reader.horizon(entry), resolution)


def _rate(_reader: _Reader, entry: FeatureDeclaration) -> Aggregate:
    prior = 0.01 if entry.prior is None else float(entry.prior)
    strength = 10.0 if entry.strength is None else float(entry.strength)
    if not 0.0 <= prior <= 1.0:
        raise _EntryError("prior", f"expected a share, 0 to 1, got {prior}")
    if not 0.0 < strength < float("inf"):
        raise _EntryError("strength", f"expected a number of events above 0, got {strength}")
    return Rate(str(entry.fact), prior, strength)


_AGGREGATES: Mapping[str, _Make] = {
    "count": lambda _reader, entry: Count(entry.fact, entry.without),
    "sum": _sum,
    "mean": _mean,
    "deviation": _deviation,
    "rate": _rate,
    "distinct": lambda reader, entry: DistinctCount(reader.text(entry)),
    "latest": _newest,
    "is_new": lambda reader, entry: IsFirstSeen(reader.horizon(entry)),
    "minutes_since": lambda reader, entry: Age(reader.horizon(entry)),
}
