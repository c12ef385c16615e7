"""What became known about payments is kept, and counts once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serve.fraud.schemas import MOST_LABELS
from serve.fraud.settings import FraudSettings
from tests.serve.conftest import Running, Start
from tests.serve.factories import LABELS, SCORE, label, moment, payment

pytestmark = pytest.mark.anyio


async def known_frauds(fraud: Running) -> float:
    """How many frauds the next payment of the same customer is connected with."""
    sent = payment()
    await fraud.client.post(SCORE, json=sent)
    answer = await fraud.client.get(f"/fraud/transactions/{sent['transaction_id']}")
    return float(answer.json()["features"]["connected_fraud_cases"])


async def scored(fraud: Running) -> str:
    sent = payment()
    await fraud.client.post(SCORE, json=sent)
    return str(sent["transaction_id"])


async def test_a_chargeback_counts_from_now_on(fraud: Running) -> None:
    about = await scored(fraud)
    before = await known_frauds(fraud)
    answer = await fraud.client.post(LABELS, json=label(about))
    assert answer.status_code == 200
    assert {k: v for k, v in answer.json().items() if k != "request_id"} == {
        "received": 1,
        "stored": 1,
        "repeated": 0,
        "unknown": 0,
    }
    assert (before, await known_frauds(fraud)) == (0, 1)


async def test_the_same_label_again_changes_nothing(fraud: Running) -> None:
    body = label(await scored(fraud))
    for _ in range(3):
        answer = await fraud.client.post(LABELS, json=body)
    assert (answer.json()["stored"], answer.json()["repeated"]) == (0, 1)
    assert await known_frauds(fraud) == 1


async def test_a_second_source_confirms_and_does_not_count_again(fraud: Running) -> None:
    about = await scored(fraud)
    await fraud.client.post(LABELS, json=label(about))
    await fraud.client.post(LABELS, json=label(about, source="review"))
    assert await known_frauds(fraud) == 1


async def test_a_withdrawn_label_no_longer_counts_and_can_come_back(fraud: Running) -> None:
    about = await scored(fraud)
    counts = []
    for seconds, is_fraud in ((-30, True), (-20, False), (-10, True)):
        body = label(about, is_fraud=is_fraud, observed_at=moment(seconds))
        await fraud.client.post(LABELS, json=body)
        counts.append(await known_frauds(fraud))
    assert counts == [1, 0, 1]


async def test_an_older_statement_that_comes_late_does_not_overrule_a_newer_one(
    fraud: Running,
) -> None:
    about = await scored(fraud)
    await fraud.client.post(LABELS, json=label(about, is_fraud=False, observed_at=moment(-10)))
    await fraud.client.post(LABELS, json=label(about, is_fraud=True, observed_at=moment(-50)))
    assert await known_frauds(fraud) == 0


async def test_a_batch_is_taken_whole(fraud: Running) -> None:
    about = [await scored(fraud) for _ in range(3)]
    answer = await fraud.client.post(
        LABELS, json=[label(transaction_id) for transaction_id in about]
    )
    assert answer.json()["stored"] == 3
    assert await known_frauds(fraud) == 3


async def test_one_bad_label_refuses_the_batch_and_is_named(fraud: Running) -> None:
    about = await scored(fraud)
    batch = [label(about), label(about, observed_at="2026-01-31T12:00:00")]
    answer = await fraud.client.post(LABELS, json=batch)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "1.observed_at"
    assert await known_frauds(fraud) == 0


BAD: list[tuple[dict[str, Any], str]] = [
    ({"is_fraud": "yes"}, "is_fraud"),
    ({"is_fraud": 1}, "is_fraud"),
    ({"is_fraud": None}, "is_fraud, declined or both"),
    ({"observed_at": "2026-01-31 12:00"}, "observed_at"),
    ({"source": ""}, "source"),
    ({"fraud": True}, "did you mean 'is_fraud'"),
]


@pytest.mark.parametrize(("changes", "hint"), BAD)
async def test_a_bad_label_is_refused(fraud: Running, changes: dict[str, Any], hint: str) -> None:
    answer = await fraud.client.post(LABELS, json=label("payment-x", **changes))
    assert answer.status_code == 422
    assert hint in answer.json()["detail"]


async def test_a_label_from_the_future_is_refused(fraud: Running) -> None:
    answer = await fraud.client.post(LABELS, json=label("x", observed_at=moment(3600)))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "0.observed_at"


async def test_a_label_about_an_unknown_payment_is_kept_and_counts_once_it_is_sent_again(
    fraud: Running,
) -> None:
    sent = payment()
    body = label(sent["transaction_id"])
    first = await fraud.client.post(LABELS, json=body)
    assert (first.json()["stored"], first.json()["unknown"]) == (1, 1)
    await fraud.client.post(SCORE, json=sent)
    assert await known_frauds(fraud) == 0
    again = await fraud.client.post(LABELS, json=body)
    assert (again.json()["repeated"], again.json()["unknown"]) == (1, 0)
    assert await known_frauds(fraud) == 1


async def test_a_refusal_by_the_issuer_leaves_the_amount_out_of_what_is_usual(
    fraud: Running,
) -> None:
    sent = payment(amount="500")
    await fraud.client.post(SCORE, json=sent)
    body = label(sent["transaction_id"], is_fraud=None, declined=True, source="issuer")
    await fraud.client.post(LABELS, json=body)
    following = payment()
    await fraud.client.post(SCORE, json=following)
    answer = await fraud.client.get(f"/fraud/transactions/{following['transaction_id']}")
    features = answer.json()["features"]
    assert features["amount_sum_by_user_24h"] == 0
    assert features["txn_count_by_user_24h"] == 1
    assert features["decline_count_by_user_24h"] == 1


async def test_a_label_is_shown_with_its_payment(fraud: Running) -> None:
    about = await scored(fraud)
    await fraud.client.post(LABELS, json=label(about))
    labels = (await fraud.client.get(f"/fraud/transactions/{about}")).json()["labels"]
    assert [(entry["kind"], entry["value"], entry["source"]) for entry in labels] == [
        ("fraud", True, "chargeback")
    ]


async def test_a_decision_is_found_before_and_after_it_is_in_the_database(start: Start) -> None:
    async with start(drain_seconds=3600) as fraud:
        about = await scored(fraud)
        early = (await fraud.client.get(f"/fraud/transactions/{about}")).json()
        await fraud.service.decision_store.drain()
        assert fraud.service.decision_store.records.decision("fraud", about) is not None
        late = (await fraud.client.get(f"/fraud/transactions/{about}")).json()
    assert early == late
    assert early["answer"]["transaction_id"] == about


async def test_an_unknown_payment_is_not_found(fraud: Running) -> None:
    answer = await fraud.client.get("/fraud/transactions/nobody-knows")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_many_labels_at_the_same_time_count_each_once(fraud: Running) -> None:
    about = [await scored(fraud) for _ in range(4)]
    bodies = [label(transaction_id) for transaction_id in about]
    await asyncio.gather(*(fraud.client.post(LABELS, json=body) for body in bodies * 2))
    assert await known_frauds(fraud) == 4


async def test_the_largest_batch_is_answered_within_the_deadline_that_ships(start: Start) -> None:
    shipped = FraudSettings.model_fields["deadline_ms"].default
    async with start(deadline_ms=shipped) as fraud:
        payments = [payment() for _ in range(20)]
        for body in payments:
            assert (await fraud.client.post(SCORE, json=body)).status_code == 200
        ids = [body["transaction_id"] for body in payments]
        ids += [f"unknown-{number}" for number in range(MOST_LABELS - len(ids))]
        answer = await fraud.client.post(
            LABELS, json=[label(transaction_id) for transaction_id in ids]
        )
    assert answer.status_code == 200
    assert answer.json()["stored"] == MOST_LABELS
    assert answer.json()["unknown"] == MOST_LABELS - len(payments)
