"""Attributes of posts: columns of the `posts` table that its contract does not have.

A group, a device, an account's age. They are kept as they came, and become features of a post where
a model reads it: a number as it is, a flag as 0 or 1, a category as its code in the vocabulary of
the model, 0 for values that the vocabulary does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from lib.contract import Contract
from lib.feature.attribute_codes import attribute_difference
from lib.feature.attribute_values import AttributeValue, Floats, encode_columns
from lib.feature.attributes import (
    MOST_VALUES,
    Attribute,
    AttributeFaultError,
    ValueCounts,
    attributes_of,
    freeze_attributes,
)
from lib.moderation.rules import rule_fields

PREFIX = "attribute:"
"""Begins the names of columns of rows that hold attributes; other names have no colon."""
MOST_RATED, LEAST_RATED = 2_000, 5
"""Of a category with too many values for codes of their own: how many values are told apart, the
most frequent, and the posts that each must have."""


def declared_attributes(contract: Contract) -> tuple[Attribute, ...]:
    """The attributes that a mapping file added to the contract of posts, not frozen yet.

    Raises:
        AttributeFaultError: the name of one is a field of rules, or two share a feature's name.
    """
    attributes = attributes_of(contract)
    reserved = {name: f"'{name}' is a field that rules read" for name in rule_fields()}
    for each in attributes:
        for name in dict.fromkeys((each.name, each.feature_name)):
            if name in reserved:
                raise AttributeFaultError(each.name, f"{reserved[name]}; give it another name")
            reserved[name] = f"'{name}' is a name of attribute '{each.name}'"
    return attributes


def column_names(attributes: Iterable[Attribute]) -> tuple[str, ...]:
    """The columns of rows that hold attributes."""
    return tuple(f"{PREFIX}{attribute.name}" for attribute in attributes)


def attribute_schema(attributes: Iterable[Attribute]) -> list[pa.Field]:
    """The fields of rows that hold attributes, as they came."""
    types = {"category": pa.string(), "number": pa.float64(), "flag": pa.bool_()}
    return [pa.field(f"{PREFIX}{each.name}", types[each.type]) for each in attributes]


def renamed(posts: pa.Table, attributes: Iterable[Attribute], *, back: bool = False) -> pa.Table:
    """Posts whose attributes have the names of `column_names`; with `back` the other way."""
    pairs = {each.name: f"{PREFIX}{each.name}" for each in attributes}
    names = {new: old for old, new in pairs.items()} if back else pairs
    return posts.rename_columns([names.get(name, name) for name in posts.column_names])


def attribute_arrays(posts: pa.Table, attributes: Iterable[Attribute]) -> dict[str, pa.Array]:
    """What rows say of attributes, by name; missing where rows have no such column."""
    fields = attribute_schema(attributes)
    return {
        field.name.removeprefix(PREFIX): _array(posts[field.name])
        if field.name in posts.column_names
        else pa.nulls(posts.num_rows, field.type)
        for field in fields
    }


def _array(column: pa.ChunkedArray) -> pa.Array:
    """One array, whatever number of chunks there are."""
    together = column.combine_chunks()
    return together if isinstance(together, pa.Array) else pa.concat_arrays(together.chunks)


def features_of(posts: pa.Table, attributes: Sequence[Attribute]) -> Floats:
    """Features (n, attributes) of rows, see `encode_columns`; of frozen attributes."""
    if not attributes:
        return np.empty((posts.num_rows, 0))
    return encode_columns(attributes, attribute_arrays(posts, attributes))


def attribute_rows(
    posts: pa.Table, attributes: Sequence[Attribute]
) -> list[dict[str, AttributeValue]]:
    """The same, by row of the table; an attribute that is missing is left out."""
    arrays = attribute_arrays(posts, attributes)
    rows: list[dict[str, AttributeValue]] = [{} for _ in range(posts.num_rows)]
    for name, values in arrays.items():
        for row, value in zip(rows, values.to_pylist(), strict=True):
            if value is not None:
                row[name] = value
    return rows


def frozen_attributes(attributes: Sequence[Attribute], posts: pa.Table) -> tuple[Attribute, ...]:
    """The attributes with the vocabularies that posts show.

    A category of up to `MOST_CODES` values has a code for each that is frequent enough. One with
    more has codes for its most frequent values, of which a model reads how often they violated.

    Args:
        attributes: as they are declared.
        posts: rows that teach.

    Raises:
        AttributeFaultError: a category has too many values.
    """
    arrays = attribute_arrays(posts, attributes)
    categories = [each.name for each in attributes if each.type == "category"]
    counts = ValueCounts.of(pa.table({name: arrays[name] for name in categories}), categories)
    for name, by_value in counts.by_attribute.items():
        if by_value is None:
            raise AttributeFaultError(
                name,
                f"expected a category, got more than {MOST_VALUES:,} different values in "
                f"{posts.num_rows:,} posts, which are identifiers; group its values, or leave it "
                "out",
            )
    return tuple(_rated(each, counts) for each in freeze_attributes(attributes, counts))


def _rated(attribute: Attribute, counts: ValueCounts) -> Attribute:
    if attribute.encoding != "rate":
        return attribute
    by_value = counts.by_attribute[attribute.name] or {}
    usual = [(value, rows) for value, rows in by_value.items() if rows >= LEAST_RATED]
    usual.sort(key=lambda pair: (-pair[1], pair[0]))
    return replace(attribute, vocabulary=tuple(value for value, _ in usual[:MOST_RATED]))


def served_difference(attributes: Sequence[Attribute], others: Sequence[Attribute]) -> str:
    """What attributes others are instead, in words; empty where both are asked for alike.

    Words and vocabularies do not count: values come as they are, and each model has its own codes.
    """
    sides = [
        sorted((replace(each, vocabulary=(), encoding="value") for each in side), key=_name)
        for side in (attributes, others)
    ]
    return attribute_difference(*sides, with_words=False)


def _name(attribute: Attribute) -> str:
    return attribute.name
