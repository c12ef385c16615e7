"""Row, table and two foreign engines give the same answers.

rule-engine itself checks rows without holes; SQLite checks holes, where both follow SQL.
"""

import math
import sqlite3

import pyarrow as pa
import pytest
import rule_engine
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lib.rules import ExpressionError, read_expression
from lib.rules.columns import Columns
from lib.rules.condition import Always, Condition
from lib.rules.row import row_test
from tests.rules.conditions import FIELDS, conditions, rows

ARROW = {float: pa.float64(), str: pa.string(), bool: pa.bool_()}
SCHEMA = pa.schema({name: ARROW[kind] for name, kind in FIELDS.items()})
Rows = list[dict[str, object]]


def read(expression: str) -> Condition:
    try:
        return read_expression(expression, FIELDS)
    except ExpressionError as error:
        # Two random sides may be the same, and two random literals may divide by zero.
        assume("with itself" not in str(error) and "cannot be computed" not in str(error))
        raise


def by_row(condition: Condition, table: Rows) -> list[bool]:
    test = row_test(condition)
    return [bool(test(row)) for row in table]  # type: ignore[arg-type]


def by_table(condition: Condition, table: Rows) -> list[bool]:
    columns = Columns(pa.Table.from_pylist(table, SCHEMA))
    return columns.mask(condition).tolist()


def by_rule_engine(expression: str, table: Rows) -> list[bool]:
    rule = rule_engine.Rule(expression)
    return [rule.matches(row) for row in table]


def by_sqlite(expression: str, table: Rows) -> list[bool]:
    for ours, sql in (("== null", "IS NULL"), ("!= null", "IS NOT NULL"), ('"', "'")):
        expression = expression.replace(ours, sql)
    expression = expression.replace("[", "(").replace("]", ")")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE data (x REAL, y REAL, z REAL, s TEXT, t TEXT, b INTEGER)")
    database.executemany("INSERT INTO data VALUES (:x, :y, :z, :s, :t, :b)", table)
    query = f"SELECT ({expression}) IS TRUE FROM data ORDER BY rowid"
    answers = [bool(answer) for (answer,) in database.execute(query)]
    database.close()
    return answers


@settings(max_examples=300, deadline=None)
@given(conditions("+-*/%"), st.lists(rows(missing=True), min_size=1, max_size=8))
def test_a_table_answers_as_its_rows_do(expression: str, table: Rows) -> None:
    condition = read(expression)
    assert by_table(condition, table) == by_row(condition, table)


@pytest.mark.parametrize(
    "expression", ["x / y > 1", "x / y != 1", "x % y == null", "x / y == null"]
)
@pytest.mark.parametrize("x", [5.0, 0.0, -5.0, math.inf, None])
@pytest.mark.parametrize("y", [0.0, -0.0, 2.0, math.inf, None])
def test_a_table_divides_as_its_rows_do(expression: str, x: float | None, y: float | None) -> None:
    condition, table = read(expression), [{"x": x, "y": y}]
    assert by_table(condition, table) == by_row(condition, table)


@settings(max_examples=300, deadline=None)
@given(conditions(), st.lists(rows(missing=False), min_size=1, max_size=5))
def test_rows_without_holes_answer_as_rule_engine_does(expression: str, table: Rows) -> None:
    assert by_row(read(expression), table) == by_rule_engine(expression, table)


@settings(max_examples=300, deadline=None)
@given(conditions("+-*/", "sql"), st.lists(rows(missing=True), min_size=1, max_size=5))
def test_rows_with_holes_answer_as_sqlite_does(expression: str, table: Rows) -> None:
    assume("it's" not in expression)
    assert by_row(read(expression), table) == by_sqlite(expression, table)


@settings(deadline=None)
@given(conditions(), st.lists(rows(missing=True), min_size=1, max_size=8))
def test_a_constant_condition_is_constant_in_the_table_too(expression: str, table: Rows) -> None:
    condition = read(f"({expression}) and 1 > 2")
    assert condition == Always(False)
    assert by_table(condition, table) == [False] * len(table)
