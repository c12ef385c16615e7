"""Attributes: columns of a data set that its contract does not have, as features of an event.

A number or a flag is a feature under its own name. A category with few values is a code in a frozen
vocabulary; one with many is the rate of a fact among the earlier events with the same value, drawn
to a prior (target statistics, Micci-Barreca 2001), of facts that were known by then: no event sees
its own label or one that came later. One with too many to be a category can only be a key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict

from lib.contract import Column, Contract
from lib.contract.attribute_section import (
    AttributeType,
    attribute_column,
    attribute_type,
    words_of_attribute,
)
from lib.feature.declaration import Declaration, Direct, Feature, OptionalCategory, Rate
from lib.feature.windows import Window

AttributeEncoding: TypeAlias = Literal["value", "code", "rate", "key"]
"""The number itself, the code of a value, the rate of a fact by value, or no feature at all."""
MOST_CODES = 30
"""Values of a category that has a code for each; one with more is a rate."""
MOST_VALUES = 100_000
"""Values of a category; a column with more is an identifier."""
LEAST_ROWS = 20
"""Rows with a value that has a code of its own; rarer ones share that of unknown values."""


class AttributeFaultError(ValueError):
    """An attribute that cannot be used: its name, what was expected and what came.

    Args:
        name: of the attribute.
        message: without the name.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"attribute '{name}': {message}")
        self.name, self.message = name, message

    def __reduce__(self) -> tuple[type[AttributeFaultError], tuple[str, str]]:
        return type(self), (self.name, self.message)


