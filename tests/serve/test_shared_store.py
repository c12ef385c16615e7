"""Systems that share one Redis: counters as ids are the rule, and none reads another's receipts."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.serve.conftest import Start
from tests.serve.factories import SCORE, label, payment
from tests.serve.moderation_app import Running, moderation, published
from tests.serve.redis_process import RedisProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


async def features(client: httpx.AsyncClient, transaction_id: str) -> dict[str, float]:
    answer = await client.get(f"/fraud/transactions/{transaction_id}")
    return dict(answer.json()["features"])


def post(name: str) -> dict[str, object]:
    return {"post_id": name, "author_id": "ann", "text": "the same words as every other time"}


async def features_of(app: Running, name: str) -> dict[str, float]:
    decision = await app.service.decision_store.find(name)
    assert decision is not None
    return dict(decision.features)


async def test_payments_and_posts_of_the_same_ids_are_answered_and_counted(
    tmp_path: Path, start: Start, redis_process: RedisProcess
) -> None:
    shared = {"profile_store": redis_process.url}
    registry = published(tmp_path / "moderation-models")
    async with start(**shared) as fraud, moderation(tmp_path / "m", registry, **shared) as posts:
        await posts.post("posts", post("1001"))
        answer = await fraud.client.post(SCORE, json=payment(transaction_id="1001"))
        assert answer.status_code == 200, answer.text
        await fraud.client.post(SCORE, json=payment(transaction_id="1002"))
        await posts.post("posts", post("1002"))
        await fraud.service.background.wait_idle()
        await posts.post("posts", post("1003"))
        following = payment(transaction_id="1003")
        answer = await fraud.client.post(SCORE, json=following)
        assert answer.status_code == 200, answer.text
        assert (await features(fraud.client, "1003"))["txn_count_by_user_24h"] == 2
        first, second, third = [await features_of(posts, name) for name in ("1001", "1002", "1003")]
    counts = [name for name in first if first[name] == 0 and third[name] == 2]
    assert counts, "no feature counts the author's two earlier posts"
    assert all(second[name] == 1 for name in counts)


async def test_a_label_counts_whatever_payments_are_called(start: Start) -> None:
    async with start() as fraud:
        for name in ("fraud:b1:1", "declined:b1:0", "b1"):
            answer = await fraud.client.post(SCORE, json=payment(transaction_id=name))
            assert answer.status_code == 200, answer.text
        await fraud.service.decision_store.drain()
        answer = await fraud.client.post("/fraud/labels", json=[label("b1")])
        assert answer.status_code == 200, answer.text
        await fraud.client.post(SCORE, json=payment(transaction_id="next"))
        assert (await features(fraud.client, "next"))["connected_fraud_cases"] == 1


async def test_an_unsettled_id_with_another_device_is_refused(start: Start) -> None:
    async with start() as fraud:
        fraud.service.background.submit = lambda work: None  # nothing is settled
        await fraud.client.post(SCORE, json=payment(transaction_id="b1"))
        answer = await fraud.client.post(SCORE, json=payment(transaction_id="b1", device_id=None))
    assert answer.status_code == 409, answer.text
    assert "transaction_id" in answer.json()["detail"]
