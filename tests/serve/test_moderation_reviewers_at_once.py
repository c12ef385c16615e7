"""Many reviewers at once over HTTP: some pause past their lease, walk away, or say it twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.serve.moderation_app import SECOND, Running, moderation, published, salt

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

REVIEWERS, POSTS = 6, 60
NEEDED = {"single": 1, "agreed": 2, "majority": 3}
"""Decisions by different people that each rule of the queue asks for."""


@dataclass
class Done:
    """What reviewers were answered."""

    kept: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


async def decide(
    app: Running, claim: dict[str, Any], reviewer: str, violates: bool, done: Done
) -> int:
    body = {
        "reviewer": reviewer,
        "token": claim["token"],
        "verdicts": dict.fromkeys(claim["policies"], violates),
    }
    path = f"/moderation/review/items/{claim['item_id']}/decide"
    answer = await app.client.post(path, json=body)
    assert answer.status_code in {200, 409}, answer.text
    if answer.status_code == 200 and answer.json()["new"]:
        done.kept.append(claim["item_id"])
    return answer.status_code


async def treat(
    app: Running, claim: dict[str, Any], reviewer: str, rng: random.Random, done: Done
) -> None:
    """What one reviewer makes of one item."""
    # most agree about a post; who sees it otherwise calls for a third
    violates = (claim["post_id"][-1] in "369") != (rng.random() < 0.15)
    mood = rng.random()
    lease = {"reviewer": reviewer, "token": claim["token"]}
    item = f"/moderation/review/items/{claim['item_id']}"
    if mood < 0.15:
        done.counts["walked away"] += 1
        return
    if mood < 0.25:
        answer = await app.client.post(f"{item}/release", json=lease)
        assert answer.status_code in {200, 409}
        return
    if mood < 0.45:  # past the lease, while others may have got it
        until = app.clock.us + 900 * SECOND
        while app.clock.us < until:
            await asyncio.sleep(0.005)
        done.counts[f"late {await decide(app, claim, reviewer, violates, done)}"] += 1
        return
    if mood < 0.6:
        answer = await app.client.post(f"{item}/renew", json=lease)
        assert answer.status_code in {200, 409}
    first = await decide(app, claim, reviewer, violates, done)
    again = await decide(app, claim, reviewer, violates, done)
    assert again == first


async def review(app: Running, number: int, done: Done, over: asyncio.Event) -> None:
    """Claims and decides until nothing waits."""
    rng, reviewer = random.Random(number), f"reviewer-{number}"
    while not over.is_set():
        request = {"reviewer": reviewer, "most": rng.randint(1, 3)}
        claims = (await app.post("review/claim", request))["claims"]
        for claim in claims:
            await treat(app, claim, reviewer, rng, done)
        await asyncio.sleep(0.01)


async def pass_time(app: Running, names: list[str], over: asyncio.Event) -> None:
    """A minute and a half at a time, where a lease lasts ten; until all posts have outcomes."""
    waiting = list(names)
    while waiting:
        await asyncio.sleep(0.02)
        app.clock.us += 90 * SECOND
        post = await app.get(f"posts/{waiting[-1]}")
        if post["outcomes"]:
            waiting.pop()
    over.set()


async def test_no_post_is_lost_and_none_is_decided_more_often_than_its_rule_asks_for(
    registry: Path, tmp_path: Path
) -> None:
    done, over = Done(), asyncio.Event()
    names = [f"post-{k}" for k in range(POSTS)]
    bound = tuple(f"reviewer-{number}" for number in range(REVIEWERS))
    drawn = salt(tmp_path, "second opinions of some")  # of five of these posts
    async with moderation(tmp_path / "a", registry, reviewers=bound, review_salt=drawn) as app:
        for name in names:
            sent = {"post_id": name, "author_id": f"by-{name}", "text": "a doubtfulword"}
            assert (await app.post("posts", sent))["decision"] == "REVIEW"
        reviewers = [review(app, number, done, over) for number in range(REVIEWERS)]
        async with asyncio.timeout(120):
            await asyncio.gather(pass_time(app, names, over), *reviewers)
        posts = {name: await app.get(f"posts/{name}") for name in names}
        histories = {name: (await app.get(f"posts/{name}/history"))["entries"] for name in names}
    decisions = []
    for name in names:
        deciders = [entry["who"] for entry in histories[name] if entry["what"] == "decided"]
        decisions += [entry["item_id"] for entry in histories[name] if entry["what"] == "decided"]
        assert posts[name]["decided_by"] == "people"
        (outcome,) = posts[name]["outcomes"]
        assert len(deciders) == NEEDED[outcome["rule"]], (name, outcome, deciders)
        assert len(set(deciders)) == len(deciders), (name, deciders)
    assert sorted(decisions) == sorted(done.kept)  # each that was told to be kept is, once
    assert len(set(decisions)) == len(decisions)
    claimed = sum(entry["what"] == "claimed" for entries in histories.values() for entry in entries)
    assert claimed > len(decisions)
    # whether somebody was quicker than who is late is up to the machine
    assert done.counts["late 409"] + done.counts["late 200"] > 0, done.counts
    assert len({posts[name]["outcomes"][0]["rule"] for name in names}) > 1
