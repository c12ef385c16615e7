"""The condition of a rule as a small tree, in a form that both evaluators share.

`not` never stands in a tree: it is pushed down to the leaves when an expression is read, which is
exact in three-valued logic. So each leaf answers one question, "is this certainly true?", and
`All`/`Any` combine the answers with plain `and`/`or`, for a row and for a column alike.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Comparison: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]
Kind: TypeAlias = Literal["number", "text", "flag"]
Scalar: TypeAlias = float | str
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
    of_values: Callable[..., bool]
    of_columns: Callable[..., Mask]


COMPARISONS: dict[Comparison, OperatorSpec] = {
    "<": OperatorSpec("lt", ">=", ">", operator.lt, np.less),
    "<=": OperatorSpec("le", ">", ">=", operator.le, np.less_equal),
    ">": OperatorSpec("gt", "<=", "<", operator.gt, np.greater),
    ">=": OperatorSpec("ge", "<", "<=", operator.ge, np.greater_equal),
    "==": OperatorSpec("eq", "!=", "==", operator.eq, np.equal),
    "!=": OperatorSpec("ne", "==", "!=", operator.ne, np.not_equal),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A declared field by name; missing where the row holds None or NaN."""

    name: str
    kind: Kind

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Constant:
    """A number (float64) or a text written in the rule."""

    value: Scalar

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return json.dumps(self.value, ensure_ascii=False)
        return repr(self.value).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right` in float64; missing if a side is, or if the divisor is zero."""

    op: Literal["+", "-", "*", "/", "%"]
    left: Value
    right: Value

    def __str__(self) -> str:
        return f"({self.left} {self.op} {self.right})"


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of two numbers or two texts; never true where a side is missing."""

    op: Comparison
    left: Value
    right: Value

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True, slots=True)
class Member:
    """Whether a value is (or, negated, is not) among the listed ones; false if missing."""

    value: Value
    among: frozenset[Scalar]
    negated: bool = False

    def __str__(self) -> str:
        listed = ", ".join(str(Constant(value)) for value in sorted(self.among, key=str))
        return f"{self.value} {'not ' if self.negated else ''}in [{listed}]"


@dataclass(frozen=True, slots=True)
class Contains:
    """Whether a text field has (or has not) a part that equals `part`; false if missing."""

    field: Field
    part: str
    negated: bool = False

    def __str__(self) -> str:
        return f"{Constant(self.part)} {'not ' if self.negated else ''}in {self.field}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a value is missing (or, negated, present)."""

    value: Value
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.value} {'!=' if self.negated else '=='} null"


@dataclass(frozen=True, slots=True)
class Flag:
    """Whether a boolean field holds `expected`; false if missing."""

    field: Field
    expected: bool

    def __str__(self) -> str:
        return f"{'' if self.expected else 'not '}{self.field}"


@dataclass(frozen=True, slots=True)
class Always:
    """A condition that does not depend on the row."""

    answer: bool

    def __str__(self) -> str:
        return "true" if self.answer else "false"


@dataclass(frozen=True, slots=True)
class All:
    """True where every part is."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return "(" + " and ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True, slots=True)
class Any:
    """True where some part is."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return "(" + " or ".join(map(str, self.parts)) + ")"


Value: TypeAlias = Field | Constant | Arithmetic
Leaf: TypeAlias = Compare | Member | Contains | Missing | Flag | Always
Condition: TypeAlias = Leaf | All | Any


def join(kind: type[All] | type[Any], parts: list[Condition]) -> Condition:
    """Combine parts, flat and without repetition, folding what is constant."""
    absorbing = kind is Any
    kept: dict[Condition, None] = {}
    for part in parts:
        if isinstance(part, Always) and part.answer == absorbing:
            return part
        if not isinstance(part, Always):
            kept.update(dict.fromkeys(part.parts if isinstance(part, kind) else (part,)))
    if not kept:
        return Always(not absorbing)
    return kind(tuple(kept)) if len(kept) > 1 else next(iter(kept))


def fields_of(node: Condition | Value) -> Iterator[Field]:
    """Yield every field that a condition or value reads, repeats included."""
    match node:
        case Field():
            yield node
        case Arithmetic() | Compare():
            yield from fields_of(node.left)
            yield from fields_of(node.right)
        case Member() | Missing():
            yield from fields_of(node.value)
        case Contains() | Flag():
            yield node.field
        case All() | Any():
            for part in node.parts:
                yield from fields_of(part)
        case Constant() | Always():
            pass


def kind_of(value: Value) -> Kind:
    """Return whether a value is a number, a text or a flag."""
    match value:
        case Field():
            return value.kind
        case Constant(value=str()):
            return "text"
        case _:
            return "number"
