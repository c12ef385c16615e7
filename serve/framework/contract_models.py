"""Rows of a contract as callers send them: the contract's columns, typed and documented."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    create_model,
)

from lib.contract import MINOR_UNITS, TIME, Column, Contract
from lib.contract.fields import Moment, identifier_of
from lib.contract.scalar import LARGEST_WHOLE
from serve.framework.problem import FieldError, Problem

_UNITS = {"UTC": "ISO 8601 with an offset", MINOR_UNITS: f"{MINOR_UNITS} of the currency"}


def model_for(contract: Contract) -> type[BaseModel]:
    """A model of one row, with a field for each column.

    Args:
        contract: whose name, columns, types and limits it takes.
    """
    fields: dict[str, Any] = {column.name: _field(column) for column in contract.columns}
    model: type[BaseModel] = create_model(
        f"{contract.name.capitalize()}Row",
        __config__=ConfigDict(extra="forbid", frozen=True),
        __doc__=f"A row of the table `{contract.name}`.",
        **fields,
    )
    return model


def to_table(contract: Contract, rows: Sequence[BaseModel]) -> pa.Table:
    """Rows as a table, checked by the contract.

    Raises:
        Problem: 422 where rows break it; nothing of them may be used then.
    """
    columns = {
        column.name: pa.array([getattr(row, column.name) for row in rows], column.type)
        for column in contract.columns
    }
    checked = contract.check(pa.table(columns))
    if checked.reasons:
        faults = [FieldError(contract.name, reason) for reason in list(checked.reasons)[:20]]
        text = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:3])
        raise Problem(422, "invalid-field", text, faults)
    return checked.good


def to_rows(request: BaseModel, contracts: Sequence[Contract]) -> Mapping[str, pa.Table]:
    """The tables of a request that has a list of rows by each contract's name; empty ones not.

    Raises:
        Problem: see `to_table`.
    """
    rows_by_name = {contract.name: getattr(request, contract.name) for contract in contracts}
    return {
        contract.name: to_table(contract, rows_by_name[contract.name])
        for contract in contracts
        if rows_by_name[contract.name]
    }


def _field(column: Column) -> tuple[Any, Any]:
    kind: Any
    if column.values:
        kind = Literal[column.values]
    elif column.type == TIME:
        kind = Moment
    elif pa.types.is_string(column.type):
        kind = identifier_of(column.max_length)
    elif pa.types.is_boolean(column.type):
        kind = StrictBool
    elif pa.types.is_integer(column.type):
        low = -LARGEST_WHOLE if column.low is None else int(column.low)
        high = LARGEST_WHOLE if column.high is None else int(column.high)
        kind = Annotated[int, Field(strict=True, ge=low, le=high)]
    else:
        kind = Annotated[FiniteFloat, Field(ge=column.low, le=column.high)]
    description = _description(column)
    if column.required and column.fallback is None:
        return kind, Field(description=description)
    return kind | None, Field(default=None, description=description)


def _description(column: Column) -> str:
    unit = _UNITS.get(column.unit, column.unit)
    default = f"the value of `{column.fallback}`" if column.fallback else "null"
    parts = [column.description[:1].upper() + column.description[1:]]
    parts += [unit] if unit else []
    parts += [] if column.required and column.fallback is None else [f"default: {default}"]
    return "; ".join(parts) + "."
