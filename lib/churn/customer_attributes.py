"""Attributes of customers: columns of the `customers` table that its contract does not have.

In a stream of happenings each is whole numbers, which profiles keep exactly. A number is its
significand and a power of two, so that none is rounded; a flag is 0 or 1; a category is its place
in a frozen vocabulary, 0 for values that the vocabulary does not have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.churn.contracts import CUSTOMERS
from lib.churn.formulas import NO_NUMBER, UNKNOWN
from lib.churn.target import FEWEST_CUSTOMERS
from lib.churn.vocabulary import CustomerVocabulary
from lib.contract import Contract
from lib.feature.attribute_codes import frozen_by_subject
from lib.feature.attributes import Attribute, contract_column

PREFIX = "attribute:"
"""Of the columns of a stream that hold attributes; names of other columns have no colon."""
CODE_ENDING = "_code"
"""Of features that are codes; numbers and flags have no such name."""
AttributeState: TypeAlias = Literal["missing", "unknown"]
"""What is counted of attributes."""
_SIGNIFICAND, _POWER, _VALUE = ":significand", ":power", ""
_SIGNIFICAND_BITS = 53


def columns_of(attribute: Attribute) -> tuple[str, ...]:
    """The columns of a stream that hold an attribute."""
    endings = (_SIGNIFICAND, _POWER) if attribute.type == "number" else (_VALUE,)
    return tuple(f"{PREFIX}{attribute.name}{ending}" for ending in endings)


@cache
def attribute_columns(base: CustomerVocabulary) -> tuple[str, ...]:
    """The columns of a stream that hold the attributes of a base."""
    return tuple(column for attribute in base.attributes for column in columns_of(attribute))


def attribute_values(base: CustomerVocabulary, customers: pa.Table) -> dict[str, pa.Array]:
    """What the rows of a checked table of customers say, by column of the stream.

    Args:
        base: says which attributes, and the codes of their values.
        customers: with a column of the name of each attribute.
    """
    columns: dict[str, pa.Array] = {}
    for attribute in base.attributes:
        values = customers.column(attribute.name).combine_chunks()
        names = columns_of(attribute)
        columns |= dict(zip(names, _whole_numbers(attribute, values), strict=True))
    return columns


def _whole_numbers(attribute: Attribute, values: Any) -> tuple[pa.Array, ...]:
    if attribute.type == "number":
        return _split(values.to_numpy(zero_copy_only=False).astype(np.float64))
    if attribute.type == "flag":
        codes = values.cast(pa.int64())
    else:
        known = pa.array(attribute.vocabulary, pa.string())
        places = pc.fill_null(pc.index_in(values, value_set=known), -1).cast(pa.int64())
        codes = pc.if_else(pc.is_valid(values), pc.add(places, 1), None)
    return (pc.fill_null(codes, UNKNOWN),)


def _split(numbers: Any) -> tuple[pa.Array, pa.Array]:
    """Significand and power of two of each number; no number has the power `NO_NUMBER`."""
    is_known = np.isfinite(numbers)
    fractions, powers = np.frexp(np.where(is_known, numbers, 0.0))
    significands = np.ldexp(fractions, _SIGNIFICAND_BITS).astype(np.int64)
    shifted = np.where(is_known, powers.astype(np.int64) - _SIGNIFICAND_BITS, NO_NUMBER)
    return pa.array(significands), pa.array(shifted)


def customers_contract(base: CustomerVocabulary) -> Contract:
    """The contract of customers with the attributes of a base behind its own columns."""
    columns = tuple(contract_column(attribute) for attribute in base.attributes)
    names = tuple(column.name for column in columns)
    return replace(CUSTOMERS.with_columns(columns), attributes=names)


def frozen_attributes(
    attributes: Sequence[Attribute], customers: pa.Table
) -> tuple[Attribute, ...]:
    """The attributes as a table of customers shows them; see `frozen_by_subject`."""
    return frozen_by_subject(attributes, customers, "customer_id", FEWEST_CUSTOMERS)


def attribute_counts(
    base: CustomerVocabulary, customers: pa.Table
) -> Iterator[tuple[str, AttributeState, int]]:
    """How many rows of a table lack each attribute, or have a value of it without a code."""
    for each in base.attributes:
        values = customers.column(each.name)
        yield each.name, "missing", values.null_count
        if each.type == "category":
            known = pc.is_in(values, value_set=pa.array(each.vocabulary, pa.string()))
            unknown = pc.and_(pc.is_valid(values), pc.invert(known))
            yield each.name, "unknown", int(pc.sum(unknown).as_py() or 0)
