"""Formulas written in the language of rules, over other features of the same event.

An expression of numbers is a number; a condition is 1 where it holds and 0 where it does not.
Missing values follow the rules' three values: arithmetic with one is missing, division by zero is,
and a condition that can be decided neither way is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from lib.feature.exact_arithmetic import NAN, Value, choose, is_missing, ratio
from lib.rules import condition as nodes
from lib.rules.condition import COMPARISONS
from lib.rules.expression import read_formula
from lib.rules.scanner import ExpressionError

Inputs: TypeAlias = Mapping[str, Value]
_Compute: TypeAlias = Callable[[Inputs], Value]


@dataclass(frozen=True)
class ExpressionFormula:
    """A formula of a `Derived` feature.

    Args:
        text: the expression, see `lib.rules.expression`; its digest is that of the feature.
        inputs: names of the features that it reads, in the order in which it is given them.
    """

    text: str
    inputs: tuple[str, ...]
    _compute: _Compute = field(repr=False, compare=False, init=False)

    def __post_init__(self) -> None:
        formula = read_formula(self.text, dict.fromkeys(self.inputs, float))
        object.__setattr__(self, "_compute", _computation(formula))

    @classmethod
    def of(cls, text: str, features: Sequence[str]) -> ExpressionFormula:
        """The formula of an expression, with those of the features that it reads.

        Raises:
            ExpressionError: it is outside the language, or reads nothing or another feature.
        """
        formula = read_formula(text, dict.fromkeys(features, float))
        read = {node.name for part in _parts(formula) for node in nodes.fields_of(part)}
        if not read:
            raise ExpressionError(f"{text!r} reads no feature: it is the same for every event")
        return cls(" ".join(text.split()), tuple(name for name in features if name in read))

    def __call__(self, *values: Value) -> Value:
        """The feature, from floats or from float64 arrays."""
        return self._compute(dict(zip(self.inputs, values, strict=True)))


_Formula: TypeAlias = "nodes.Value | tuple[nodes.Condition, nodes.Condition]"


def _parts(formula: _Formula) -> tuple[nodes.Value | nodes.Condition, ...]:
    return formula if isinstance(formula, tuple) else (formula,)


def _computation(formula: _Formula) -> _Compute:
    if not isinstance(formula, tuple):
        return _number(formula)
    holds, fails = map(_test, formula)
    return lambda inputs: choose(holds(inputs), 1.0, choose(fails(inputs), 0.0, NAN))


def _number(value: nodes.Value) -> _Compute:
    match value:
        case nodes.Constant():
            number = float(value.value)
            return lambda _inputs: number
        case nodes.Field():
            name = value.name
            return lambda inputs: inputs[name]
    left, right = _number(value.left), _number(value.right)
    operation = _OPERATIONS[value.op]
    return lambda inputs: operation(left(inputs), right(inputs))


def _divided(left: Value, right: Value) -> Value:
    if isinstance(left, np.ndarray) and not isinstance(right, np.ndarray):
        right = np.full(left.shape, right)
    return ratio(left, right)


def _remainder(left: Value, right: Value) -> Value:
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        with np.errstate(invalid="ignore"):
            return np.fmod(left, right)
    if right == 0 or math.isinf(left) or is_missing(left) or is_missing(right):
        return NAN
    return math.fmod(left, right)


_OPERATIONS: dict[str, Callable[[Value, Value], Value]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "%": _remainder,
}


def _test(condition: nodes.Condition) -> Callable[[Inputs], Any]:
    """Where a condition certainly holds."""
    match condition:
        case nodes.Compare():
            left, right = _number(condition.left), _number(condition.right)
            return lambda inputs: _compared(condition.op, left(inputs), right(inputs))
        case nodes.Missing():
            number, negated = _number(condition.value), condition.negated
            return lambda inputs: is_missing(number(inputs)) != negated
        case nodes.Member():
            return _member(condition)
        case nodes.Always():
            answer = condition.answer
            return lambda _inputs: answer
        case nodes.All() | nodes.Any():
            return _joined(condition)
    raise ExpressionError(f"{condition}: features are numbers, not texts or flags")


def _compared(op: nodes.Comparison, left: Value, right: Value) -> Any:
    holds = COMPARISONS[op].of_values(left, right)
    if op != "!=":
        return holds
    return (
        holds & ~(is_missing(left) | is_missing(right))
        if _many(left, right)
        else (holds and not is_missing(left) and not is_missing(right))
    )


def _many(*values: Value) -> bool:
    return any(isinstance(value, np.ndarray) for value in values)


def _member(condition: nodes.Member) -> Callable[[Inputs], Any]:
    number, negated = _number(condition.value), condition.negated
    among = [float(value) for value in condition.among]

    def test(inputs: Inputs) -> Any:
        value = number(inputs)
        if _many(value):
            inside = np.isin(value, among)
            return ~inside & ~is_missing(value) if negated else inside
        return value not in among and not is_missing(value) if negated else value in among

    return test


def _joined(condition: nodes.All | nodes.Any) -> Callable[[Inputs], Any]:
    tests = [_test(part) for part in condition.parts]
    is_any = isinstance(condition, nodes.Any)

    def either(first: Any, other: Any) -> Any:
        return first | other if is_any else first & other

    return lambda inputs: reduce(either, (test(inputs) for test in tests))
