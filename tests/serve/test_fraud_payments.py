"""What is a payment and what is not, and what the answer to one says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from serve.fraud.schemas import ScoreResponse
from tests.serve.conftest import Models, Running, Workspace, new_workspace, starting
from tests.serve.factories import SCORE, moment, payment

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def workspace(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return new_workspace(tmp_path_factory.mktemp("payments"), models)


@pytest.fixture(scope="module")
async def fraud(workspace: Workspace) -> AsyncIterator[Running]:
    async with starting(workspace) as running:
        yield running


async def test_a_good_payment_is_decided_by_the_model(fraud: Running, workspace: Workspace) -> None:
    sent = payment()
    answer = await fraud.client.post(SCORE, json=sent)
    assert answer.status_code == 200
    response = ScoreResponse.model_validate_json(answer.content)
    assert response.transaction_id == sent["transaction_id"]
    assert response.method == "model"
    assert response.fraud_score is not None
    assert 0.0 <= response.fraud_score <= 1.0
    assert response.model_version == workspace.versions[0]
    assert response.request_id == answer.headers["x-request-id"]


async def test_the_answer_has_exactly_the_fields_that_the_documentation_names(
    fraud: Running,
) -> None:
    answer = (await fraud.client.post(SCORE, json=payment())).json()
    assert list(answer) == list(ScoreResponse.model_fields)


BAD: list[tuple[str, Any, str]] = [
    ("event_time", "2026-01-31T12:00:00", "timezone"),
    ("event_time", "2026-01-31", "offset"),
    ("event_time", 1_700_000_000, "offset"),
    ("event_time", "1700000000", "offset"),
    ("event_time", "2026-01-31T12:00:00+25:00", "valid datetime"),
    ("event_time", "yesterdayT", "valid datetime"),
    ("amount", "-0.01", "greater than or equal to 0"),
    ("amount", "NaN", "decimal"),
    ("amount", "Infinity", "decimal"),
    ("amount", "1e3", "decimal"),
    ("amount", "12,34", "decimal"),
    ("amount", 12.345, "2 decimal places"),
    ("amount", 1_000_001, "1000000"),
    ("amount", True, "decimal"),
    ("amount", None, "decimal"),
    ("latitude", 200, "90"),
    ("latitude", "48.85", "number"),
    ("latitude", True, "number"),
    ("longitude", -180.01, "-180"),
    ("currency", "euro", "pattern"),
    ("user_id", "", "at least 1"),
    ("user_id", 7, "string"),
    ("user_id", "x" * 129, "128"),
    ("user_id", "ü" * 65, "128 bytes"),
    ("merchant_id", "a\x1fb", "pattern"),
    ("transaction_id", "a\x00", "pattern"),
    ("payment_method", "", "at least 1"),
]


@pytest.mark.parametrize(("field", "value", "hint"), BAD)
async def test_a_bad_field_is_named_and_told_what_was_expected(
    fraud: Running, field: str, value: Any, hint: str
) -> None:
    answer = await fraud.client.post(SCORE, json=payment(**{field: value}))
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert hint in error["message"]


@pytest.mark.parametrize("field", ["transaction_id", "event_time", "user_id", "amount", "currency"])
async def test_a_missing_field_is_named(fraud: Running, field: str) -> None:
    sent = payment()
    del sent[field]
    answer = await fraud.client.post(SCORE, json=sent)
    assert answer.json()["errors"] == [{"field": field, "message": "this field is required"}]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["amount", "latitude"])
async def test_no_number_is_no_number(fraud: Running, field: str, number: str) -> None:
    text = json.dumps(payment(**{field: "HERE"})).replace('"HERE"', number)
    answer = await fraud.client.post(SCORE, content=text)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_a_misspelt_field_is_refused_with_a_suggestion(fraud: Running) -> None:
    answer = await fraud.client.post(SCORE, json=payment(usr_id="x"))
    assert answer.status_code == 422
    assert (
        answer.json()["errors"][0]["message"] == "unknown field, got 'x'; did you mean 'user_id'?"
    )


@pytest.mark.parametrize("value", ["1200", "abc", 12.5, 1200])
async def test_an_amount_in_minor_units_is_refused_by_name_whatever_its_type(
    fraud: Running, value: object
) -> None:
    answer = await fraud.client.post(SCORE, json=payment(amount_minor=value))
    assert answer.status_code == 422
    message = f"unknown field, got {value!r}; did you mean 'amount'?"
    assert answer.json()["errors"] == [{"field": "amount_minor", "message": message}]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("amount", "abc", "decimal"),
        ("amount", True, "decimal"),
        ("amount", 12.345, "decimal"),
        ("user_id", 17, "string"),
        ("latitude", "48.85", "number"),
        ("event_time", 1_700_000_000, "ISO 8601"),
    ],
)
async def test_a_value_of_another_type_is_not_bent_into_shape(
    fraud: Running, field: str, value: object, expected: str
) -> None:
    answer = await fraud.client.post(SCORE, json=payment(**{field: value}))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert expected.lower() in error["message"].lower()
    assert error["message"].endswith(f"got {value!r}")


@pytest.mark.parametrize("half", [{"latitude": None}, {"longitude": None}])
async def test_half_a_place_is_refused(fraud: Running, half: dict[str, None]) -> None:
    answer = await fraud.client.post(SCORE, json=payment(**half))
    assert answer.status_code == 422
    assert "both or neither" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe"])
async def test_what_is_no_object_is_refused(fraud: Running, body: bytes) -> None:
    answer = await fraud.client.post(SCORE, content=body)
    assert answer.status_code == 422


async def test_ten_megabytes_are_refused(fraud: Running) -> None:
    answer = await fraud.client.post(SCORE, content=b"x" * 10_000_000)
    assert answer.status_code == 413


async def test_a_payment_from_the_future_is_refused(fraud: Running) -> None:
    answer = await fraud.client.post(SCORE, json=payment(event_time=moment(3600)))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "event_time"
    assert "offset" in answer.json()["detail"]


async def test_a_clock_a_little_ahead_is_forgiven(fraud: Running) -> None:
    answer = await fraud.client.post(SCORE, json=payment(event_time=moment(200)))
    assert answer.status_code == 200


async def test_a_payment_too_old_to_recognise_its_retry_is_refused(fraud: Running) -> None:
    answer = await fraud.client.post(SCORE, json=payment(event_time=moment(-4000)))
    assert answer.status_code == 422
    assert "3600 seconds" in answer.json()["detail"]


async def test_another_offset_is_the_same_moment(fraud: Running) -> None:
    sent = payment()
    utc = sent["event_time"]
    elsewhere = payment(event_time=utc.replace("+00:00", "+02:00"))
    assert (await fraud.client.post(SCORE, json=sent)).status_code == 200
    # two hours earlier than it says in UTC: older than the window
    assert (await fraud.client.post(SCORE, json=elsewhere)).status_code == 422


@pytest.mark.parametrize("amount", ["12.34", 12.34, "12.340"])
async def test_amounts_are_exact_however_they_are_written(fraud: Running, amount: Any) -> None:
    sent = payment(amount=amount)
    await fraud.client.post(SCORE, json=sent)
    kept = await fraud.client.get(f"/fraud/transactions/{sent['transaction_id']}")
    assert kept.json()["payment"]["amount_minor"] == 1234


async def test_an_unknown_payment_method_is_accepted_and_counted(fraud: Running) -> None:
    answer = await fraud.client.post(SCORE, json=payment(payment_method="seashells"))
    assert answer.status_code == 200
    assert "forewarn_fraud_unknown_payment_methods_total 1.0" in fraud.meter.text()


async def test_a_payment_needs_neither_device_nor_place(fraud: Running) -> None:
    sent = payment(device_id=None, latitude=None, longitude=None)
    assert (await fraud.client.post(SCORE, json=sent)).status_code == 200


async def test_a_bad_payment_is_never_counted_nor_recorded(fraud: Running) -> None:
    sent = payment(latitude=200)
    await fraud.client.post(SCORE, json=sent)
    kept = await fraud.client.get(f"/fraud/transactions/{sent['transaction_id']}")
    assert kept.status_code == 404


async def test_each_scope_opens_its_own_door(fraud: Running, workspace: Workspace) -> None:
    async def status(method: str, path: str, key: str) -> int:
        headers = {"Authorization": f"Bearer {workspace.tokens[key]}"}
        return (await fraud.client.request(method, path, headers=headers)).status_code

    assert await status("POST", SCORE, "label") == 403
    assert await status("POST", "/fraud/labels", "score") == 403
    assert await status("GET", "/fraud/transactions/x", "score") == 403


async def test_no_id_of_a_person_is_in_the_log(fraud: Running, workspace: Workspace) -> None:
    sent = payment(user_id="jane.doe@example.com", device_id="imei-990000862471854")
    await fraud.client.post(SCORE, json=sent)
    fraud.service.log.flush()
    log = (workspace.folder / "log.jsonl").read_text()
    assert sent["transaction_id"] in log
    assert "jane.doe" not in log
    assert "990000862471854" not in log


async def test_the_page_documents_every_endpoint(fraud: Running) -> None:
    schema = (await fraud.client.get("/fraud/openapi.json")).json()
    assert {"/score_transaction", "/labels", "/transactions/{transaction_id}"} <= set(
        schema["paths"]
    )
    assert schema["servers"] == [{"url": "/fraud"}]
