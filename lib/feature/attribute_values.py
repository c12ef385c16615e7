"""Values of attributes as features: of a subject in a service as of a table in a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.feature.attributes import Attribute

AttributeValue: TypeAlias = str | float | bool
AttributeState: TypeAlias = Literal["missing", "unknown"]
"""What is counted of attributes."""
Floats: TypeAlias = npt.NDArray[np.float64]


def encode_attributes(
    attributes: Sequence[Attribute], values: Mapping[str, AttributeValue]
) -> Floats:
    """Features (attributes,) of a subject, NaN where a value is missing or of another type.

    A number is as it is, a flag 0 or 1, a category its code: 0 for a value without one.

    Args:
        attributes: frozen.
        values: of the subject, by name.
    """
    return np.array([_encoded(each, values.get(each.name)) for each in attributes], np.float64)


def _encoded(attribute: Attribute, value: AttributeValue | None) -> float:
    if attribute.type == "category":
        return float(attribute.codes.get(value, 0)) if isinstance(value, str) else np.nan
    if isinstance(value, bool) != (attribute.type == "flag") or not isinstance(value, int | float):
        return np.nan
    return float(value)


def encode_columns(attributes: Sequence[Attribute], columns: Mapping[str, pa.Array]) -> Floats:
    """Features (n, attributes) of n subjects; see `encode_attributes`.

    Args:
        attributes: frozen.
        columns: by name of the attribute, of the type that a contract has for it.
    """
    encoded = [_encoded_column(each, columns[each.name]) for each in attributes]
    return np.stack(encoded, axis=1) if encoded else np.empty((0, 0))


def _encoded_column(attribute: Attribute, values: pa.Array) -> Floats:
    if attribute.type == "category":
        known = pa.array(attribute.vocabulary, pa.string())
        codes = pc.add(pc.fill_null(pc.index_in(values, value_set=known), -1), 1)
        values = pc.if_else(pc.is_valid(values), codes, None)
    elif attribute.type == "flag":
        values = pc.cast(values, pa.uint8())
    numbers = pc.fill_null(pc.cast(values, pa.float64()), np.nan)
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def attribute_states(
    attributes: Sequence[Attribute], values: Mapping[str, AttributeValue]
) -> Iterator[tuple[str, AttributeState]]:
    """Which attributes a subject lacks, or has a value of without a code."""
    features = encode_attributes(attributes, values)
    for attribute, feature in zip(attributes, features.tolist(), strict=True):
        if np.isnan(feature):
            yield attribute.name, "missing"
        elif attribute.type == "category" and feature == 0.0:
            yield attribute.name, "unknown"
