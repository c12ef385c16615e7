"""Counts add up over any split, and shares and money follow from them."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.rules import RowError, RuleSet, load_rules
from lib.rules.measures import Costs, measure_rules
from lib.rules.tally import Tally, empty_tally, tally

TEXT = """\
version: 1
rules:
  - {id: large, when: amount > 50, action: DECLINE, reason: r, confidence: 1, owner: o}
  - {id: odd, when: visits == 1, action: REVIEW, reason: r, confidence: 1, owner: o}
  - {id: trusted, when: visits > 8, action: APPROVE, reason: r, confidence: 1, owner: o,
     priority: 1}
  - {id: draft, when: visits == 2, action: DECLINE, reason: r, confidence: 1, owner: o,
     status: off}
"""
RULES = load_rules(TEXT, {"amount": float, "visits": float})
INDEX = {rule.id: index for index, rule in enumerate(RULES.rules)}

payments = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.floats(0, 100) | st.none(),
            "visits": st.integers(0, 10).map(float),
            "is_fraud": st.booleans() | st.none(),
            "amount_minor": st.integers(0, 10_000),
            "event_time": st.integers(0, 5 * 86_400_000_000),
        }
    ),
    max_size=30,
)
SCHEMA = pa.schema(
    {
        "amount": pa.float64(),
        "visits": pa.float64(),
        "is_fraud": pa.bool_(),
        "amount_minor": pa.int64(),
        "event_time": pa.timestamp("us", "UTC"),
    }
)


def table_of(rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


def same(first: Tally, other: Tally) -> bool:
    return first.to_arrow().equals(other.to_arrow())


@given(payments, payments)
def test_the_tally_of_two_parts_is_that_of_the_whole(first: list, other: list) -> None:
    parts = tally(RULES, table_of(first)) + tally(RULES, table_of(other))
    assert same(parts, tally(RULES, table_of(first + other)))


@given(payments, payments)
def test_a_tally_survives_its_journey_as_rows(first: list, other: list) -> None:
    parts = [tally(RULES, table_of(rows)) for rows in (first, other)]
    sent = pa.concat_tables([part.to_arrow() for part in parts])
    assert same(Tally.from_arrow(sent, len(RULES.rules)), parts[0] + parts[1])


@given(payments)
def test_the_set_decides_each_payment_as_it_does_row_by_row(rows: list) -> None:
    decided = [RULES.evaluate(row).rule_id for row in rows]
    counted = tally(RULES, table_of(rows)).decided[:, 0].sum(axis=1)
    assert counted.tolist() == [decided.count(rule.id) for rule in RULES.rules]


def measured(rules: RuleSet, rows: list[dict[str, object]]) -> dict:
    measures = measure_rules(rules, tally(rules, table_of(rows)), Costs())
    return {measure.rule_id: measure for measure in measures}


def payment(amount: float, visits: float, fraud: bool | None, minor: int = 1_000) -> dict:
    return {
        "amount": amount,
        "visits": visits,
        "is_fraud": fraud,
        "amount_minor": minor,
        "event_time": 0,
    }


HISTORY = [
    payment(60, 0, True, 10_000),
    payment(60, 0, False, 2_000),
    payment(60, 0, None, 9_999),
    payment(60, 9, False, 5_000),
    payment(10, 1, True, 4_000),
    payment(10, 1, False, 1_000),
    payment(10, 2, True, 6_000),
]


def test_an_unlabelled_payment_is_a_hit_but_neither_fraud_nor_good() -> None:
    large = measured(RULES, HISTORY)["large"]
    assert (large.hits, large.frauds, large.good_hurt, large.unlabelled) == (4, 1, 2, 1)
    assert large.precision == pytest.approx(1 / 3)
    assert large.recall == pytest.approx(1 / 3)
    assert large.value_recall == pytest.approx(10_000 / 20_000)


def test_money_follows_the_action_and_the_printed_assumptions() -> None:
    by_rule = measured(RULES, HISTORY)
    assert by_rule["large"].saved_minor == pytest.approx(10_000 - 2 * 500 - 0.02 * 7_000)
    assert by_rule["odd"].saved_minor == pytest.approx(0.9 * 4_000 - 2 * 300)
    assert by_rule["trusted"].saved_minor == 0
    assert by_rule["trusted"].good_hurt == 0


def test_the_whole_set_counts_what_active_rules_decide_together() -> None:
    by_rule = measured(RULES, HISTORY)
    total = by_rule["whole set"]
    assert (total.hits, total.frauds, total.good_hurt, total.unlabelled) == (5, 2, 2, 1)
    assert by_rule["large"].decides == 3  # one of its four hits is approved by `trusted`
    declined = 10_000 - 500 - 0.02 * 2_000
    assert total.saved_minor == pytest.approx(declined + 0.9 * 4_000 - 2 * 300)
    assert by_rule["draft"].hits == 1


def test_a_rule_without_labelled_hits_has_no_precision() -> None:
    large = measured(RULES, [payment(60, 0, None)])["large"]
    assert math.isnan(large.precision)
    assert math.isnan(large.precision_low)


def test_the_precision_has_its_wilson_interval() -> None:
    large = measured(RULES, [payment(60, 0, number < 8) for number in range(10)])["large"]
    interval = large.precision_low, large.precision_high
    assert interval == pytest.approx((0.49016, 0.94332), abs=1e-5)


def test_overlap_counts_payments_that_both_rules_hit() -> None:
    overlap = tally(RULES, table_of(HISTORY)).overlap
    assert overlap[INDEX["large"], INDEX["trusted"]] == 1
    assert overlap[INDEX["large"], INDEX["odd"]] == 0
    assert np.array_equal(overlap, overlap.T)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("is_fraud", ["yes"], "'is_fraud': bool or 0/1 is expected, got type string"),
        ("is_fraud", [2], "'is_fraud': 0, 1 or null is expected, got 2"),
        ("amount_minor", [1.5], "'amount_minor': whole numbers are expected, got type double"),
        ("amount_minor", pa.array([None], pa.int64()), "'amount_minor': 1 rows hold null"),
        ("event_time", ["today"], "'event_time': whole numbers are expected"),
    ],
)
def test_a_column_of_the_wrong_kind_is_named(column: str, values: object, message: str) -> None:
    table = table_of(HISTORY[:1])
    table = table.set_column(table.column_names.index(column), column, pa.array(values))
    with pytest.raises(RowError, match=message):
        tally(RULES, table)


def test_no_payments_make_an_empty_tally() -> None:
    assert same(tally(RULES, SCHEMA.empty_table()), empty_tally(len(RULES.rules)))
