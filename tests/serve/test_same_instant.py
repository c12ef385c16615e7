"""Two replicas, asked at the same instant about one id: one effect, 409 for other content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Workspace, starting
from tests.serve.factories import SCORE, eventually, payment
from tests.serve.moderation_app import Running, moderation, published
from tests.serve.redis_process import RedisProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

ROUNDS = 5


@pytest.fixture(params=["sqlite", "redis"])
def profile_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared-profiles.sqlite"
    process: RedisProcess = request.getfixturevalue("redis_process")
    return process.url


@asynccontextmanager
async def moderation_replicas(folder: Path, profile_store: str) -> AsyncIterator[list[Running]]:
    """Two, as on two machines: only profiles and records are shared."""
    shared = {
        "profile_store": profile_store,
        "records": f"sqlite:///{folder}/shared-records.sqlite",
    }
    registry = published(folder)
    async with (
        moderation(folder / "first", registry, **shared) as first,
        moderation(folder / "second", registry, **shared) as second,
    ):
        yield [first, second]


async def statuses(
    clients: list[httpx.AsyncClient], path: str, bodies: list[dict[str, Any]]
) -> list[int]:
    """What each of several clients is answered at the same instant."""
    sent = (client.post(path, json=body) for client, body in zip(clients, bodies, strict=True))
    return sorted(answer.status_code for answer in await asyncio.gather(*sent))


async def test_one_of_two_posts_under_one_id_takes_effect(
    tmp_path: Path, redis_process: RedisProcess
) -> None:
    async with moderation_replicas(tmp_path, redis_process.url) as replicas:
        clients = [replica.client for replica in replicas]
        same = {"post_id": "same", "author_id": "ann", "text": "as harmless as can be"}
        assert await statuses(clients, "/moderation/posts", [same, same]) == [200, 200]
        for number in range(ROUNDS):
            # the same author and text: only the content's digest tells them apart
            post = {"post_id": f"p{number}", "author_id": "ann", "text": "doubtfulword"}
            bodies = [{**post, "reach": 1}, {**post, "reach": 2}]
            assert await statuses(clients, "/moderation/posts", bodies) == [200, 409]
            assert await statuses(clients, "/moderation/posts", bodies) in ([200, 409], [409, 409])
        for replica in replicas:
            await replica.settled()
        for number in range(ROUNDS):
            post = {"post_id": f"p{number}", "author_id": "ann", "text": "doubtfulword"}
            bodies = [{**post, "reach": 1}, {**post, "reach": 2}]
            assert await statuses(clients, "/moderation/posts", bodies) == [200, 409]
        figures = await replicas[0].get("review/figures")
        assert max(figures["queue"]["depth"].values()) == ROUNDS


async def test_one_of_two_payments_under_one_id_takes_effect(
    workspace: Workspace, profile_store: str
) -> None:
    # a store that is slow for a moment is not out: without it, replicas know nothing of each other
    shared = {"profile_store": profile_store, "store_timeout_ms": 30_000.0, "deadline_ms": 60_000.0}
    other = {**shared, "journal": workspace.folder / "other-journal"}
    async with starting(workspace, **shared) as first, starting(workspace, **other) as second:
        clients = [first.client, second.client]
        for number in range(ROUNDS):
            body = payment(transaction_id=f"t{number}", amount="1.00")
            bodies = [body, {**body, "amount": "49999.00"}]
            assert await statuses(clients, SCORE, bodies) == [200, 409]


async def test_a_fallback_never_takes_the_answer_of_another_payment_under_its_id(
    workspace: Workspace, redis_process: RedisProcess
) -> None:
    shared = {"profile_store": redis_process.url}
    other = {name: workspace.folder / f"other-{name}" for name in ("journal", "log")}
    other_records = f"sqlite:///{workspace.folder}/other-records.sqlite"
    body = payment(transaction_id="t1", amount="1.00")
    async with (
        starting(workspace, **shared) as first,
        starting(workspace, **shared, **other, records=other_records) as second,
    ):
        counted = await second.client.post(SCORE, json={**body, "amount": "2.00"})
        redis_process.stop()
        fallback = await first.client.post(SCORE, json=body)
        redis_process.start()

        async def tried() -> bool:
            return 'forewarn_rescore_faults_total{outcome="later"} 1.0' in first.meter.text()

        await eventually(tried, within=60.0)
        shown = (await first.client.get("/fraud/transactions/t1")).json()
    assert (counted.json()["method"], fallback.json()["method"]) == ("model", "fallback")
    assert (shown["answer"]["method"], shown["rescored"]) == ("fallback", None)
