"""The moderation application as it runs: Ray Serve, HAProxy, a deployment for each modality."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lib.calibration import sigmoid
from lib.moderation.model.inputs import PostInputs
from lib.records.review import ReviewStore
from lib.registry import Registry
from tests.moderation import small_model
from tests.moderation.media_factories import video
from tests.serve.factories import answers_amid, eventually, post_until_answered
from tests.serve.moderation_app import CREATED_AT, arguments, png, published, salt, sent
from tests.serve.other_moderation_model import other_model
from tests.serve.ray_server import RayServer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]

POSTS = "/moderation/posts"
AT_A_TIME = 12  # the proxy sends no more than 16 to one replica
NUMBERS = itertools.count()


@dataclass(frozen=True)
class OnRay:
    """The server and where it lives."""

    server: RayServer
    folder: Path
    registry: Path
    records: str
    token: str


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnRay]:
    folder = tmp_path_factory.mktemp("ray")
    registry = published(folder)
    deployment = {"min": 1, "cpus": 0.1}
    args, token = arguments(
        folder,
        registry,
        front=deployment,
        text=deployment,
        image=deployment,
        video=deployment,
        rescore_seconds=0.1,
        follow_seconds=0.1,
        shutdown_s=2,
        review_salt=salt(folder),
    )
    server = RayServer(folder, json.loads(args.model_dump_json()), system="moderation")
    try:
        server.deploy()
        yield OnRay(server, folder, registry, args.records, token)
    finally:
        server.close()


@pytest.fixture
async def client(on_ray: OnRay) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {on_ray.token}"}
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(
        base_url=on_ray.server.url, headers=headers, timeout=60, limits=limits
    ) as client:
        yield client


def body(**fields: Any) -> dict[str, Any]:
    """A post that was never sent before."""
    number = next(NUMBERS)
    return {"post_id": f"post-{number}", "author_id": f"author-{number}", **fields}


async def judged(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(POSTS, json=body(**fields))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def probabilities_of(answer: dict[str, Any]) -> list[float]:
    return [policy["probability"] for policy in answer["policies"].values()]


async def test_a_post_through_the_proxy_gets_the_chances_of_the_model_in_this_process(
    client: httpx.AsyncClient,
) -> None:
    pieces = small_model.parts()[2]
    text, pixels = pieces.texts[0], pieces.images[0]
    ready = (await client.get("/moderation/readyz")).json()
    assert ready["status"] == "ready", ready
    answer = await judged(client, text=text, images=[sent(png(pixels))] * 2)
    expected = sigmoid(small_model.model().log_odds([PostInputs(text, (pixels, pixels))]))[0]
    assert probabilities_of(answer) == pytest.approx(expected.tolist(), abs=1e-6)
    assert answer["method"] == "model"
    described = (await client.get("/moderation/openapi.json")).json()
    assert {"/posts", "/appeals", "/review/claim"} <= set(described["paths"])
    page = await client.get("/moderation/docs")
    assert page.status_code == 200
    assert "openapi.json" in page.text


async def test_a_pending_video_is_judged_afterwards(client: httpx.AsyncClient) -> None:
    clip = np.repeat(np.repeat(small_model.parts()[2].clips[0], 2, axis=1), 2, axis=2)
    first = await judged(client, text="look", video=sent(video(list(clip), rate=8)))
    path = f"{POSTS}/{first['post_id']}"

    async def followed() -> bool:
        return (await client.get(path)).json()["afterwards"] is not None

    assert first["decision"] == "PENDING"
    await eventually(followed, within=60, pause=0.2)
    record = (await client.get(path)).json()
    assert record["decision"] in {"ALLOW", "REVIEW", "REMOVE"}
    assert set(record["afterwards"]["policies"]) == set(small_model.POLICIES)


async def test_posts_that_come_together_are_judged_together_and_as_if_alone(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    texts = small_model.parts()[2].texts[:48]
    at_a_time = asyncio.Semaphore(AT_A_TIME)

    async def judge(text: str) -> dict[str, Any]:
        async with at_a_time:
            return await judged(client, text=text)

    answers = await asyncio.gather(*(judge(text) for text in texts))
    expected = sigmoid(small_model.model().log_odds([PostInputs(text) for text in texts]))
    assert np.array([probabilities_of(answer) for answer in answers]) == pytest.approx(
        expected, abs=1e-6
    )
    sizes = {int(size): count for size, count in on_ray.server.ask("Text", "sizes").items()}
    assert max(sizes) > 1, sizes


async def test_a_promoted_model_is_taken_up_without_an_error_and_never_by_halves(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    registry, other = Registry(on_ray.registry), other_model()
    before = registry.resolve("moderation", "champion")
    version = registry.publish(small_model.save(other, on_ray.folder / "other"), "moderation")
    text = small_model.parts()[2].texts[0]
    probabilities = {
        name: sigmoid(model.log_odds([PostInputs(text)]))[0].tolist()
        for name, model in ((before, small_model.model()), (version, other))
    }
    assert probabilities[before] != pytest.approx(probabilities[version], abs=1e-3)
    versions: list[str] = []

    async def ask_until_promoted() -> None:
        while version not in versions[-20:]:
            answer = await judged(client, text=text)
            assert answer["method"] == "model", answer
            versions.append(answer["model_version"])
            assert probabilities_of(answer) == pytest.approx(probabilities[versions[-1]], abs=1e-6)

    asking = [asyncio.create_task(ask_until_promoted()) for _ in range(4)]
    while len(versions) < 8:
        await asyncio.sleep(0.02)
    registry.set_alias("moderation", "champion", version, at=CREATED_AT + 1, by="test")
    await asyncio.gather(*asking)
    registry.set_alias("moderation", "champion", before, at=CREATED_AT + 2, by="test")
    assert set(versions) == {before, version}


@pytest.mark.slow
async def test_while_the_model_of_texts_is_killed_every_post_is_answered_and_queued_once(
    client: httpx.AsyncClient, on_ray: OnRay
) -> None:
    texts = [*small_model.parts()[2].texts[:60], *["a doubtfulword"] * 20]
    posts = [body(text=text) for text in texts]
    ask = partial(post_until_answered, client, POSTS, meanwhile={503, 504})

    def kill() -> None:
        os.kill(on_ray.server.replicas("Text")[0], signal.SIGKILL)

    async def in_force(post_id: str) -> dict[str, Any]:
        return dict((await client.get(f"{POSTS}/{post_id}")).json())

    answers = await answers_amid(ask, posts, AT_A_TIME // 2, kill)
    assert [a["post_id"] for a in answers] == [b["post_id"] for b in posts]
    waiting = {a["post_id"] for a in answers if a["method"] == "fallback"}
    assert waiting, "the model was never missed"

    async def judged_again() -> bool:
        records = [await in_force(post_id) for post_id in waiting]
        return all(record["afterwards"] is not None for record in records)

    await eventually(judged_again, within=120, pause=0.5)
    reviews = ReviewStore(on_ray.records)
    opened = {
        post["post_id"]: [
            entry.item_id
            for entry in reviews.list_history(post["post_id"])
            if entry.what == "opened"
        ]
        for post in posts
    }
    reviews.close()
    for post in posts:
        record = await in_force(post["post_id"])
        assert len(opened[post["post_id"]]) == (record["decision"] == "REVIEW"), record


@pytest.mark.slow
async def test_colocated_the_answers_are_the_same(client: httpx.AsyncClient, on_ray: OnRay) -> None:
    pieces = small_model.parts()[2]
    fields = {"text": pieces.texts[3], "images": [sent(png(pieces.images[3]))]}
    apart = await judged(client, **fields)
    on_ray.server.deploy(colocated=True)
    together = await judged(client, **fields)
    assert on_ray.server.replicas("Text") == []
    assert probabilities_of(together) == pytest.approx(probabilities_of(apart), abs=1e-6)
    assert together["decision"] == apart["decision"]
