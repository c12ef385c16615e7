"""Attributes of machines: columns of the `machines` table that its contract does not have.

They do not change with time. They are kept as they came, and become features where these are
computed, in files and in a service alike: a number as it is, a flag as 0 or 1, a category as its
place in a frozen vocabulary, 0 for values that the vocabulary does not have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.feature.attributes import (
    MOST_CODES,
    Attribute,
    AttributeFaultError,
    describe_attribute,
)

AttributeValue: TypeAlias = str | float | bool
AttributeState: TypeAlias = Literal["missing", "unknown"]
"""What is counted of attributes."""
FEWEST_MACHINES = 3
"""Machines of a value that has a code of its own; rarer ones share that of unknown values."""


def encode_attributes(
    attributes: Sequence[Attribute], values: Mapping[str, AttributeValue]
) -> npt.NDArray[np.float64]:
    """Features (attributes,) of a machine, NaN where a value is missing or of another type.

    Args:
        attributes: frozen.
        values: of the machine, by name.
    """
    return np.array([_encoded(each, values.get(each.name)) for each in attributes], np.float64)


def _encoded(attribute: Attribute, value: AttributeValue | None) -> float:
    if attribute.type == "category":
        if not isinstance(value, str):
            return np.nan
        known = attribute.vocabulary
        return 1.0 + known.index(value) if value in known else 0.0
    if isinstance(value, bool) != (attribute.type == "flag") or not isinstance(value, int | float):
        return np.nan
    return float(value)


def attributes_by_machine(
    attributes: Sequence[Attribute], machines: pa.Table
) -> dict[str, dict[str, AttributeValue]]:
    """What the rows of a checked table of machines say, by machine and attribute."""
    names = [attribute.name for attribute in attributes]
    return {
        row.pop("machine_id"): {name: value for name, value in row.items() if value is not None}
        for row in machines.select(["machine_id", *names]).to_pylist()
    }


def frozen_attributes(
    attributes: Sequence[Attribute], machines: pa.Table | None
) -> tuple[Attribute, ...]:
    """The attributes with the vocabularies that a table of machines shows, by name.

    A value of fewer than `FEWEST_MACHINES` machines has no code of its own.

    Raises:
        AttributeFaultError: a category has more values than codes can be told apart.
    """
    return tuple(
        _frozen(each, machines) if each.type == "category" else each for each in attributes
    )


def _frozen(attribute: Attribute, machines: pa.Table | None) -> Attribute:
    counts: list[dict[str, Any]] = []
    if machines is not None:
        pairs = machines.select(["machine_id", attribute.name])
        pairs = pairs.filter(pc.is_valid(pairs[attribute.name]))
        once = pairs.group_by(["machine_id", attribute.name]).aggregate([])
        counts = pc.value_counts(once[attribute.name].combine_chunks()).to_pylist()
    if len(counts) > MOST_CODES:
        raise AttributeFaultError(
            attribute.name,
            f"expected a category of at most {MOST_CODES} values, got {len(counts):,} among the "
            "machines; group them into fewer ('values' in its entry, or a 'lookup'), or leave it "
            "out",
        )
    usual = [entry["values"] for entry in counts if entry["counts"] >= FEWEST_MACHINES]
    return replace(attribute, encoding="code", vocabulary=tuple(sorted(usual)))


def attribute_states(
    attributes: Sequence[Attribute], values: Mapping[str, AttributeValue]
) -> Iterator[tuple[str, AttributeState]]:
    """Which attributes a machine lacks, or has a value of without a code."""
    features = encode_attributes(attributes, values)
    for attribute, feature in zip(attributes, features.tolist(), strict=True):
        if np.isnan(feature):
            yield attribute.name, "missing"
        elif attribute.type == "category" and feature == 0.0:
            yield attribute.name, "unknown"


def attribute_texts(
    attributes: Sequence[Attribute], values: Mapping[str, float]
) -> dict[str, str | None]:
    """Values of categories as texts, for rules; None where missing or not in the vocabulary.

    Args:
        attributes: with the vocabularies.
        values: features by name; those of a machine whose past is not known are not there.
    """
    return {
        each.name: _text_of(each, values.get(each.feature_name))
        for each in attributes
        if each.type == "category"
    }


def _text_of(attribute: Attribute, code: float | None) -> str | None:
    if code is None or not code >= 1.0:
        return None
    return attribute.vocabulary[int(code) - 1]


def attribute_text(attribute: Attribute, feature: float) -> str:
    """The value of a feature of an attribute, for people."""
    if attribute.type == "category":
        return _text_of(attribute, feature) or "another value"
    if attribute.type == "flag":
        return "yes" if feature else "no"
    return f"{feature:.4g}"


def attribute_difference(attributes: Sequence[Attribute], others: Sequence[Attribute]) -> str:
    """What attributes others are instead, in words; empty where features are the same."""
    by_name = [
        {each.name: replace(each, words="") for each in some} for some in (attributes, others)
    ]
    if by_name[0] == by_name[1]:
        if list(by_name[0]) == list(by_name[1]):
            return ""
        return "attributes: " + " against ".join(", ".join(each) for each in by_name)
    pairs = {
        name: [known.get(name) for known in by_name]
        for name in dict.fromkeys((*by_name[0], *by_name[1]))
    }
    return "; ".join(
        f"attribute '{name}': {_against(pair)}"
        for name, pair in pairs.items()
        if pair[0] != pair[1]
    )


def _against(pair: Sequence[Attribute | None]) -> str:
    return " against ".join(describe_attribute(each, with_words=False) for each in pair)
