"""Columns of a data set that its contract does not have: `attributes` in a mapping file."""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import pyarrow as pa
from pydantic import BaseModel

from lib.contract.contract import Contract
from lib.contract.declaration import LONGEST_ID_BYTES, Column
from lib.contract.mapping_sections import read_number
from lib.contract.yaml_section import Section

AttributeType: TypeAlias = Literal["category", "number", "flag"]
MOST_ATTRIBUTES = 300

_TYPES: Mapping[AttributeType, pa.DataType] = {
    "category": pa.string(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED_NAMES = frozenset(name for name in dir(BaseModel) if not name.startswith("_"))
"""Names that no field of a request can have."""
_SHOWN = 5
_NO_WORDS = "attribute"


def attribute_type(column: Column) -> AttributeType:
    """The type of an attribute, as a mapping file says it."""
    return next(name for name, of in _TYPES.items() if of == column.type)


def attribute_column(
    name: str,
    kind: AttributeType,
    words: str,
    unit: str = "",
    bounds: tuple[float | None, float | None] = (None, None),
) -> Column:
    """The column of an attribute: optional, and missing where its value cannot be read.

    Args:
        name: of the attribute.
        kind: its type.
        words: its description.
        unit: of a number.
        bounds: of a number.
    """
    return Column(
        name,
        _TYPES[kind],
        words,
        required=False,
        unit=unit,
        low=bounds[0],
        high=bounds[1],
        max_length=LONGEST_ID_BYTES,
        lenient=True,
        printable=True,
    )


def words_of_attribute(column: Column) -> str:
    """What a mapping file calls an attribute; "" where it has no words for it."""
    return "" if column.description == _NO_WORDS else column.description


def require_readers(attributes: Section, contract: Contract) -> None:
    """Refuse attributes of a table of which nobody reads any.

    Args:
        attributes: the section.
        contract: of the table.

    Raises:
        ContractError: with the line and the names.
    """
    if contract.takes_attributes or not attributes.entries:
        return
    names = list(attributes.entries)
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    sensors = "; columns of numbers are sensors under 'columns'" if contract.extras else ""
    attributes.fail(
        f"attributes of table '{contract.name}' are not read yet; leave out {shown}{more}{sensors}",
        names[0],
    )


def read_attribute(attributes: Section, name: str, contract: Contract) -> Column:
    """The column of an entry: optional, and missing where its value cannot be read.

    Args:
        attributes: the section.
        name: of the entry.
        contract: whose columns keep their meaning.

    Raises:
        ContractError: the name is taken or no name, or the type is unknown, with the line.
    """
    if not _NAME.fullmatch(name):
        attributes.fail("expected a name of lower-case letters, digits and _", name)
    if name in RESERVED_NAMES:
        attributes.fail("is no name of a field in a request; give the attribute another name", name)
    if name in contract.names:
        attributes.fail(
            f"'{name}' is a column of the contract '{contract.name}'; fill it under 'columns', or "
            "give the attribute another name",
            name,
        )
    if len(attributes.entries) > MOST_ATTRIBUTES:
        attributes.fail(f"expected at most {MOST_ATTRIBUTES} attributes")
    entry = attributes.entries[name]
    if not isinstance(entry, Section):
        attributes.fail("expected {from: COLUMN, type: category, number or flag}", name)
    written = entry.choice("type", get_args(AttributeType))
    if written is None:
        entry.fail(f"expected 'type', one of {', '.join(_TYPES)}")
    kind = next(known for known in _TYPES if known == written)
    numeric = {key for key in ("unit", "low", "high") if key in entry.entries}
    if kind != "number" and numeric:
        entry.fail(f"a {kind} has no {min(numeric)}", min(numeric))
    low, high = read_number(entry, "low"), read_number(entry, "high")
    if low is not None and high is not None and low > high:
        entry.fail(f"expected low <= high, got {low:g} and {high:g}", "low")
    words, unit = entry.text("words", "") or _NO_WORDS, entry.text("unit", "") or ""
    return attribute_column(name, kind, words, unit, (low, high))
