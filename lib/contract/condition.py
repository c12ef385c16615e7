"""Which source rows a mapping takes: plain conditions on source columns, no expressions."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.cast import to_number, to_text, whole_text
from lib.contract.checked import Mask
from lib.contract.coercion import as_array, each_once
from lib.contract.number_text import PLAIN, NumberFormat
from lib.contract.row_check import as_mask

BOUNDS = {
    "above": pc.greater,
    "at_least": pc.greater_equal,
    "below": pc.less,
    "at_most": pc.less_equal,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on one source column; every part that is given must hold.

    Args:
        column: name in the source.
        one_of: texts of which the value must be one; whole floats compare as whole numbers.
        none_of: texts of which the value may be none.
        present: True: not null; False: null.
        bounds: pairs of (`above`, `at_least`, `below` or `at_most`, number); null fails them.
        number: how numbers are written as text.
    """

    column: str
    one_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    present: bool | None = None
    bounds: tuple[tuple[str, float], ...] = ()
    number: NumberFormat = PLAIN

    def holds(self, table: pa.Table) -> Mask:
        """True where a row of the source fulfils the condition."""
        values = as_array(table[self.column])
        mask = np.ones(table.num_rows, dtype=np.bool_)
        if self.present is not None:
            mask &= as_mask(pc.is_valid(values)) == self.present
        if self.one_of:
            mask &= _among(values, self.one_of)
        if self.none_of:
            mask &= ~_among(values, self.none_of)
        for kind, bound in self.bounds:
            mask &= self._compares(values, kind, bound)
        return mask

    def _compares(self, values: pa.Array, kind: str, bound: float) -> Mask:
        numbers, _ = to_number(self.column, values, self.number)
        return as_mask(BOUNDS[kind](numbers, bound))


def all_hold(conditions: Iterable[Condition], table: pa.Table) -> Mask:
    """True where a row fulfils every condition."""
    mask = np.ones(table.num_rows, dtype=np.bool_)
    for condition in conditions:
        mask &= condition.holds(table)
    return mask


def _among(values: pa.Array, texts: tuple[str, ...]) -> Mask:
    written, _ = to_text("", values)
    listed = pa.array(texts, type=pa.string())
    either = pc.or_(
        pc.is_in(each_once(written, whole_text), value_set=listed),
        pc.is_in(written, value_set=listed),
    )
    return as_mask(either)
