"""A retry gets the first answer and changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from lib.records.models import Row
from tests.serve.conftest import Running, Start
from tests.serve.factories import SCORE, moment, payment

pytestmark = pytest.mark.anyio


async def features(fraud: Running, transaction_id: str) -> dict[str, float]:
    answer = await fraud.client.get(f"/fraud/transactions/{transaction_id}")
    return dict(answer.json()["features"])


async def test_a_retry_gets_the_first_answer_to_the_letter(fraud: Running) -> None:
    sent = payment()
    first = await fraud.client.post(SCORE, json=sent)
    at_once = await fraud.client.post(SCORE, json=sent)
    await asyncio.sleep(0.1)
    later = await fraud.client.post(SCORE, json=sent)
    assert first.content == at_once.content == later.content


async def test_a_retry_is_not_counted_as_a_payment(fraud: Running) -> None:
    sent = payment()
    for _ in range(3):
        await fraud.client.post(SCORE, json=sent)
    following = payment()
    await fraud.client.post(SCORE, json=following)
    assert (await features(fraud, following["transaction_id"]))["txn_count_by_user_24h"] == 1


async def test_retries_at_the_same_time_are_counted_once(fraud: Running) -> None:
    sent = payment()
    answers = await asyncio.gather(*(fraud.client.post(SCORE, json=sent) for _ in range(5)))
    following = payment()
    await fraud.client.post(SCORE, json=following)
    assert len({answer.json()["fraud_score"] for answer in answers}) == 1
    assert (await features(fraud, following["transaction_id"]))["txn_count_by_user_24h"] == 1


OTHER = {
    "amount": "9999",
    "user_id": "somebody-else",
    "merchant_id": "elsewhere",
    "currency": "USD",
    "latitude": 1.5,
}


@pytest.mark.parametrize("kept", ["journal", "receipt", "database"])
async def test_another_payment_under_a_known_id_is_a_conflict_and_learns_nothing(
    fraud: Running, kept: str
) -> None:
    sent = payment(latitude=48.0, longitude=2.0)
    first = await fraud.client.post(SCORE, json=sent)
    if kept == "receipt":
        await fraud.service.background.wait_idle()
    if kept == "database":
        await fraud.service.decision_store.drain()
    for field, value in OTHER.items():
        other = await fraud.client.post(SCORE, json={**sent, field: value})
        assert other.status_code == 409, field
        assert other.json()["type"] == "urn:forewarn:conflict"
        assert not {"decision", "fraud_score", "reasons"} & set(other.json())
    again = await fraud.client.post(SCORE, json=sent)
    assert again.content == first.content


async def test_a_conflict_is_counted(fraud: Running) -> None:
    sent = payment()
    await fraud.client.post(SCORE, json=sent)
    await fraud.client.post(SCORE, json={**sent, "amount": "9999"})
    assert 'forewarn_fraud_retries_total{payment="differs"} 1.0' in fraud.meter.text()


async def test_another_payment_after_the_window_is_a_conflict(start: Start) -> None:
    sent = payment(event_time=moment(-5))
    async with start() as fraud:
        await fraud.client.post(SCORE, json=sent)
    async with start(receipt_seconds=2) as fraud:
        late = await fraud.client.post(SCORE, json={**sent, "amount": "9999"})
    assert late.status_code == 409


async def test_of_two_payments_at_once_under_one_id_one_counts(fraud: Running) -> None:
    sent = payment()
    sends = [{**sent, "amount": amount} for amount in ("1", "9999") * 3]
    answers = await asyncio.gather(*(fraud.client.post(SCORE, json=body) for body in sends))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [200] * 3 + [409] * 3
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    following = payment()
    await fraud.client.post(SCORE, json=following)
    assert (await features(fraud, following["transaction_id"]))["txn_count_by_user_24h"] == 1


async def test_a_replica_waits_for_the_answer_that_another_one_is_making(
    start: Start,
) -> None:
    sent = payment()
    async with start() as replica, start() as other:
        keep = replica.service.decision_store.append
        settle = replica.service.profiles.cache_response

        async def slowly(transaction_id: str, settled: bytes) -> None:
            await asyncio.sleep(0.05)
            await settle(transaction_id, settled)

        replica.service.profiles.cache_response = slowly  # type: ignore[method-assign]
        replica.service.decision_store.append = lambda row: None  # type: ignore[method-assign]
        first = await replica.client.post(SCORE, json=sent)
        again = await other.client.post(SCORE, json=sent)
        replica.service.decision_store.append = keep  # type: ignore[method-assign]
    assert again.content == first.content


async def test_a_retry_after_the_window_still_gets_the_first_answer(start: Start) -> None:
    sent = payment(event_time=moment(-5))
    async with start() as fraud:
        first = await fraud.client.post(SCORE, json=sent)
    async with start(receipt_seconds=2) as fraud:
        late = await fraud.client.post(SCORE, json=sent)
    assert late.content == first.content


async def test_a_retry_survives_a_restart(start: Start) -> None:
    sent = payment()
    async with start() as fraud:
        first = await fraud.client.post(SCORE, json=sent)
    async with start() as fraud:
        again = await fraud.client.post(SCORE, json=sent)
    assert again.content == first.content


async def test_a_payment_counted_but_not_answered_is_scored_on_its_first_sight(
    fraud: Running,
) -> None:
    """A replica may die between the count and the answer."""
    sent = payment()
    decisions: list[Row] = []
    keep = fraud.service.decision_store.append

    def die(row: Row) -> None:
        decisions.append(row)
        raise RuntimeError("killed here")

    fraud.service.decision_store.append = die  # type: ignore[method-assign]
    assert (await fraud.client.post(SCORE, json=sent)).status_code == 500
    fraud.service.decision_store.append = keep  # type: ignore[method-assign]
    answer = await fraud.client.post(SCORE, json=sent)
    assert answer.status_code == 200
    assert answer.json()["fraud_score"] == decisions[0]["score"]
    following = payment()
    await fraud.client.post(SCORE, json=following)
    assert (await features(fraud, following["transaction_id"]))["txn_count_by_user_24h"] == 1
