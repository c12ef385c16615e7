"""What is called unreachable truly is, and the plain cases are found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.rules import read_expression
from lib.rules.condition import Condition
from lib.rules.reachability import never_true, reach_of
from lib.rules.row import row_test
from tests.rules.conditions import FIELDS, conditions, rows

# A few limits on two fields, so that conditions often contradict or imply each other.
parts = st.one_of(
    st.tuples(
        st.sampled_from("xy"),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.sampled_from(["0", "1", "2"]),
    ).map(" ".join),
    st.sampled_from(
        ["x in [0, 1]", "x not in [1, 2]", "x == null", "y != null", "b", "not b", "x > y"]
    ),
)
alternatives = st.lists(parts, min_size=1, max_size=3).map(lambda few: f"({' and '.join(few)})")
narrow = st.lists(alternatives, min_size=1, max_size=2).map(" or ".join)
narrow_rows = st.fixed_dictionaries(
    {name: st.sampled_from([0, 0.5, 1, 1.5, 2, 3, -1, None]) for name in "xy"}
    | {"b": st.sampled_from([True, False, None])}
)


def implies(condition: Condition, other: Condition) -> bool:
    return reach_of(condition).implies(reach_of(other))


def read(expression: str) -> Condition:
    return read_expression(expression, FIELDS)


@settings(max_examples=500)
@given(narrow, st.lists(narrow_rows, min_size=10, max_size=30))
def test_what_is_never_true_is_true_of_no_row(expression: str, table: list[dict]) -> None:
    condition = read(expression)
    if never_true(condition):
        assert not any(map(row_test(condition), table))


@settings(max_examples=500)
@given(narrow, narrow, st.lists(narrow_rows, min_size=10, max_size=30))
def test_what_is_implied_holds_wherever_the_condition_does(
    first: str, other: str, table: list[dict]
) -> None:
    condition, implied = read(first), read(other)
    if implies(condition, implied):
        assert all(row_test(implied)(row) for row in table if row_test(condition)(row))


@settings(deadline=None)
@given(conditions().filter(lambda text: "s == t" not in text), rows(missing=True))
def test_every_condition_implies_itself(expression: str, row: dict) -> None:
    try:
        condition = read(expression)
    except ValueError:
        return
    assert implies(condition, condition)


@pytest.mark.parametrize(
    "expression",
    [
        "x > 5 and x < 3",
        "x > 5 and x <= 5",
        "x == 1 and x == 2",
        "x in [1, 2] and x > 2",
        "x in [1] and x != 1",
        "x == 3 and x == null",
        's == "a" and s == "b"',
        "b and not b",
        "(x < 0 and x > 1) or (y == 1 and y == 2)",
    ],
)
def test_a_contradiction_is_found(expression: str) -> None:
    assert never_true(read(expression))


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("x > 20", "x > 10"),
        ("x > 10", "10 < x"),
        ("x > 10 and y == 1", "x > 10"),
        ("y == 1 and x > 10", "x > 10 and y == 1"),
        ("x in [1, 2]", "x in [1, 2, 3]"),
        ("x == 2", "x > 1"),
        ("x > 10", "x != null"),
        ('s == "a"', 's in ["a", "b"]'),
        ("x + y > 3 and x > 0", "x + y > 3"),
        ("x > 1 and (y > 1 or y < 0)", "(y < 0 or y > 1) and x > 0"),
    ],
)
def test_a_narrower_condition_is_found(later: str, earlier: str) -> None:
    assert implies(read(later), read(earlier))


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("x > 10", "x > 20"),
        ("x >= 10", "x > 10"),
        ("x > 10", "x > 10 and y == 1"),
        ("x > 10", "x > 10 or y == 1"),
        ("x != 1", "x > 1"),
        ("x == null", "x > 1"),
    ],
)
def test_a_wider_condition_or_one_for_missing_fields_is_left_alone(
    later: str, earlier: str
) -> None:
    assert not implies(read(later), read(earlier))
