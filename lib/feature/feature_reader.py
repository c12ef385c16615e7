"""Feature files as features: entries bound to the columns and the features that they build on."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from lib.declaration import (
    did_you_mean,
    load_declaration,
    load_packaged,
    locate,
    read_yaml_text,
)
from lib.feature.aggregate_reader import AggregateReader, EntryError
from lib.feature.declaration import Category, Declaration, Derived, Direct, FeatureSet
from lib.feature.feature_file import FeatureDeclaration, FeatureFileError, FeatureList
from lib.feature.feature_library import ColumnKind, FeatureLibrary, Formula

MOST_FEATURES = 200
"""Of the file of a data set."""


@dataclass(frozen=True)
class FeatureFile:
    """Features of a file, bound to the columns and the features that they build on.

    Attributes:
        text: of the file, as it travels with a model.
        features: as they are computed.
        words: how people name them, by name of the feature.
        groups: of those that the file puts into one, by name of the feature.
        tiles: the most numbers of tiles that a profile keeps for a feature, by its name.
    """

    text: str
    features: tuple[Declaration, ...]
    words: Mapping[str, str]
    groups: Mapping[str, str]
    tiles: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features that models read."""
        return tuple(feature.name for feature in self.features if not feature.hidden)

    def extend(self, base: FeatureSet) -> FeatureSet:
        """The packaged features with these after them."""
        return replace(base, features=(*base.features, *self.features))


def load_features(
    text: str,
    origin: str,
    base: FeatureSet,
    columns: Mapping[str, ColumnKind],
    reserved: Collection[str] = (),
    library: FeatureLibrary | None = None,
) -> FeatureFile:
    """Read the feature file of a data set.

    Args:
        text: YAML with a list `features`, see `FeatureDeclaration`.
        origin: the file's name, for messages.
        base: packaged features, over which expressions may be written.
        columns: kinds of the columns that events have.
        reserved: names of other columns beside them, which no feature may have.
        library: of the system; None where it gives nothing by name.

    Raises:
        FeatureFileError: of the first fault, with its line.
    """
    declared = load_declaration(text, FeatureList, origin, FeatureFileError)
    published = (library or FeatureLibrary()).published()
    reader = _Reader(base, columns, declared, published, reserved)
    return reader.file(text, origin, declared, MOST_FEATURES)


def read_packaged(
    path: Path, empty: FeatureSet, columns: Mapping[str, ColumnKind], library: FeatureLibrary
) -> FeatureFile:
    """The packaged features of a system.

    Args:
        path: of its feature file, which is read once in a process.
        empty: name, version, columns and facts of the set, without features.
        columns: kinds of the columns that events have.
        library: of the system.

    Raises:
        FeatureFileError: of the first fault, with its line.
    """
    text, declared = _packaged_entries(path)
    return _Reader(empty, columns, declared, library).file(text, path.name, declared)


@cache
def _packaged_entries(path: Path) -> tuple[str, FeatureList]:
    text = read_yaml_text(path, path.name, FeatureFileError)
    return text, load_packaged(text, FeatureList, path.name, FeatureFileError)


def columns_by_value(text: str, origin: str) -> frozenset[str]:
    """Columns that the features of a file are computed by, or whose values they distinguish.

    Raises:
        FeatureFileError: the file cannot be read, with its line.
    """
    declared = load_declaration(text, FeatureList, origin, FeatureFileError)
    entries = [entry for _, entry in declared.entries()]
    by_value = {entry.of for entry in entries if entry.aggregate == "distinct" and entry.of}
    return frozenset(by_value.union(*(entry.key for entry in entries)))


def declared_names(text: str) -> tuple[str, ...]:
    """Names of the features of a file that was read before; of an empty text none.

    Raises:
        FeatureFileError: the file cannot be read, with its line.
    """
    if not text:
        return ()
    declared = load_declaration(text, FeatureList, "features.yaml", FeatureFileError)
    return tuple(entry.name for _, entry in declared.entries())


def locate_feature(text: str, origin: str, name: str) -> str:
    """Where a feature is named in a file that was read before, for a message."""
    declared = load_declaration(text, FeatureList, origin, FeatureFileError)
    path = next(path for path, entry in declared.entries() if entry.name == name)
    return locate(text, origin, (*path, "name"))


