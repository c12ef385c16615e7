"""Rows of a contract as callers send them: the contract's columns, typed and documented."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    create_model,
)

from lib.contract import MINOR_UNITS, QUARANTINE_REASON, TIME, Column, Contract
from lib.contract.fields import Moment, identifier_of
from lib.contract.scalar import LARGEST_WHOLE
from serve.framework.problem import FieldError, Problem

_ROW = "number of the row"
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


def to_table(contract: Contract, rows: Sequence[BaseModel], path: str = "") -> pa.Table:
    """Rows as a table, checked by the contract.

    Args:
        contract: of the rows.
        rows: as `model_for` reads them.
        path: where a row stands in the body, with `{}` for its number: `{}.` in a list, nothing
            where the body is the row.

    Raises:
        Problem: 422 that names the fields at fault; nothing of the rows may be used then.
    """
    columns = {
        column.name: pa.array([getattr(row, column.name) for row in rows], column.type)
        for column in contract.columns
    }
    table = pa.table(columns)
    checked = contract.check(table, table.append_column(_ROW, pa.array(np.arange(len(rows)))))
    if checked.reasons:
        raise Problem.of_fields(
            [
                fault
                for row in checked.quarantined.to_pylist()
                for fault in _faults(contract, row, path.format(row[_ROW]))
            ]
        )
    return checked.good


def to_rows(request: BaseModel, contracts: Sequence[Contract]) -> Mapping[str, pa.Table]:
    """The tables of a request that has a list of rows by each contract's name; empty ones not.

    Raises:
        Problem: see `to_table`.
    """
    rows_by_name = {contract.name: getattr(request, contract.name) for contract in contracts}
    return {
        contract.name: to_table(contract, rows_by_name[contract.name], f"{contract.name}.{{}}.")
        for contract in contracts
        if rows_by_name[contract.name]
    }


def _faults(contract: Contract, row: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """What a quarantined row's reason says of each field that it names."""
    reason = row[QUARANTINE_REASON]
    for rule in contract.precedes:
        if rule.reason == reason:
            earlier, later = (_value_text(row[name]) for name in (rule.earlier, rule.later))
            message = f"expected at most {rule.later}, {later}, got {earlier}"
            yield FieldError(f"{path}{rule.earlier}", message)
            return
    names, _, message = reason.partition(": ")
    for name in names.split(", "):
        yield FieldError(f"{path}{name}", message)


def _value_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


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
