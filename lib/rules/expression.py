"""Read the expression of a rule: the declared subset of rule-engine's language.

Offered: fields, numbers, texts, `true`/`false`, `+ - * / %`, `== != < <= > >=`, `in`/`not in` a
list of literals (or a text in a text field), `and`/`or`/`not`, `== null`/`!= null`, parentheses.
Refused by name and place: functions, attributes, indexing, regular expressions, dates, powers,
bit operations, comprehensions, `?:` and comments, so an expression can neither reach outside
the row nor take long.

A missing value (None or NaN) makes a comparison unknown, as in SQL: neither it nor its negation
is true, also under `in` and `not in`; unknown arithmetic stays unknown, and so does division by
zero. `and`/`or`/`not` follow Kleene's three values, and a rule fires only on true. Only a literal
`null` tests for missing: `field == null`. Numbers are float64; `%` takes the sign of its left side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any as Node

import rule_engine
from rule_engine import ast, errors

from lib.rules.condition import (
    COMPARISONS,
    All,
    Always,
    Any,
    Arithmetic,
    Compare,
    Comparison,
    Condition,
    Constant,
    Contains,
    Field,
    Flag,
    Kind,
    Member,
    Missing,
    Scalar,
    Value,
    fields_of,
    join,
    kind_of,
)
from lib.rules.scanner import ExpressionError, check_tokens, position_text

_KIND_NAMES: dict[Kind, str] = {"number": "a number", "text": "a text", "flag": "true or false"}
_BY_WORD = {meaning.word: symbol for symbol, meaning in COMPARISONS.items()}


def read_expression(text: str, fields: Mapping[str, type]) -> Condition:
    """Read an expression over declared fields into a condition.

    Args:
        text: the expression.
        fields: declared fields, each float (or int), str or bool.

    Raises:
        ExpressionError: the expression is outside the language, names an unknown field or
            compares what cannot be compared.

    >>> str(read_expression("not (amount <= 5 or merchant == 'a')", {"amount": float, "merchant": str}))
    '(amount > 5 and merchant != "a")'
    """  # noqa: E501
    reader, tree = _parsed(text, fields)
    with _described(text):
        return reader.condition(tree, True)


def read_formula(text: str, fields: Mapping[str, type]) -> Value | tuple[Condition, Condition]:
    """Read an expression that is a number or a condition.

    Args:
        text: the expression.
        fields: declared fields, each float (or int), str or bool.

    Returns:
        A value, or of a condition what certainly holds and what certainly does not.

    Raises:
        ExpressionError: as `read_expression`.

    >>> str(read_formula("amount / 100", {"amount": float}))
    '(amount / 100)'
    """
    reader, tree = _parsed(text, fields)
    with _described(text):
        if reader.is_number(tree):
            return reader.value(tree)
        return reader.condition(tree, True), reader.condition(tree, False)


def _parsed(text: str, fields: Mapping[str, type]) -> tuple[_Reader, Node]:
    kinds = {name: _kind(declared) for name, declared in fields.items()}
    check_tokens(text, kinds)
    with _described(text):
        parsed = rule_engine.Rule(text, context=rule_engine.Context(default_timezone="utc"))
        return _Reader(text, kinds), parsed.statement.expression


@contextmanager
def _described(text: str) -> Iterator[None]:
    """Turns what rule-engine raises into an `ExpressionError`."""
    try:
        yield
    except errors.RuleSyntaxError as error:
        raise ExpressionError(_syntax_message(text, error)) from None
    except (errors.EngineError, ArithmeticError) as error:
        raise ExpressionError(
            f"a part made of literals alone cannot be computed: {error}"
        ) from None


def _kind(declared: type) -> Kind:
    kinds: dict[type, Kind] = {float: "number", int: "number", str: "text", bool: "flag"}
    if declared not in kinds:
        raise TypeError(f"a field is declared float, int, str or bool, not {declared!r}")
    return kinds[declared]


def _syntax_message(text: str, error: Node) -> str:
    if error.token is None:
        return f"syntax error: the expression {' '.join(text.split())!r} ends too early"
    message = (
        f"syntax error at {str(error.token.value)!r}, {position_text(text, error.token.lexpos)}"
    )
    if str(error.token.value) in COMPARISONS:
        message += ": comparisons do not chain, write `low < x and x < high`"
    return message


class _Reader:
    """Turns rule-engine's tree into ours, refusing every node that is not listed here."""

    def __init__(self, text: str, kinds: Mapping[str, Kind]) -> None:
        self.text = " ".join(text.split())
        self.kinds = kinds
        self._conditions: dict[type, Callable[[Node, bool], Condition]] = {
            ast.BooleanExpression: lambda node, positive: Always(node.value == positive),
            ast.SymbolExpression: self._flag,
            ast.UnaryExpression: self._negation,
            ast.LogicExpression: self._logic,
            ast.ComparisonExpression: self._comparison,
            ast.ArithmeticComparisonExpression: self._comparison,
            ast.ContainsExpression: self._containment,
        }

    def is_number(self, node: Node) -> bool:
        """Whether a node is read as a number rather than as a condition."""
        if isinstance(node, ast.SymbolExpression):
            return self.kinds[node.name] == "number"
        if isinstance(node, ast.UnaryExpression):
            return bool(node.type == "uminus")
        return type(node) not in self._conditions

    def condition(self, node: Node, positive: bool) -> Condition:
        """Read a node as a condition; positive is False under an odd number of `not`."""
        reader = self._conditions.get(type(node))
        if reader is None:
            raise ExpressionError(f"{self.text!r}: a condition is expected, got a bare value")
        return reader(node, positive)

    def value(self, node: Node) -> Value:
        """Read a node as a number or a text."""
        match node:
            case ast.SymbolExpression():
                return Field(node.name, self.kinds[node.name])
            case ast.FloatExpression() | ast.StringExpression():
                return Constant(_scalar(node))
            case ast.UnaryExpression(type="uminus"):
                return self._arithmetic("-", Constant(0.0), self.value(node.right))
            case ast.ArithmeticExpression() | ast.AddExpression() | ast.SubtractExpression():
                op = {"add": "+", "sub": "-", "mul": "*", "tdiv": "/", "mod": "%"}[node.type]
                return self._arithmetic(op, self.value(node.left), self.value(node.right))
        raise ExpressionError(f"{self.text!r}: a field, number or text is expected on each side")

    def _arithmetic(self, op: Node, left: Value, right: Value) -> Value:
        for side in (left, right):
            if kind_of(side) != "number":
                raise ExpressionError(f"`{left} {op} {right}`: {side} is {_named(side)}, no number")
        return Arithmetic(op, left, right)

    def _flag(self, node: Node, positive: bool) -> Condition:
        field = Field(node.name, self.kinds[node.name])
        if field.kind != "flag":
            example = f"{field} > 0" if field.kind == "number" else f'{field} == "..."'
            raise ExpressionError(
                f"{field} is {_named(field)}, not a condition: write e.g. `{example}`"
            )
        return Flag(field, positive)

    def _negation(self, node: Node, positive: bool) -> Condition:
        if node.type != "not":
            raise ExpressionError(f"{self.text!r}: a condition is expected, got a number")
        return self.condition(node.right, not positive)

    def _logic(self, node: Node, positive: bool) -> Condition:
        parts = [self.condition(side, positive) for side in (node.left, node.right)]
        return join(All if (node.type == "and") == positive else Any, parts)

    def _comparison(self, node: Node, positive: bool) -> Condition:
        op = _BY_WORD[node.type]
        for side, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(other, ast.NullExpression):
                return self._null_test(op, self.value(side), positive)
            if isinstance(other, ast.BooleanExpression):
                return self._flag_test(op, side, other.value == positive)
        op = op if positive else COMPARISONS[op].negated
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(left, Constant):
            op, left, right = COMPARISONS[op].mirrored, right, left
        self._check_sides(op, left, right)
        return Compare(op, left, right)

    def _check_sides(self, op: Comparison, left: Value, right: Value) -> None:
        if kind_of(left) != kind_of(right):
            raise ExpressionError(
                f"`{left} {op} {right}` compares {_named(left)} with {_named(right)}: "
                f"{left} is {_named(left)}"
            )
        if kind_of(left) == "flag":
            raise ExpressionError(f"`{left} {op} {right}`: write `{left} and {right}` or the like")
        if kind_of(left) == "text" and op not in {"==", "!="}:
            raise ExpressionError(f"`{left} {op} {right}`: texts have no order, use == != or in")
        if left == right:
            raise ExpressionError(f"`{left} {op} {right}` compares a value with itself")

    def _null_test(self, op: Comparison, value: Value, positive: bool) -> Condition:
        if op not in {"==", "!="} or not any(fields_of(value)):
            raise ExpressionError(f"`{value} {op} null`: write `field == null` or `field != null`")
        return Missing(value, negated=(op == "==") != positive)

    def _flag_test(self, op: Comparison, node: Node, expected: bool) -> Condition:
        if op not in {"==", "!="} or not isinstance(node, ast.SymbolExpression):
            raise ExpressionError(f"{self.text!r}: true and false compare with a field by == or !=")
        return self._flag(node, expected == (op == "=="))

    def _containment(self, node: Node, positive: bool) -> Condition:
        if isinstance(node.container, ast.SymbolExpression):
            return self._part(node, positive)
        if not isinstance(node.container, ast.ArrayExpression) or not node.container.value:
            raise ExpressionError(f"{self.text!r}: after `in` write a list of literals: [1, 2]")
        value = self.value(node.member)
        among = [self.value(member) for member in node.container.value]
        listed = frozenset(item.value for item in among if isinstance(item, Constant))
        if isinstance(value, Constant) or not all(isinstance(item, Constant) for item in among):
            raise ExpressionError(f"{self.text!r}: `field in [literals]` is expected")
        for item in among:
            self._check_sides("==", value, item)
        return Member(value, listed, negated=not positive)

    def _part(self, node: Node, positive: bool) -> Condition:
        field = Field(node.container.name, self.kinds[node.container.name])
        part = node.member
        if field.kind != "text" or not isinstance(part, ast.StringExpression) or not part.value:
            raise ExpressionError(
                f'`... in {field}`: `"part" in field` is expected, with a text field; '
                f"{field} is {_named(field)}"
            )
        return Contains(field, part.value, negated=not positive)


def _scalar(node: Node) -> Scalar:
    if isinstance(node, ast.StringExpression):
        return str(node.value)
    number = float(node.value)
    if not math.isfinite(number):
        raise ExpressionError(f"the number {node.value} is too large for float64")
    return number


def _named(value: Value) -> str:
    return _KIND_NAMES[kind_of(value)]
