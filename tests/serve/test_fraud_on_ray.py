"""The fraud application as it runs: Ray Serve, HAProxy, two deployments, Redis."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from tests.serve.conftest import Models, Workspace, new_workspace
from tests.serve.factories import (
    ALWAYS_REVIEW,
    SCORE,
    answers_amid,
    eventually,
    payment,
    post_until_answered,
)
from tests.serve.ray_server import RayServer, listening_ports
from tests.serve.redis_process import RedisProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]

NO_SUCH_VERSION = "20200101T000000Z-00000000"


@dataclass(frozen=True)
class OnRay:
    """The server and where it lives."""

    server: RayServer
    workspace: Workspace


@pytest.fixture(scope="module")
def on_ray(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnRay]:
    folder = tmp_path_factory.mktemp("ray")
    workspace = new_workspace(folder, models)
    store = RedisProcess(folder)
    store.start()
    args = workspace.args(
        profile_store=store.url,
        colocated=False,
        front={"min": 2, "cpus": 0.1},
        ensemble={"min": 1, "cpus": 0.1},
        shutdown_s=2,
    )
    server = RayServer(folder, json.loads(args.model_dump_json()))
    try:
        server.deploy()
        yield OnRay(server, workspace)
    finally:
        server.close()
        store.stop()


@pytest.fixture
async def client(on_ray: OnRay) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {on_ray.workspace.tokens['all']}"}
    async with httpx.AsyncClient(base_url=on_ray.server.url, headers=headers, timeout=30) as client:
        yield client


async def score(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(SCORE, json=payment(**changes))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def features(client: httpx.AsyncClient, transaction_id: str) -> dict[str, float]:
    answer = await client.get(f"/fraud/transactions/{transaction_id}")
    assert answer.status_code == 200
    return dict(answer.json()["features"])


async def part(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    return dict((await client.get("/fraud/status")).json()["parts"][name])


async def test_a_payment_is_scored_through_the_proxy(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    answer = await client.post(SCORE, json=payment(), headers={"X-Request-ID": "order-12"})
    assert answer.status_code == 200
    assert answer.json()["method"] == "model"
    assert answer.json()["model_version"] == on_ray.workspace.versions[0]
    assert answer.headers.get_list("x-request-id") == ["order-12"]
    assert answer.json()["request_id"] == "order-12"


async def test_the_proxy_and_every_replicas_own_port_demand_a_key(on_ray: OnRay) -> None:
    ports = {on_ray.server.port}
    for replica in on_ray.server.replicas("Front"):
        ports |= listening_ports(replica)
    answered = 0
    async with httpx.AsyncClient() as stranger:
        for port in ports:
            try:
                answer = await stranger.post(f"http://127.0.0.1:{port}{SCORE}", json=payment())
            except httpx.TransportError:
                continue  # a port of Ray's own that does not speak HTTP/1.1
            answered += 1
            assert answer.status_code == 401
    assert answered == 3


async def test_a_large_body_is_refused_through_the_proxy(client: httpx.AsyncClient) -> None:
    assert (await client.post(SCORE, content=b"x" * 10_000_000)).status_code == 413


async def test_more_than_the_replicas_can_take_is_refused_at_once_and_can_be_sent_again(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    bodies = [payment(user_id=f"one-of-a-crowd-{n}", device_id=None) for n in range(300)]
    limits = httpx.Limits(max_connections=300)
    async with httpx.AsyncClient(
        base_url=on_ray.server.url, headers=client.headers, timeout=30, limits=limits
    ) as crowd:
        answers = await asyncio.gather(*(crowd.post(SCORE, json=body) for body in bodies))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.json()["type"] for answer in refused} == {"urn:forewarn:overload"}
    await asyncio.sleep(1)
    assert (await score(client))["method"] == "model"


async def test_a_retry_that_reaches_another_replica_gets_the_first_answer(
    client: httpx.AsyncClient,
) -> None:
    body = payment()
    answers = [(await client.post(SCORE, json=body)).content for _ in range(8)]
    assert len(set(answers)) == 1


async def test_a_model_is_replaced_by_user_config_and_a_bad_one_leaves_it_on(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    before = set(on_ray.server.replicas("Ensemble"))
    on_ray.server.deploy(ensemble={"model": on_ray.workspace.versions[1]})
    assert (await score(client))["model_version"] == on_ray.workspace.versions[1]
    on_ray.server.deploy(ensemble={"model": NO_SUCH_VERSION})
    assert (await score(client))["model_version"] == on_ray.workspace.versions[1]
    status = await part(client, "model")
    assert not status["ok"]
    assert NO_SUCH_VERSION in status["error"]
    on_ray.server.deploy(ensemble={"model": "champion"})
    assert (await part(client, "model"))["ok"]
    assert set(on_ray.server.replicas("Ensemble")) == before


async def test_rules_are_replaced_by_user_config_and_bad_ones_leave_them_on(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    on_ray.server.deploy(front={"rules": ALWAYS_REVIEW})
    assert (await score(client))["rule_id"] == "everything_twice"
    on_ray.server.deploy(front={"rules": ALWAYS_REVIEW.replace("amount", "amuont")})
    assert (await score(client))["rule_id"] == "everything_twice"
    assert "amuont" in (await part(client, "rules"))["error"]
    on_ray.server.deploy(front={"rules": None, "model": "champion"})
    assert (await score(client))["method"] == "model"


async def test_a_killed_front_replica_loses_no_payment_and_none_counts_twice(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    bodies = [payment(user_id="killed-user") for _ in range(60)]

    def kill() -> None:
        os.kill(on_ray.server.replicas("Front")[0], signal.SIGKILL)

    answers = await answers_amid(partial(post_until_answered, client, SCORE), bodies, 6, kill)
    assert [a["transaction_id"] for a in answers] == [b["transaction_id"] for b in bodies]
    following = payment(user_id="killed-user")
    await post_until_answered(client, SCORE, following)
    assert (await features(client, following["transaction_id"]))["txn_count_by_user_24h"] == 60


async def test_a_killed_model_is_made_up_for_by_a_fallback_and_scored_again(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    os.kill(on_ray.server.replicas("Ensemble")[0], signal.SIGKILL)
    answer = await post_until_answered(client, SCORE, payment())
    fallbacks = [answer] if answer["method"] == "fallback" else []
    for _ in range(20):
        if fallbacks:
            break
        answer = await post_until_answered(client, SCORE, payment())
        fallbacks = [answer] if answer["method"] == "fallback" else []
    assert fallbacks, "the model was never missed"

    async def rescored() -> bool:
        path = f"/fraud/transactions/{fallbacks[0]['transaction_id']}"
        return (await client.get(path)).json()["rescored"] is not None

    await eventually(rescored, within=90, pause=0.5)
    assert (await score(client))["method"] == "model"


def test_what_a_replica_logs_names_no_person(on_ray: OnRay) -> None:
    text = (on_ray.workspace.folder / "log.jsonl").read_text()
    assert any(json.loads(line)["event"] == "request" for line in text.splitlines())
    assert "killed-user" not in text