class _Reader:
    """Turns entries into features in turn; each may build on those before it."""

    def __init__(
        self,
        base: FeatureSet,
        columns: Mapping[str, ColumnKind],
        declared: FeatureList,
        library: FeatureLibrary,
        reserved: Collection[str] = (),
    ) -> None:
        self._reserved = {*columns, *reserved, *base.input_columns()}
        self._columns, self._library = {*columns, base.time_column}, library
        self._declared = [entry.name for _, entry in declared.entries()]
        self._names = {feature.name for feature in base.features}
        self._numbers = dict.fromkeys(base.names)
        self._aggregates = AggregateReader(columns, library, base.facts)

    def file(
        self, text: str, origin: str, declared: FeatureList, most: int | None = None
    ) -> FeatureFile:
        """All features of a file, at most so many."""
        features: list[Declaration] = []
        words: dict[str, str] = {}
        groups: dict[str, str] = {}
        for path, entry in declared.entries():
            try:
                if len(features) == most:
                    raise EntryError("name", f"expected at most {most} features")
                if path[0] == "groups":
                    groups[entry.name] = self._group(str(path[1]))
                features.append(self._feature(entry))
            except EntryError as fault:
                line = locate(text, origin, (*path, fault.key))
                raise FeatureFileError(f"{line}: {fault}") from fault
            if entry.words:
                words[entry.name] = entry.words
        return FeatureFile(text, tuple(features), words, groups, self._aggregates.tiles)

    def _group(self, group: str) -> str:
        known = self._library.groups
        if not known:
            raise EntryError(
                "name", "features of this system have no groups; list them in 'features'"
            )
        if group not in known:
            raise EntryError("name", f"unknown group {group!r}; {did_you_mean(group, known)}")
        return group

    def _feature(self, entry: FeatureDeclaration) -> Declaration:
        if entry.name in self._names:
            raise EntryError("name", f"a feature {entry.name!r} is declared already")
        if entry.name in self._reserved:
            raise EntryError("name", f"{entry.name!r} is a column of the events")
        feature = self._declaration(entry)
        self._names.add(entry.name)
        self._numbers[entry.name] = None
        return feature

    def _declaration(self, entry: FeatureDeclaration) -> Declaration:
        match entry.form:
            case "aggregate":
                return self._aggregates.feature(entry)
            case "expression":
                return self._expression(entry)
            case "categories":
                column = self._aggregates.readable(str(entry.column), "column")
                return Category(
                    entry.name, entry.unit, column, self._categories(entry), entry.hidden
                )
        return self._direct(entry) if entry.columns else self._derived(entry)

    def _categories(self, entry: FeatureDeclaration) -> tuple[str, ...]:
        if len(set(entry.categories)) != len(entry.categories):
            raise EntryError("categories", "expected different texts")
        return tuple(entry.categories)

    def _expression(self, entry: FeatureDeclaration) -> Derived:
        # the parser of rules takes a third of a second to import: packaged files do without it
        from lib.feature.expression_formula import ExpressionFormula  # noqa: PLC0415
        from lib.rules.scanner import ExpressionError  # noqa: PLC0415

        try:
            formula = ExpressionFormula.of(str(entry.expression), tuple(self._numbers))
        except ExpressionError as error:
            raise EntryError("expression", self._later(entry) or str(error)) from error
        return Derived(entry.name, entry.unit, formula.inputs, formula, entry.hidden)

    def _derived(self, entry: FeatureDeclaration) -> Derived:
        formula = self._formula(entry, self._library.formulas)
        for name in entry.inputs:
            if name not in self._numbers:
                later = f"{name!r} is declared after {entry.name!r}; move it before it"
                hint = f"unknown feature {name!r}; {did_you_mean(name, self._numbers)}"
                raise EntryError("inputs", later if name in self._declared else hint)
        _require_count(formula, entry, entry.inputs, "inputs")
        return Derived(entry.name, entry.unit, tuple(entry.inputs), formula, entry.hidden)

    def _direct(self, entry: FeatureDeclaration) -> Direct:
        if self._library.is_published:
            raise EntryError(
                "columns",
                "only packaged features read columns; describe a column in the mapping file, and "
                "it is a feature",
            )
        formula = self._formula(entry, self._library.column_formulas)
        for name in entry.columns:
            if name not in self._columns:
                hint = did_you_mean(name, self._columns)
                raise EntryError("columns", f"unknown column {name!r}; {hint}")
        _require_count(formula, entry, entry.columns, "columns")
        return Direct(entry.name, entry.unit, tuple(entry.columns), formula, entry.hidden)

    def _formula(self, entry: FeatureDeclaration, formulas: Mapping[str, Formula]) -> Formula:
        name = str(entry.formula)
        if name not in formulas:
            raise EntryError("formula", f"unknown formula {name!r}; {did_you_mean(name, formulas)}")
        return formulas[name]

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


def _require_count(
    formula: Formula, entry: FeatureDeclaration, names: Sequence[str], key: str
) -> None:
    expected = parameters_of(formula)
    if len(names) != len(expected):
        raise EntryError(
            key,
            f"{entry.formula!r} takes {len(expected)}: {', '.join(expected)}; got {len(names)}",
        )


@lru_cache(maxsize=512)
def parameters_of(formula: Formula) -> tuple[str, ...]:
    """What a formula is given, in its order."""
    return tuple(inspect.signature(formula).parameters)
