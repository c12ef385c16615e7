"""The comparisons of the language: every way in which each is used, side by side."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Comparison: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]
Mask: TypeAlias = npt.NDArray[np.bool_]


class OperatorSpec(NamedTuple):
    """One comparison.

    Attributes:
        word: rule-engine's word for it.
        negated: the comparison that holds where this one does not.
        mirrored: the one that says the same with its sides exchanged.
        of_values: it, of two present values.
        of_columns: it, of two columns or a column and a number; False where either is NaN, but for
            `!=`.
    """

    word: str
    negated: Comparison
    mirrored: Comparison
    of_values: Callable[[Any, Any], bool]
    of_columns: Callable[[Any, Any], Mask]


COMPARISONS: dict[Comparison, OperatorSpec] = {
    "<": OperatorSpec("lt", ">=", ">", operator.lt, np.less),
    "<=": OperatorSpec("le", ">", ">=", operator.le, np.less_equal),
    ">": OperatorSpec("gt", "<=", "<", operator.gt, np.greater),
    ">=": OperatorSpec("ge", "<", "<=", operator.ge, np.greater_equal),
    "==": OperatorSpec("eq", "!=", "==", operator.eq, np.equal),
    "!=": OperatorSpec("ne", "==", "!=", operator.ne, np.not_equal),
}
