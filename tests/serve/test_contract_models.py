"""Rows of a contract over HTTP: what breaks it is named by its place in the body."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel, create_model

from lib.contract import MINOR_UNITS, Column, Contract, Precedes, text_column, time_column
from serve.framework.contract_models import model_for, to_rows, to_table
from serve.framework.problem import Problem

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SENT = Contract(
    name="parcels",
    columns=(
        text_column("parcel_id", "names the parcel"),
        time_column("sent_at", "when it was sent"),
        time_column("arrived_at", "when it arrived", required=False),
        Column("paid_minor", pa.int64(), "amount that was paid", unit=MINOR_UNITS, low=0),
        Column("price_minor", pa.int64(), "its price", unit=MINOR_UNITS, low=0),
        text_column("street", "where to", required=False),
        text_column("box", "where to", required=False),
    ),
    key=("parcel_id",),
    either=(("street", "box"),),
    precedes=(Precedes("sent_at", "arrived_at"), Precedes("paid_minor", "price_minor")),
)
ROW = model_for(SENT)


def parcel(number: int, **changes: Any) -> BaseModel:
    fields = {"sent_at": NOON, "arrived_at": NOON + timedelta(days=1), "paid_minor": 5}
    fields |= {"price_minor": 5, "street": "s"}
    return ROW(**{"parcel_id": f"p{number}", **fields, **changes})


def faults(rows: list[BaseModel], path: str = "") -> list[tuple[str, str]]:
    with pytest.raises(Problem) as raised:
        to_table(SENT, rows, path)
    assert raised.value.status == 422
    return [(error.field, error.message) for error in raised.value.errors]


def test_rows_that_keep_the_contract_become_a_table() -> None:
    table = to_table(SENT, [parcel(1), parcel(2, arrived_at=None)])
    assert table["parcel_id"].to_pylist() == ["p1", "p2"]
    assert table.schema == SENT.schema


def test_a_time_after_another_is_named_with_both_fields_and_values() -> None:
    late = parcel(1, arrived_at=NOON - timedelta(hours=1))
    text = "expected at most arrived_at, 2026-03-01T11:00:00+00:00, got 2026-03-01T12:00:00+00:00"
    assert faults([late]) == [("sent_at", text)]


def test_an_amount_above_another_is_named_by_the_place_of_its_row() -> None:
    rows = [parcel(1), parcel(2, paid_minor=9), parcel(3), parcel(4, paid_minor=6)]
    assert faults(rows, "{}.") == [
        ("1.paid_minor", "expected at most price_minor, 5, got 9"),
        ("3.paid_minor", "expected at most price_minor, 5, got 6"),
    ]


def test_a_reason_about_several_fields_names_each_of_them() -> None:
    text = "none of these is given"
    assert faults([parcel(1, street=None)]) == [("street", text), ("box", text)]


def test_rows_of_a_table_in_a_body_are_named_by_table_and_number() -> None:
    body = create_model("Body", parcels=(list[ROW], []))  # type: ignore[valid-type]
    with pytest.raises(Problem) as raised:
        to_rows(body(parcels=[parcel(1), parcel(2, paid_minor=9)]), [SENT])
    assert [error.field for error in raised.value.errors] == ["parcels.1.paid_minor"]
    assert to_rows(body(parcels=[]), [SENT]) == {}
