"""Evaluate a condition over a whole Arrow table: the row closures' answers, a column at a time."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.rules import condition as nodes
from lib.rules.condition import COMPARISONS, Mask
from lib.rules.problems import RowError

Numbers: TypeAlias = npt.NDArray[np.float64]

_ARITHMETIC: dict[str, Callable[[Numbers | float, Numbers | float], Numbers]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod
}  # fmt: skip
_TARGETS: dict[nodes.Kind, pa.DataType] = {
    "number": pa.float64(), "text": pa.large_string(), "flag": pa.bool_()
}  # fmt: skip
_FITTING: dict[nodes.Kind, tuple[Callable[[pa.DataType], bool], ...]] = {
    "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    "flag": (pa.types.is_boolean,),
    "number": (
        pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean
    ),
}  # fmt: skip


class Columns:
    """The columns of one table as conditions read them, each decoded once.

    Args:
        table: numbers as any Arrow number (decimals too), texts as any string type, flags as
            bool; null or NaN is missing. A column of type null is missing throughout.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.rows: int = table.num_rows
        self._numbers: dict[str, Numbers] = {}

    def mask(self, condition: nodes.Condition) -> Mask:  # noqa: PLR0911  one per kind of node
        """Return, per row, whether the condition is certainly met.

        Raises:
            RowError: a column is absent or holds another type than declared.
        """
        match condition:
            case nodes.Compare():
                return self._compare(condition)
            case nodes.Member():
                return self._member(condition)
            case nodes.Contains():
                column = self._column(condition.field)
                is_match = _true(pc.match_substring(column, condition.part))
                return ~is_match & self._present(condition.field) if condition.negated else is_match
            case nodes.Missing():
                present = self._present(condition.value)
                return present if condition.negated else ~present
            case nodes.Flag():
                return _true(pc.equal(self._column(condition.field), condition.expected))
            case nodes.Always():
                return np.full(self.rows, condition.answer)
            case nodes.All() | nodes.Any():
                join = np.logical_and if isinstance(condition, nodes.All) else np.logical_or
                masks = (self.mask(part) for part in condition.parts)
                result = next(masks)
                for other in masks:
                    result = join(result, other)
                return result

    def _compare(self, condition: nodes.Compare) -> Mask:
        left, right = condition.left, condition.right
        if nodes.kind_of(left) == "text":
            compare = pc.equal if condition.op == "==" else pc.not_equal
            return _true(compare(self._text(left), self._text(right)))
        with np.errstate(all="ignore"):
            first, other = self._number(left), self._number(right)
            result: Mask = COMPARISONS[condition.op].of_columns(first, other)
        if condition.op == "!=":
            result &= ~(np.isnan(first) | np.isnan(other))
        return result

    def _member(self, condition: nodes.Member) -> Mask:
        if nodes.kind_of(condition.value) == "text":
            among = pa.array(sorted(condition.among, key=str), pa.large_string())
            is_member = _true(pc.is_in(self._text(condition.value), value_set=among))
        else:
            is_member = np.isin(self._number(condition.value), list(condition.among))
        return ~is_member & self._present(condition.value) if condition.negated else is_member

    def _present(self, value: nodes.Value) -> Mask:
        if nodes.kind_of(value) == "number":
            missing: Mask = np.isnan(np.broadcast_to(self._number(value), (self.rows,)))
            return ~missing
        return _true(self._column(value).is_valid())

    def _number(self, value: nodes.Value) -> Numbers | float:
        match value:
            case nodes.Constant():
                return float(value.value)
            case nodes.Field():
                if value.name not in self._numbers:
                    self._numbers[value.name] = self._column(value).to_numpy()
                return self._numbers[value.name]
            case nodes.Arithmetic():
                return self._arithmetic(value)

    def _arithmetic(self, value: nodes.Arithmetic) -> Numbers:
        with np.errstate(all="ignore"):
            left, right = self._number(value.left), self._number(value.right)
            result = _ARITHMETIC[value.op](left, right)
            if value.op == "/":
                return np.where(np.equal(right, 0), np.nan, result)
        return result

    def _text(self, value: nodes.Value) -> pa.ChunkedArray | pa.Scalar:
        if isinstance(value, nodes.Constant):
            return pa.scalar(str(value.value), pa.large_string())
        return self._column(value)

    def _column(self, value: nodes.Value) -> pa.ChunkedArray:
        assert isinstance(value, nodes.Field)  # noqa: S101  texts and flags are fields or constants
        if value.name not in self.table.column_names:
            raise RowError(f"column {value.name!r} is absent from the table")
        column = self.table.column(value.name)
        if not _fits(column.type, value.kind):
            raise RowError(
                f"column {value.name!r}: a {value.kind} is expected, got type {column.type}"
            )
        return column.cast(_TARGETS[value.kind], safe=False)


def _fits(column_type: pa.DataType, kind: nodes.Kind) -> bool:
    if pa.types.is_dictionary(column_type):
        column_type = column_type.value_type
    return any(fits(column_type) for fits in (pa.types.is_null, *_FITTING[kind]))


def _true(answers: pa.ChunkedArray) -> Mask:
    filled = pc.fill_null(answers, False)
    mask: Mask = filled.to_numpy()
    return mask
