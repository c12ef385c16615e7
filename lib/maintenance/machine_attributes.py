"""Attributes of machines: columns of the `machines` table that its contract does not have.

They do not change with time. They are kept as they came, and become features where these are
computed, in files and in a service alike: a number as it is, a flag as 0 or 1, a category as its
place in a frozen vocabulary, 0 for values that the vocabulary does not have.
"""

from collections.abc import Sequence

import pyarrow as pa

from lib.feature.attribute_codes import frozen_by_subject, text_of_code
from lib.feature.attribute_values import AttributeValue
from lib.feature.attributes import Attribute

FEWEST_MACHINES = 3
"""Machines of a value that has a code of its own; rarer ones share that of unknown values."""


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


def attribute_text(attribute: Attribute, feature: float) -> str:
    """The value of a feature of an attribute, for people."""
    if attribute.type == "category":
        return text_of_code(attribute, feature) or "another value"
    if attribute.type == "flag":
        return "yes" if feature else "no"
    return f"{feature:.4g}"
