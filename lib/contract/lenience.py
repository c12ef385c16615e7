"""Optional values that break their contract become missing, and their row stays."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.adjustment import Adjustments
from lib.contract.coercion import as_array
from lib.contract.declaration import Column
from lib.contract.reason import Mask
from lib.contract.row_check import column_faults, together_faults


def set_missing(
    table: pa.Table,
    columns: tuple[Column, ...],
    together: tuple[tuple[str, ...], ...],
    adjustments: Adjustments,
) -> pa.Table:
    """`table` without the faulty values of lenient columns, each noted in `adjustments`.

    Of a group of columns that are given all or not at all (a latitude and its longitude), none
    stays where one is missing.

    Args:
        table: by the contract's names and in its types.
        columns: of the contract.
        together: groups of columns; those of lenient columns alone count.
        adjustments: of the rows of `table`.
    """
    lenient = {column.name for column in columns if column.lenient}
    for column in columns:
        if column.lenient:
            faults = column_faults(column, as_array(table[column.name]))
            table = _without(table, column.name, faults_noted(faults, adjustments))
    for names in together:
        if lenient.issuperset(names):
            table = _none_or_all(table, names, adjustments)
    return table


def faults_noted(faults: Iterable[tuple[Mask, str]], adjustments: Adjustments) -> Mask | None:
    """The rows of all `faults`, None where there are none; each row's first fault is noted."""
    rows: Mask | None = None
    for mask, text in faults:
        fresh = mask if rows is None else mask & ~rows
        if fresh.any():
            adjustments.add(fresh, f"{text}; set to missing")
            rows = fresh if rows is None else rows | fresh
    return rows


def _none_or_all(table: pa.Table, names: tuple[str, ...], adjustments: Adjustments) -> pa.Table:
    ((mask, text),) = together_faults(table, names)
    if not mask.any():
        return table
    noted = np.logical_or.reduce([adjustments.rows_of(name) for name in names])
    adjustments.add(mask & ~noted, f"{text}; set to missing")
    for name in names:
        table = _without(table, name, mask)
    return table


def _without(table: pa.Table, name: str, mask: Mask | None) -> pa.Table:
    if mask is None or not mask.any():
        return table
    values = as_array(table[name])
    kept = pc.if_else(pa.array(~mask), values, pa.scalar(None, type=values.type))
    return table.set_column(table.column_names.index(name), table.schema.field(name), kept)
