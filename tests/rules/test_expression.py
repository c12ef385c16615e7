"""The language of rules: what missing values mean, and what is refused with which words."""

import contextlib
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.rules import ExpressionError, read_expression
from lib.rules.row import row_test
from tests.rules.conditions import FIELDS


def holds(expression: str, **row: object) -> bool:
    return bool(row_test(read_expression(expression, FIELDS))(row))  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", [None, math.nan])
@pytest.mark.parametrize(
    "expression",
    [
        "x > 1",
        "not (x > 1)",
        "x == 1",
        "x != 1",
        "x in [1]",
        "x not in [1]",
        "x + 1 > 0",
        "not (x == 1 or y == 5)",
        "x == y",
        "x != y",
    ],
)
def test_a_comparison_with_a_missing_value_never_fires(
    expression: str, missing: float | None
) -> None:
    assert not holds(expression, x=missing, y=1.0)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_only_a_literal_null_tests_for_missing(missing: float | None) -> None:
    assert holds("x == null", x=missing)
    assert not holds("x != null", x=missing)
    assert holds("x + 1 == null", x=missing)
    assert holds("s == null", s=missing)


def test_an_unknown_part_does_not_hide_a_true_alternative() -> None:
    assert holds("x > 1 or y == 1", x=None, y=1.0)
    assert not holds("x > 1 and y == 1", x=None, y=1.0)


def test_division_by_zero_is_missing_and_not_infinite() -> None:
    assert not holds("x / y > 1", x=5.0, y=0.0)
    assert holds("x / y == null", x=5.0, y=0.0)
    assert holds("x % y == null", x=5.0, y=0.0)


def test_a_remainder_takes_the_sign_of_its_left_side() -> None:
    assert holds("x % 100 == -7", x=-107.0)


def test_a_text_is_searched_literally() -> None:
    assert holds('"a.c" in s', s="xa.cx")
    assert not holds('"a.c" in s', s="abc")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("amount > 1", "unknown field 'amount' at character 1"),
        ("x > 1 and zz > 2", "unknown field 'zz' at character 11 of"),
        ("x >", "ends too early"),
        ("x > 1)", "syntax error at ')', character 6"),
        ("1 < x < 3", "comparisons do not chain"),
        ("x = 1", "'=' at character 3"),
        ("s > 1", "`s > 1` compares a text with a number"),
        ('x == "a"', '`x == "a"` compares a number with a text'),
        ('x in [1, "a"]', '`x == "a"` compares a number with a text'),
        ('s < "b"', "texts have no order"),
        ("s + 1 > 2", "s is a text, no number"),
        ("x", "x is a number, not a condition: write e.g. `x > 0`"),
        ("x and b", "x is a number, not a condition"),
        ("5", "a condition is expected"),
        ("x == x", "compares a value with itself"),
        ("x > null", "write `field == null`"),
        ("x in []", "write a list of literals"),
        ("x in [y]", "`field in [literals]` is expected"),
        ("'a' in x", "x is a number"),
        ("1 / 0 > x", "division by zero"),
        ("x > 1e999", "too large"),
        ("abs(x) > 1", "unknown field 'abs'"),
        ("x(1) > 1", "a function call at character 2"),
        ("s[0] == 'a'", "indexing at character 2"),
        ("s.length > 1", "'.l' at character 2"),
        ("$now == 1", "'$n' at character 1"),
        ("s =~ '(a+)+$'", "'=~' at character 3"),
        ("x ** 9 > 1", "'**' at character 3"),
        ("x // 2 > 1", "'//' at character 3"),
        ("x & 1 == 1", "'&' at character 3"),
        ("b ? true : false", "'?' at character 3"),
        ("[x for x in s]", "'for' at character 4"),
        ("x > nan", "'nan' at character 5"),
        ("x > 1 # big", "'#' at character 7"),
        ("((" * 20 + "b" + "))" * 20, "at most 24 levels"),
        (" or ".join(["x > 1"] * 60), "100 operators"),
        ("x > " + "1" * 5000, "at most 4000 characters"),
        ("", "ends too early"),
    ],
)
def test_a_refusal_says_what_and_where(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        read_expression(expression, FIELDS)
    assert message in str(refusal.value)


def test_a_misspelt_field_gets_a_suggestion() -> None:
    with pytest.raises(ExpressionError, match="did you mean 'amount_zscore'"):
        read_expression("amount_zscor > 1", {"amount_zscore": float, "hour": float})


WORDS = [
    "x",
    "s",
    "b",
    "1",
    "0",
    "-",
    "'a'",
    "null",
    "true",
    "not",
    "and",
    "or",
    "in",
    "(",
    ")",
    "[",
    "]",
    ",",
    "==",
    ">",
    "/",
    "%",
    "1e308",
    "r",
    "d",
    "$",
    ".",
    "{",
    "}",
    "?",
    "??",
    "nan",
    "\n",
]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=30))
@example("'\\x' == s")
@example("'\\N{DASH}' == s")
@example("1e999999999 * 1e999999999 > x")
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        read_expression(text, {**FIELDS, "r": float, "d": str})
