"""The faults of single rows: null, empty, out of range, not an allowed value, out of order.

Optional values with a fault become missing where their column is lenient, and their row stays.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.checked import Adjustments, Mask
from lib.contract.coercion import as_array
from lib.contract.declaration import Column, Precedes
from lib.contract.scalar import CONTROL_CHARACTERS

Fault = tuple[Mask, str]


def as_mask(condition: pa.Array | pa.ChunkedArray) -> Mask:
    """A boolean Arrow array as NumPy, null read as False."""
    if isinstance(condition, pa.ChunkedArray):
        condition = condition.combine_chunks()
    mask: Mask = condition.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def column_faults(column: Column, values: pa.Array) -> Iterator[Fault]:
    """Every fault of one column, each with the rows it concerns (`values` in contract type)."""
    name = column.name
    if pat.is_floating(column.type):
        # in an optional column NaN is a spelling of "missing" and is null already
        yield as_mask(pc.is_nan(values)), f"{name}: not a number"
        yield as_mask(pc.is_inf(values)), f"{name}: infinite"
    if column.required and values.null_count:
        yield as_mask(pc.is_null(values)), f"{name}: missing"
    if pat.is_string(column.type):
        yield from _text_faults(column, values)
    elif pat.is_list(column.type):
        yield from _list_faults(column, values)
    elif column.low is not None or column.high is not None:
        yield from _range_faults(column, values)


def order_faults(table: pa.Table, rule: Precedes) -> Iterator[Fault]:
    """Rows whose `earlier` value lies after `later`; nothing where either is null or absent."""
    if not {rule.earlier, rule.later} <= set(table.column_names):
        return
    earlier, later = (table[name].cast(pa.int64()) for name in (rule.earlier, rule.later))
    late = as_mask(pc.greater(earlier, pc.add(later, rule.slack)))
    yield late, rule.reason


def together_faults(table: pa.Table, names: tuple[str, ...]) -> Iterator[Fault]:
    """Rows in which some, but not all, of `names` are given."""
    nulls = [as_mask(pc.is_null(table[name])) for name in names]
    missing = np.logical_or.reduce(nulls) & ~np.logical_and.reduce(nulls)
    yield missing, f"{', '.join(names)}: only some of these are given"


def either_faults(table: pa.Table, names: tuple[str, ...]) -> Iterator[Fault]:
    """Rows in which none of `names`, or more than one, is given."""
    counts = np.sum([as_mask(pc.is_valid(table[name])) for name in names], axis=0)
    yield counts == 0, f"{', '.join(names)}: none of these is given"
    yield counts > 1, f"{', '.join(names)}: more than one of these is given"


def _text_faults(column: Column, values: pa.Array) -> Iterator[Fault]:
    lengths = pc.binary_length(values)
    yield as_mask(pc.equal(lengths, 0)), f"{column.name}: empty"
    too_long = as_mask(pc.greater(lengths, column.max_length))
    yield too_long, f"{column.name}: longer than {column.max_length} bytes"
    if (column.is_identifier or column.printable) and _may_hold_control_characters(values):
        control = as_mask(pc.match_substring_regex(values, CONTROL_CHARACTERS))
        kind = "identifier" if column.is_identifier else "category"
        yield control, f"{column.name}: holds control characters, which no {kind} may"
    if column.values:
        is_allowed = pc.is_in(values, value_set=pa.array(column.values, type=pa.string()))
        other = as_mask(pc.and_(pc.is_valid(values), pc.invert(is_allowed)))
        yield other, f"{column.name}: not one of {', '.join(column.values)}"


def _may_hold_control_characters(values: pa.Array) -> bool:
    """Whether a byte of all texts is below a space, a DEL or the first of a C1 control's two."""
    data = values.buffers()[2]
    if data is None:
        return False
    letters = np.frombuffer(data, dtype=np.uint8)
    return bool(((letters < 0x20) | (letters == 0x7F) | (letters == 0xC2)).any())


def _list_faults(column: Column, values: pa.Array) -> Iterator[Fault]:
    """A list is at fault where a number in it is missing or not finite, or it is too short."""
    inside = values.flatten()
    owners = pc.list_parent_indices(values).to_numpy()
    bad = as_mask(pc.invert(pc.is_finite(inside).fill_null(False)))
    mask = np.zeros(len(values), dtype=np.bool_)
    mask[owners[bad]] = True
    yield mask, f"{column.name}: a number in it is missing or not finite"
    if column.low is not None:
        short = as_mask(pc.less(pc.list_value_length(values), int(column.low)))
        yield short, f"{column.name}: fewer than {column.low:g} numbers"


def _range_faults(column: Column, values: pa.Array) -> Iterator[Fault]:
    numbers = values.cast(pa.int64()) if pat.is_timestamp(values.type) else values
    if column.low is not None:
        below = as_mask(pc.less(numbers, _bound(numbers, math.ceil, column.low)))
        yield below, f"{column.name}: below {_bound_text(column, column.low)}"
    if column.high is not None:
        above = as_mask(pc.greater(numbers, _bound(numbers, math.floor, column.high)))
        hint = "; a mapping's 'largest' raises it" if column.is_money else ""
        yield above, f"{column.name}: above {_bound_text(column, column.high)}{hint}"


def _bound(numbers: pa.Array, rounded: Callable[[float], int], bound: float) -> int | float:
    """A bound that is compared with whole numbers as one: as floats some of them have no equal."""
    if not pat.is_integer(numbers.type):
        return bound
    return min(max(rounded(bound), -(2**63)), 2**63 - 1)


def _bound_text(column: Column, bound: float) -> str:
    if pat.is_timestamp(column.type):
        return f"{np.datetime64(int(bound), 'us').astype('datetime64[D]')} UTC"
    return f"{bound:,} {column.unit}".strip()


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
            rows = np.zeros(table.num_rows, dtype=np.bool_)
            for mask, text in column_faults(column, as_array(table[column.name])):
                # of each row its first fault is noted
                adjustments.add(mask & ~rows, f"{text}; set to missing")
                rows |= mask
            table = _without(table, column.name, rows)
    for names in together:
        if lenient.issuperset(names):
            table = _none_or_all(table, names, adjustments)
    return table


def _none_or_all(table: pa.Table, names: tuple[str, ...], adjustments: Adjustments) -> pa.Table:
    ((mask, text),) = together_faults(table, names)
    if not mask.any():
        return table
    noted = np.logical_or.reduce([adjustments.rows_of(name) for name in names])
    adjustments.add(mask & ~noted, f"{text}; set to missing")
    for name in names:
        table = _without(table, name, mask)
    return table


def _without(table: pa.Table, name: str, mask: Mask) -> pa.Table:
    if not mask.any():
        return table
    values = as_array(table[name])
    kept = pc.if_else(pa.array(~mask), values, pa.scalar(None, type=values.type))
    return table.set_column(table.column_names.index(name), table.schema.field(name), kept)
