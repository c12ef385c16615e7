"""Payments and posts while neither disk nor memory takes a decision: 503, and nothing counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.records.decision_buffer import DecisionBuffer
from serve.framework.decision_store import DecisionStore
from tests.serve.conftest import Running
from tests.serve.factories import SCORE, payment
from tests.serve.moderation_app import moderation, published

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def fill(archive: DecisionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves no room for a decision; `monkeypatch.undo` makes room again."""
    monkeypatch.setattr(archive, "_buffer", DecisionBuffer(most_bytes=0))


async def test_a_payment_that_cannot_be_kept_is_refused_before_it_counts(
    fraud: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = payment()
    fill(fraud.service.decision_store, monkeypatch)
    refused = await fraud.client.post(SCORE, json=sent)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    monkeypatch.undo()
    other = payment()
    assert (await fraud.client.post(SCORE, json=other)).status_code == 200
    transaction = await fraud.client.get(f"/fraud/transactions/{other['transaction_id']}")
    assert transaction.json()["features"]["txn_count_by_user_24h"] == 0
    assert (await fraud.client.post(SCORE, json=sent)).status_code == 200


async def test_a_post_that_cannot_be_kept_is_refused_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"post_id": "p", "author_id": "ann", "text": "a blockedword"}
    async with moderation(tmp_path / "a", published(tmp_path)) as app:
        fill(app.service.decision_store, monkeypatch)
        refused = await app.client.post("/moderation/posts", json=body)
        await app.settled()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        figures = await app.get("review/figures")
        monkeypatch.undo()
        assert (await app.post("posts", body))["decision"] == "REVIEW"
        waiting = await app.get("review/figures")
    assert figures["queue"]["depth"] == {}
    assert sum(waiting["queue"]["depth"].values()) == 1