@dataclass(frozen=True)
class Attribute:
    """A column of events beside those of the contract.

    Attributes:
        name: of the column.
        type: what it holds.
        unit: of a number, for people.
        words: how reasons and reports name it; "" for its name.
        low, high: bounds of a number; None without one.
        encoding: how it becomes a feature.
        vocabulary: values with a code, the most frequent first.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    type: AttributeType
    unit: str = ""
    words: str = ""
    low: float | None = None
    high: float | None = None
    encoding: AttributeEncoding = "value"
    vocabulary: tuple[str, ...] = ()

    @property
    def column_type(self) -> pa.DataType:
        """Of the column as features read it."""
        return pa.string() if self.type == "category" else pa.float64()

    @cached_property
    def codes(self) -> Mapping[str, int]:
        """By value of the vocabulary its code, from 1."""
        return {value: code for code, value in enumerate(self.vocabulary, 1)}

    @property
    def is_frozen(self) -> bool:
        """Whether it is known how it becomes a feature."""
        return self.type != "category" or self.encoding != "value"

    @property
    def encoding_text(self) -> str:
        """How it becomes a feature, for people."""
        if self.encoding == "code":
            return f"a code for each of {len(self.vocabulary)} values"
        if self.encoding == "rate":
            return f"a rate by value, as it has more than {MOST_CODES} of them"
        if self.encoding == "key":
            return "no feature, only a key of the feature file"
        return f"the {self.type} itself"

    @property
    def feature_name(self) -> str:
        """Of the feature that holds its value or its code."""
        return self.name if self.type != "category" else f"{self.name}_code"


@dataclass(frozen=True)
class TargetRate:
    """How the rate of a fact among events with the same value is measured.

    Args:
        fact: that is counted.
        window: of events; it ends before facts that are still uncertain.
        prior: share that is assumed where little is known.
        strength: as if that many events had been seen at the prior.
    """

    fact: str
    window: Window
    prior: float
    strength: float

    def feature(self, attribute: Attribute) -> Feature:
        """The rate by a category."""
        return Feature(
            f"{self.fact}_rate_by_{attribute.name}_{self.window.label}",
            "share",
            (attribute.name,),
            Rate(self.fact, self.prior, self.strength),
            self.window,
        )


@dataclass(frozen=True)
class ValueCounts:
    """How often the values of categories occur.

    Attributes:
        rows: of all events.
        by_attribute: rows by value; None of an attribute with more than `MOST_VALUES`.
    """

    rows: int = 0
    by_attribute: Mapping[str, Mapping[str, int] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pa.Table, names: Iterable[str]) -> ValueCounts:
        """The counts of a table."""
        counted: dict[str, Mapping[str, int] | None] = {}
        for name in names if len(table) else ():
            pairs = pc.value_counts(table.column(name).drop_null())
            values, counts = pairs.field("values"), pairs.field("counts")
            counted[name] = (
                dict(zip(values.to_pylist(), counts.to_pylist(), strict=True))
                if len(pairs) <= MOST_VALUES
                else None
            )
        return cls(len(table), counted)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"rows": self.rows, "by_attribute": dict(self.by_attribute)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ValueCounts:
        """The counts that `to_json` wrote."""
        return cls(stored["rows"], stored["by_attribute"])

    def __add__(self, other: ValueCounts) -> ValueCounts:
        names = dict.fromkeys((*self.by_attribute, *other.by_attribute))
        merged = {name: _merged(self._of(name), other._of(name)) for name in names}
        return ValueCounts(self.rows + other.rows, merged)

    def _of(self, name: str) -> Mapping[str, int] | None:
        return self.by_attribute.get(name, {})


def _merged(
    first: Mapping[str, int] | None, second: Mapping[str, int] | None
) -> Mapping[str, int] | None:
    if first is None or second is None:
        return None
    counts = Counter(first)
    counts.update(second)
    return counts if len(counts) <= MOST_VALUES else None


def attributes_of(contract: Contract) -> tuple[Attribute, ...]:
    """The attributes that a mapping file added to a contract, not frozen yet."""
    columns = [contract[name] for name in contract.attributes]
    return tuple(
        Attribute(
            column.name,
            attribute_type(column),
            column.unit,
            words_of_attribute(column),
            column.low,
            column.high,
        )
        for column in columns
    )


def contract_column(attribute: Attribute) -> Column:
    """The column of a contract that an attribute is read from."""
    words = attribute.words or attribute.name.replace("_", " ")
    bounds = (attribute.low, attribute.high)
    return attribute_column(attribute.name, attribute.type, words, attribute.unit, bounds)


def freeze_attributes(
    attributes: Sequence[Attribute], counts: ValueCounts, keys: Collection[str] = ()
) -> tuple[Attribute, ...]:
    """The attributes with the encoding and the vocabulary that their values call for.

    Args:
        attributes: as they are declared.
        counts: of the categories' values in the training data.
        keys: attributes that features of a file are computed by.

    Raises:
        AttributeFaultError: a category has too many values and nothing is computed by it.
    """
    return tuple(
        each if each.is_frozen else _frozen(each, counts, each.name in keys) for each in attributes
    )


def _frozen(attribute: Attribute, counts: ValueCounts, is_key: bool) -> Attribute:
    by_value = counts.by_attribute.get(attribute.name, {})
    if by_value is None:
        if is_key:
            return replace(attribute, encoding="key")
        raise AttributeFaultError(
            attribute.name,
            f"expected a category, got more than {MOST_VALUES:,} different values in "
            f"{counts.rows:,} rows, which are identifiers; leave it out, group its values, or use "
            "it as a key in the feature file",
        )
    if len(by_value) > MOST_CODES:
        return replace(attribute, encoding="rate")
    usual = [(value, rows) for value, rows in by_value.items() if rows >= LEAST_ROWS]
    usual.sort(key=lambda pair: (-pair[1], pair[0]))
    return replace(attribute, encoding="code", vocabulary=tuple(value for value, _ in usual))


def attribute_features(
    attributes: Sequence[Attribute], target: TargetRate
) -> tuple[Declaration, ...]:
    """The features of attributes; none of one that is only a key."""
    return tuple(feature for each in attributes for feature in _features(each, target))


def _features(attribute: Attribute, target: TargetRate) -> Iterator[Declaration]:
    """What an attribute becomes; of a category that is not frozen all that it may become."""
    is_open = not attribute.is_frozen
    if attribute.encoding == "rate" or is_open:
        yield target.feature(attribute)
    if attribute.encoding == "code" or is_open:
        yield OptionalCategory(attribute.feature_name, "code", attribute.name, attribute.vocabulary)
    if attribute.type != "category":
        unit = attribute.unit or ("0 or 1" if attribute.type == "flag" else "number")
        yield Direct(attribute.feature_name, unit, (attribute.name,), unchanged)


def unchanged(value: Any) -> Any:
    """The value of a column, as it is."""
    return value


def with_numbers(table: pa.Table, attributes: Iterable[Attribute]) -> pa.Table:
    """A table of events whose flags are the numbers 0 and 1, as features read them.

    A block without rows may have no columns; it stays as it is.
    """
    for attribute in attributes:
        if attribute.type == "flag" and attribute.name in table.column_names:
            index = table.column_names.index(attribute.name)
            numbers = table.column(attribute.name).cast(pa.uint8()).cast(pa.float64())
            table = table.set_column(index, attribute.name, numbers)
    return table


def describe_attribute(attribute: Attribute | None, *, with_words: bool) -> str:
    """An attribute for a message that compares two of them; `none` without one.

    Args:
        attribute: to describe.
        with_words: whether its words count as a difference.
    """
    if attribute is None:
        return "none"
    kept = {
        "values": "|".join(attribute.vocabulary),
        "unit": attribute.unit,
        "low": attribute.low,
        "high": attribute.high,
        "words": attribute.words if with_words else "",
    }
    parts = [f"{key} {value}" for key, value in kept.items() if value not in ("", None)]
    return " ".join([attribute.type, f"({', '.join(parts)})"] if parts else [attribute.type])


def write_attributes(attributes: Iterable[Attribute]) -> list[dict[str, Any]]:
    """The attributes as plain JSON values."""
    return [asdict(attribute) for attribute in attributes]


def read_attributes(stored: Iterable[Mapping[str, Any]]) -> tuple[Attribute, ...]:
    """The attributes that `write_attributes` wrote.

    Raises:
        TypeError, KeyError: it is something else.
    """
    return tuple(
        Attribute(**{**entry, "vocabulary": tuple(entry["vocabulary"])}) for entry in stored
    )
