"""Attributes of a table, frozen when a model is trained: types, categories, words."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import ContractError
from lib.contract.attribute_section import AttributeType, attribute_type
from lib.contract.coercion import as_array
from lib.declaration import did_you_mean
from lib.static_table.table_mapping import TableMapping

Floats = npt.NDArray[np.float64]
UNKNOWN_CODE = 0
MOST_CATEGORIES = 1_000
LEAST_OF_CATEGORY = 5
"""Rows to learn from that a category needs for a code of its own; rarer ones are unknown."""
_FEW_ROWS = 20
_LARGEST = float(np.finfo(np.float32).max)
"""Trees read numbers of 32 bits."""


@dataclass(frozen=True)
class Attribute:
    """One input of a model.

    Attributes:
        name: in the mapping file.
        type: of its values.
        words: how reasons and reports name it.
        unit: of a number, for people.
        values: of a category, the frozen values, the most frequent first; the code of each is its
            place among them from 1 on, 0 is any other value, NaN a missing one.
        usual: median of the rows that the model learnt from, of a number; None without any.
    """

    name: str
    type: AttributeType
    words: str
    unit: str = ""
    values: tuple[str, ...] = ()
    usual: float | None = None

    def encode(self, column: pa.ChunkedArray | pa.Array) -> Floats:
        """Values (rows,) as the model reads them; NaN is missing."""
        values = as_array(column)
        if self.type == "category":
            codes = pc.index_in(values, value_set=pa.array(self.values, pa.string()))
            codes = pc.add(pc.fill_null(codes, UNKNOWN_CODE - 1), 1)
            values = pc.if_else(pc.is_valid(values), codes, None)
        floats: Floats = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        return np.clip(floats, -_LARGEST, _LARGEST)

    def text(self, value: Any) -> str:
        """A value of a table for people."""
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return "no data"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float | int):
            return f"{value:,.4g} {self.unit}".rstrip()
        return str(value)


@dataclass(frozen=True)
class AttributeSet:
    """The inputs of a model, in order."""

    attributes: tuple[Attribute, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the attributes."""
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def digest(self) -> str:
        """SHA-256 of all that says how values are read, in hex."""
        content = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def encode(self, table: pa.Table) -> Floats:
        """The inputs (rows, attributes) of a table that passed its contract."""
        if not table.num_rows:
            return np.zeros((0, len(self.attributes)))
        return np.column_stack([a.encode(table[a.name]) for a in self.attributes])

    def unknown_counts(self, matrix: Floats) -> dict[str, int]:
        """Rows whose category has no code of its own, by attribute, where there are any."""
        counts = {
            attribute.name: int((matrix[:, column] == UNKNOWN_CODE).sum())
            for column, attribute in enumerate(self.attributes)
            if attribute.type == "category"
        }
        return {name: count for name, count in counts.items() if count}

    def require_in(self, mapping: TableMapping) -> None:
        """Refuse a mapping that does not bring all attributes in their types.

        Raises:
            ContractError: names the attribute, and the nearest one that is there.
        """
        contract = mapping.mapping.contract
        for attribute in self.attributes:
            if attribute.name not in contract.attributes:
                raise ContractError(
                    f"{mapping.mapping.origin}: attributes: the model was trained with "
                    f"'{attribute.name}' ({attribute.words}, a {attribute.type}), which is not "
                    f"there; {did_you_mean(attribute.name, contract.attributes)}"
                )
            actual = attribute_type(contract[attribute.name])
            if actual != attribute.type:
                mapping.refuse(
                    attribute.name,
                    f"the model was trained with a {attribute.type}, this is a {actual}; write "
                    f"'type: {attribute.type}', or train again",
                )

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values, for a JSON file."""
        return [{**asdict(a), "values": list(a.values)} for a in self.attributes]

    @classmethod
    def from_json(cls, stored: Sequence[Mapping[str, Any]]) -> "AttributeSet":
        """The set that `to_json` described."""
        return cls(tuple(Attribute(**{**a, "values": tuple(a["values"])}) for a in stored))


def unsuitable(table: pa.Table, mapping: TableMapping) -> dict[str, str]:
    """Why attributes teach nothing or too much, by name: constants, and categories like ids.

    Args:
        table: all rows.
        mapping: that read them.

    Raises:
        ContractError: a mapping file declares a category that has too many values.
    """
    reasons = {}
    for name in mapping.mapping.contract.attributes:
        values = as_array(table[name]).drop_null()
        distinct = pc.count_distinct(values).as_py()
        if not distinct:
            reasons[name] = "no row has a value"
        elif distinct == 1 and len(values) == table.num_rows:
            reasons[name] = "the same value in every row"
        elif attribute_type(mapping.mapping.contract[name]) == "category" and (
            distinct > MOST_CATEGORIES or (distinct * 2 > len(values) and len(values) >= _FEW_ROWS)
        ):
            text = (
                f"{distinct:,} different values of '{mapping.source_of(name)}' in {len(values):,} "
                "rows: more an id than a category"
            )
            if not mapping.is_inferred:
                mapping.refuse(
                    name,
                    f"{text}; leave it out, bring values together with 'values' and 'otherwise', "
                    "or write 'type: number' where it counts something",
                )
            reasons[name] = text
    return reasons


def freeze_attributes(
    table: pa.Table, mapping: TableMapping, left_out: Mapping[str, str]
) -> AttributeSet:
    """The attributes with the categories and medians that some rows show.

    Args:
        table: rows to learn from.
        mapping: that read them.
        left_out: attributes that are no inputs.

    Raises:
        ContractError: no attribute is left.
    """
    names = [name for name in mapping.mapping.contract.attributes if name not in left_out]
    if not names:
        raise ContractError(
            "no attribute is left that a model could learn from: "
            + "; ".join(f"{name}: {why}" for name, why in left_out.items())
        )
    return AttributeSet(tuple(_frozen(table, mapping, name) for name in names))


def _frozen(table: pa.Table, mapping: TableMapping, name: str) -> Attribute:
    column = mapping.mapping.contract[name]
    kind = attribute_type(column)
    values = as_array(table[name]).drop_null()
    words = column.description if column.description != "attribute" else mapping.source_of(name)
    attribute = Attribute(name, kind, words, column.unit)
    if kind == "category":
        return replace(attribute, values=_categories(values))
    if kind == "number" and len(values):
        return replace(attribute, usual=float(np.median(values.to_numpy(zero_copy_only=False))))
    return attribute


def _categories(values: pa.Array) -> tuple[str, ...]:
    """Values that come in enough rows, the most frequent first."""
    counted = pc.value_counts(values)
    pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
    frequent = [(-count, value) for value, count in pairs if count >= LEAST_OF_CATEGORY]
    return tuple(value for _, value in sorted(frequent)[:MOST_CATEGORIES])
