"""Attributes of machines: columns of the `machines` table that its contract does not have.

They do not change with time. They are kept as they came, and become features where these are
computed, in files and in a service alike: a number as it is, a flag as 0 or 1, a category as its
place in a frozen vocabulary, 0 for values that the vocabulary does not have.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.feature.attribute_codes import frozen_by_subject, text_of_code
from lib.feature.attributes import Attribute

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
    """The attributes as a table of machines shows them; see `frozen_by_subject`."""
    return frozen_by_subject(attributes, machines, "machine_id", FEWEST_MACHINES)


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


def attribute_text(attribute: Attribute, feature: float) -> str:
    """The value of a feature of an attribute, for people."""
    if attribute.type == "category":
        return text_of_code(attribute, feature) or "another value"
    if attribute.type == "flag":
        return "yes" if feature else "no"
    return f"{feature:.4g}"
