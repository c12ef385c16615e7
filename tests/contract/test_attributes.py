"""Attributes: columns of a data set that its contract does not have."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lib.contract import Column, Contract, ContractError, parse_mapping, text_column, time_column
from lib.contract.attribute_section import attribute_type
from lib.contract.row_preview import preview_rows
from lib.contract.scalar import identifier_fault

PAYMENTS = Contract(
    name="payments",
    columns=(
        text_column("payment_id", "names it"),
        time_column("event_time", "when it was made"),
        Column("amount", pa.float64(), "paid", required=False),
    ),
    key=("payment_id",),
    takes_attributes=True,
)
TEXT = """
contract: payments
columns:
  payment_id: {from: id}
  event_time: {from: at, timezone: UTC}
attributes:
  merchant_category: {from: mcc, type: category, words: the shop's branch, normalize: [strip]}
  account_age: {from: age, type: number, unit: days, low: 0, high: 40000}
  is_guest: {from: guest, type: flag, values: {Y: "true", N: "false"}}
"""


def source(**columns: list[object]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    base = {"id": [f"p{k}" for k in range(rows)], "at": ["2026-01-02 03:04:05"] * rows}
    return pa.table({**base, **columns})


def test_attributes_are_typed_columns_behind_those_of_the_contract():
    mapping = parse_mapping(TEXT, [PAYMENTS])
    assert mapping.contract.attributes == ("merchant_category", "account_age", "is_guest")
    assert mapping.contract.names == (*PAYMENTS.names, *mapping.contract.attributes)
    kinds = [attribute_type(mapping.contract[name]) for name in mapping.contract.attributes]
    assert kinds == ["category", "number", "flag"]
    assert mapping.contract["account_age"].unit == "days"
    assert mapping.contract["merchant_category"].description == "the shop's branch"
    checked = mapping.check(source(mcc=[" 5411", None], age=["12.5", "3"], guest=["Y", None]))
    good = checked.good.to_pydict()
    assert good["merchant_category"] == ["5411", None]
    assert good["account_age"] == [12.5, 3.0]
    assert good["is_guest"] == [True, None]


def test_a_value_that_cannot_be_read_is_missing_and_counted_and_its_row_stays():
    mapping = parse_mapping(TEXT, [PAYMENTS])
    checked = mapping.check(
        source(mcc=["a", "x" * 200, "b"], age=["-1", "old", "4"], guest=["Y", "N", "N"])
    )
    assert checked.rows_in == checked.good.num_rows == 3
    assert checked.good["account_age"].to_pylist() == [None, None, 4.0]
    assert checked.good["merchant_category"].to_pylist() == ["a", None, "b"]
    adjusted = " ".join(checked.adjustments)
    assert "account_age" in adjusted
    assert "merchant_category" in adjusted


def test_a_category_that_no_request_may_hold_is_missing_in_files_too():
    sent = ["a\tb", "a\nb", "a\x85b", "é b"]
    checked = parse_mapping(TEXT, [PAYMENTS]).check(
        source(mcc=sent, age=["1"] * 4, guest=["Y"] * 4)
    )
    kept = checked.good["merchant_category"].to_pylist()
    assert kept == [value if identifier_fault(value) is None else None for value in sent]
    assert kept[-1] == "é b"
    assert checked.adjustments == {
        "merchant_category: holds control characters, which no category may; set to missing": 3
    }


def test_a_preview_shows_what_a_faulty_value_becomes_and_why():
    rows = source(mcc=["a\tb"], age=["-1"], guest=["Y"])
    (preview,) = preview_rows(parse_mapping(TEXT, [PAYMENTS]), rows)
    after = {cell.column: cell.after for cell in preview.cells}
    assert (after["merchant_category"], after["account_age"]) == ("–", "–")
    assert preview.reason == ""
    assert [note.partition(":")[0] for note in preview.adjustments] == [
        "merchant_category", "account_age",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("x: {from: a, type: categroy}", r"mapping:7: .*type.*'categroy'.*did you mean 'category'"),
        ("x: {from: a}", "expected 'type'"),
        ("x: a", r"expected \{from: COLUMN, type"),
        ("amount: {from: a, type: number}", "'amount' is a column of the contract 'payments'"),
        ("event_time: {from: a, type: number}", "is a column of the contract"),
        ("Own: {from: a, type: number}", "lower-case"),
        ("model_config: {from: a, type: number}", "mapping:7: .*no name of a field in a request"),
        ("x: {from: a, type: category, low: 1}", "a category has no low"),
        ("x: {from: a, type: number, low: 3, high: 1}", "low <= high"),
        ("x: {from: a, type: number, timezone: UTC}", "timezone"),
        ("x: {type: number}", "give either 'from'"),
    ],
)
def test_a_fault_is_named_with_its_line(entry: str, message: str):
    text = (
        "contract: payments\ncolumns:\n  payment_id: {from: id}\n"
        "  event_time: {from: at, timezone: UTC}\n\nattributes:\n  " + entry
    )
    with pytest.raises(ContractError, match=message):
        parse_mapping(text, [PAYMENTS])
