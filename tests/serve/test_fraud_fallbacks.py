"""What is decided while a part is out, and how it is made up for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.records.conftest import count_decisions
from tests.serve.conftest import Running, Start, Workspace
from tests.serve.factories import ALWAYS_REVIEW, LABELS, SCORE, eventually, label, payment
from tests.serve.redis_process import RedisProcess

pytestmark = pytest.mark.anyio

CAP = 10_000


async def sent(fraud: Running, **changes: Any) -> dict[str, Any]:
    answer = await fraud.client.post(SCORE, json=payment(**changes))
    assert answer.status_code == 200
    return dict(answer.json())


async def get_transaction(fraud: Running, transaction_id: str) -> dict[str, Any]:
    answer = await fraud.client.get(f"/fraud/transactions/{transaction_id}")
    assert answer.status_code == 200
    return dict(answer.json())


async def rescored(fraud: Running, transaction_id: str) -> dict[str, Any]:
    async def done() -> bool:
        return (await get_transaction(fraud, transaction_id))["rescored"] is not None

    await eventually(done)
    return dict((await get_transaction(fraud, transaction_id))["rescored"])


@pytest.fixture
def no_model(workspace: Workspace) -> Path:
    """The registry is away; moving it back is up to the test."""
    away = workspace.folder / "away"
    workspace.registry.rename(away)
    return away


def bring_back(workspace: Workspace, away: Path) -> None:
    away.rename(workspace.registry)


async def test_without_a_model_the_amount_decides_and_nothing_is_hidden(
    start: Start, no_model: Path
) -> None:
    async with start(fallback_cap_minor=CAP) as fraud:
        small = await sent(fraud, amount="100.00")
        large = await sent(fraud, amount="100.01")
        ready = (await fraud.client.get("/fraud/readyz")).json()
        text = fraud.meter.text()
    assert (small["decision"], large["decision"]) == ("APPROVE", "REVIEW")
    assert {small["method"], large["method"]} == {"fallback"}
    assert small["fraud_score"] is None
    assert [reason["code"] for reason in large["reasons"]] == [
        "MODEL_UNAVAILABLE",
        "AMOUNT_ABOVE_CAP",
    ]
    assert (ready["status"], ready["out"]) == ("degraded", ["model"])
    assert 'forewarn_fraud_fallbacks_total{out="model"} 2.0' in text


async def test_without_a_model_rules_still_decide(start: Start, no_model: Path) -> None:
    async with start(rules=ALWAYS_REVIEW) as fraud:
        answer = await sent(fraud, amount="1")
    assert (answer["decision"], answer["method"]) == ("REVIEW", "rule")


async def test_once_the_model_is_back_its_answer_is_kept_beside_the_fallbacks(
    start: Start, workspace: Workspace, no_model: Path
) -> None:
    async with start() as fraud:
        before = await sent(fraud)
        bring_back(workspace, no_model)
        answer = await rescored(fraud, before["transaction_id"])
        after = await sent(fraud)
    assert answer["model_version"] == after["model_version"] == workspace.versions[0]
    assert 0.0 <= answer["fraud_score"] <= 1.0


async def test_a_fallback_keeps_its_first_answer_after_it_was_scored_again(
    start: Start, workspace: Workspace, no_model: Path
) -> None:
    body = payment()
    async with start() as fraud:
        first = await fraud.client.post(SCORE, json=body)
        bring_back(workspace, no_model)
        await rescored(fraud, body["transaction_id"])
        again = await fraud.client.post(SCORE, json=body)
    assert again.content == first.content


async def test_without_the_store_only_rules_that_need_no_history_are_asked(
    start: Start, redis_process: RedisProcess
) -> None:
    needs_history = ALWAYS_REVIEW.replace("amount >= 0", "txn_count_by_user_1h >= 0")
    redis_process.stop()
    async with start(profile_store=redis_process.url, fallback_cap_minor=CAP) as fraud:
        await fraud.service.reconfigure({"rules": needs_history})
        unruled = await sent(fraud, amount="1")
        await fraud.service.reconfigure({"rules": ALWAYS_REVIEW})
        ruled = await sent(fraud, amount="1")
        ready = (await fraud.client.get("/fraud/readyz")).json()
    assert (unruled["decision"], unruled["method"]) == ("APPROVE", "fallback")
    assert (ruled["decision"], ruled["method"]) == ("REVIEW", "fallback")
    assert ruled["rule_id"] == "everything_twice"
    assert "store" in ready["out"]


async def test_the_store_may_go_and_come_back_and_no_payment_is_lost_or_counted_twice(
    start: Start, redis_process: RedisProcess
) -> None:
    async with start(profile_store=redis_process.url) as fraud:
        await sent(fraud)
        redis_process.stop()
        out = [payment() for _ in range(4)]
        first = [await fraud.client.post(SCORE, json=body) for body in out]
        repeated = [await fraud.client.post(SCORE, json=body) for body in out]
        assert [answer.json()["method"] for answer in first] == ["fallback"] * 4
        assert [a.content for a in repeated] == [a.content for a in first]
        redis_process.start()
        for body in out:
            assert (await rescored(fraud, body["transaction_id"]))["fraud_score"] is not None
        late = [await fraud.client.post(SCORE, json=body) for body in out]
        following = await sent(fraud)
        features = (await get_transaction(fraud, following["transaction_id"]))["features"]
    assert [a.content for a in late] == [a.content for a in first]
    assert following["method"] == "model"
    assert features["txn_count_by_user_24h"] == 5


async def test_fallbacks_are_scored_again_though_nobody_sends_payments(
    start: Start, redis_process: RedisProcess
) -> None:
    async with start(profile_store=redis_process.url, rescore_seconds=0.2) as fraud:
        redis_process.stop()
        answers = [await sent(fraud) for _ in range(5)]  # enough that the store is left alone
        redis_process.start()
        for answer in answers:
            assert (await rescored(fraud, answer["transaction_id"]))["fraud_score"] is not None


async def test_a_label_that_comes_while_the_store_is_out_counts_afterwards(
    start: Start, redis_process: RedisProcess
) -> None:
    redis_process.stop()
    async with start(profile_store=redis_process.url) as fraud:
        answer = await sent(fraud)
        fraud_label = label(answer["transaction_id"])
        refused = await fraud.client.post(LABELS, json=fraud_label)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        redis_process.start()
        await rescored(fraud, answer["transaction_id"])
        following = await sent(fraud)
        features = (await get_transaction(fraud, following["transaction_id"]))["features"]
    assert features["connected_fraud_cases"] == 1


async def test_a_malformed_payment_is_never_a_fallback(
    start: Start, redis_process: RedisProcess
) -> None:
    redis_process.stop()
    async with start(profile_store=redis_process.url) as fraud:
        answer = await fraud.client.post(SCORE, json=payment(latitude=200))
    assert answer.status_code == 422


async def test_without_the_database_payments_are_decided_and_recorded_later(
    start: Start, workspace: Workspace
) -> None:
    records = workspace.folder / "sub" / "records.sqlite"
    records.parent.write_text("a file where a directory should be")
    async with start(records=f"sqlite:///{records}") as fraud:
        answer = await sent(fraud)
        ready = (await fraud.client.get("/fraud/readyz")).json()
        assert answer["method"] == "model"
        assert "records" in ready["out"]
        records.parent.unlink()
        records.parent.mkdir()

        async def stored() -> bool:
            await fraud.service.decision_store.drain()
            return records.exists() and fraud.service.decision_store.error is None

        await eventually(stored)
        assert (await get_transaction(fraud, answer["transaction_id"]))["answer"] == answer


async def test_decisions_of_a_killed_process_are_stored_by_the_next(
    start: Start, workspace: Workspace
) -> None:
    async with start(drain_seconds=3600) as fraud:
        answer = await sent(fraud)
        left = workspace.folder / "left"
        shutil.copytree(workspace.folder / "journal", left)
    journal = workspace.folder / "revived"
    shutil.move(left, journal)
    records = f"sqlite:///{workspace.folder}/other.sqlite"
    async with start(journal=journal, records=records) as fraud:
        assert count_decisions(fraud.service.decision_store.records, "fraud") == 1
        assert (await get_transaction(fraud, answer["transaction_id"]))["answer"] == answer


async def test_a_rule_that_declines_teaches_the_profiles(start: Start) -> None:
    decline = ALWAYS_REVIEW.replace("action: REVIEW", "action: DECLINE")
    async with start(rules=decline) as fraud:
        await sent(fraud)
        following = await sent(fraud)
        features = (await get_transaction(fraud, following["transaction_id"]))["features"]
    assert features["decline_count_by_user_24h"] == 1
    assert features["amount_sum_by_user_24h"] == 0
