"""The review queue over HTTP: leases, verdicts, second opinions, appeals, history, figures."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.serve.moderation_app import (
    SECOND,
    Running,
    arguments,
    harmless_picture,
    moderation,
    published,
    salt,
    sent,
)

NAMES = ("rob", "eve", "ann")
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


async def doubtful(app: Running, name: str, author: str = "ann", **fields: Any) -> dict[str, Any]:
    """A post that a list sends to people."""
    body = {"post_id": name, "author_id": author, "text": "a doubtfulword", **fields}
    return await app.post("posts", body)


async def claimed(app: Running, reviewer: str = "rob", most: int = 1) -> list[dict[str, Any]]:
    return (await app.post("review/claim", {"reviewer": reviewer, "most": most}))["claims"]


def decision_body(claim: dict[str, Any], violates: bool, reviewer: str = "rob") -> dict[str, Any]:
    verdicts = dict.fromkeys(claim["policies"], violates)
    return {"reviewer": reviewer, "token": claim["token"], "verdicts": verdicts}


async def removed(app: Running) -> dict[str, Any]:
    """A post that was removed a second ago, as its author appeals."""
    await doubtful(app, "p")
    (claim,) = await claimed(app)
    await app.post(f"review/items/{claim['item_id']}/decide", decision_body(claim, violates=True))
    app.clock.us += SECOND
    return {"post_id": "p", "author_id": "ann", "statement": "it was a quotation"}


async def test_a_reviewer_gets_what_is_needed_to_decide(registry, tmp_path):
    image = harmless_picture()
    async with moderation(tmp_path / "a", registry) as app:
        await doubtful(app, "p", images=[sent(image)], language="en", reach=10)
        (claim,) = await claimed(app)
        nobody_else = await claimed(app, "eve")
        policies = await app.get("review/policies")
        content = claim["shown"]
        media = await app.client.get(f"/moderation/media/{content['media']['images.0']}")
        lost = await app.client.get(f"/moderation/media/{'0' * 64}")
    assert nobody_else == []
    assert content["text"] == "a doubtfulword"
    assert content["hits"][0]["text"] == "doubtfulword"
    assert content["reason"] == "the text holds wording that a person should look at"
    assert "offensive" in claim["policies"]  # the model may see more in the picture
    assert {policy["id"] for policy in policies["policies"]} >= {"offensive"}
    assert media.content == image
    assert media.headers["content-type"] == "application/octet-stream"
    assert media.headers["x-content-type-options"] == "nosniff"
    assert lost.status_code == 404


async def test_a_verdict_holds_is_kept_once_and_is_in_the_history(registry, tmp_path):
    async with moderation(
        tmp_path / "a", registry, review_salt=salt(tmp_path), reviewers=NAMES
    ) as app:
        await doubtful(app, "p")
        (claim,) = await claimed(app)
        path = f"review/items/{claim['item_id']}/decide"
        first = await app.post(path, decision_body(claim, violates=False))
        again = await app.post(path, decision_body(claim, violates=False))
        await app.post(path, decision_body(claim, violates=True), 409)
        record = await app.get("posts/p")
        history = await app.get("posts/p/history")
        await app.post("review/items/none/decide", decision_body(claim, violates=True), 404)
    assert (first["new"], again["new"]) == (True, False)
    assert first["outcome"]["verdicts"] == {"offensive": False}
    assert (record["decision"], record["decided_by"]) == ("ALLOW", "people")
    assert [entry["what"] for entry in history["entries"]][:3] == ["opened", "claimed", "decided"]
    assert {entry["policy_version"] for entry in history["entries"]} == {
        record["first"]["policies_version"]
    }


async def test_a_lease_that_ended_passes_to_another_and_the_first_is_told(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        await doubtful(app, "p")
        (claim,) = await claimed(app)
        lease = {"reviewer": "rob", "token": claim["token"]}
        until = (await app.post(f"review/items/{claim['item_id']}/renew", lease))["leased_until"]
        assert until >= claim["leased_until"]
        app.clock.us += 3_600 * SECOND
        (other,) = await claimed(app, "eve")
        refused = await app.post(
            f"review/items/{claim['item_id']}/decide", decision_body(claim, violates=True), 409
        )
        back = {"reviewer": "eve", "token": other["token"]}
        await app.post(f"review/items/{other['item_id']}/release", back)
        (third,) = await claimed(app, "ann")
    assert "eve" not in refused["detail"] or refused["detail"]
    assert third["item_id"] == claim["item_id"]


async def test_an_appeal_goes_to_somebody_else_and_may_overturn(registry, tmp_path):
    async with moderation(
        tmp_path / "a", registry, review_salt=salt(tmp_path), reviewers=NAMES
    ) as app:
        appeal_body = await removed(app)
        await app.post("appeals", {**appeal_body, "author_id": "eve"}, 403)
        first, again = [await app.post("appeals", appeal_body) for _ in range(2)]
        own = await claimed(app)
        (appeal,) = await claimed(app, "eve")
        answer = await app.post(
            f"review/items/{appeal['item_id']}/decide", decision_body(appeal, False, "eve")
        )
        stored_post = await app.get("posts/p")
        await app.post("appeals", appeal_body, 409)
        app.clock.us += 60 * SECOND
        await app.settled()
        nxt = await doubtful(app, "q")
        record = await app.service.decision_store.find("q")
    assert (first["new"], again["new"]) == (True, False)
    assert own == []
    assert appeal["shown"]["appeal"] == "it was a quotation"
    assert answer["outcome"]["rule"] == "overturned"
    assert stored_post["decision"] == "ALLOW"
    assert nxt["decision"] == "REVIEW"
    assert record.features["removals_by_author_90d"] == 0.0
    assert record.features["restored_by_author_90d"] == 1.0


async def test_second_opinions_come_from_others_and_figures_tell_of_agreement(registry, tmp_path):
    drawn = salt(tmp_path, "second opinions of some")  # of at least one of these posts
    async with moderation(tmp_path / "a", registry, reviewers=NAMES, review_salt=drawn) as app:
        for k in range(60):
            await doubtful(app, f"p{k}", author=f"a{k}")
        for reviewer in ("rob", "eve", "ann"):
            while claims := await claimed(app, reviewer, 20):
                for claim in claims:
                    body = decision_body(claim, claim["post_id"].endswith("3"), reviewer)
                    await app.post(f"review/items/{claim['item_id']}/decide", body)
        figures = await app.get("review/figures")
        histories = [await app.get(f"posts/p{k}/history") for k in range(60)]
    deciders = [
        [entry["who"] for entry in history["entries"] if entry["what"] == "decided"]
        for history in histories
    ]
    assert all(len(set(reviewers)) == len(reviewers) for reviewers in deciders)
    assert any(len(reviewers) == 2 for reviewers in deciders)
    assert sum(figures["queue"]["depth"].values()) == 0
    assert figures["kappa"]["offensive"]["equal"] == 1.0


async def test_two_claims_at_a_time_share_nothing(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        for k in range(12):
            await doubtful(app, f"p{k}", author=f"a{k}")
        batches = await asyncio.gather(*(claimed(app, f"r{k}", 3) for k in range(6)))
    items = [claim["item_id"] for claims in batches for claim in claims]
    assert len(items) == len(set(items)) == 12


async def test_bad_requests_of_reviewers_are_refused(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        await doubtful(app, "p")
        (claim,) = await claimed(app)
        path = f"review/items/{claim['item_id']}/decide"
        unknown = {**decision_body(claim, violates=True), "verdicts": {"hatred": True}}
        answer = await app.post(path, unknown, 422)
        assert "expected a verdict on each of offensive, got hatred" in answer["detail"]
        await app.post(path, {**decision_body(claim, violates=True), "verdicts": {}}, 422)
        wrong = {**decision_body(claim, violates=True), "token": claim["token"] + 1}
        await app.post(path, wrong, 409)
        await app.post("review/claim", {"reviewer": "rob", "most": 0}, 422)
        await app.post("appeals", {"post_id": "p", "author_id": "ann", "statement": "x"}, 409)
        never = {"post_id": "never", "author_id": "ann", "statement": "x"}
        await app.post("appeals", never, 404)


async def test_a_key_bound_to_names_acts_under_no_other(registry, tmp_path):
    async with moderation(tmp_path / "a", registry, reviewers=("rob", "eve")) as app:
        await doubtful(app, "p")
        refused = await app.post("review/claim", {"reviewer": "ann"}, 403)
        (claim,) = await claimed(app)
        path = f"review/items/{claim['item_id']}"
        lease = {"reviewer": "ann", "token": claim["token"]}
        await app.post(f"{path}/renew", lease, 403)
        await app.post(f"{path}/release", lease, 403)
        await app.post(f"{path}/decide", decision_body(claim, True, "ann"), 403)
        await app.post(f"{path}/decide", decision_body(claim, violates=True))
        history = await app.get("posts/p/history")
        key_id = app.client.headers["authorization"].split("_")[1]
    assert refused["detail"].startswith("reviewer: expected a name that this API key is bound to")
    assert {entry["key_id"] for entry in history["entries"] if entry["who"] == "rob"} == {key_id}


async def test_a_key_for_all_names_does_not_hear_the_appeal_of_its_own_decision(registry, tmp_path):
    async with moderation(tmp_path / "a", registry, review_salt=salt(tmp_path)) as app:
        appeal_body = await removed(app)
        assert (await app.post("appeals", appeal_body))["new"]
        assert await claimed(app, "eve") == []


async def test_a_claim_that_a_proxy_sends_again_gets_the_same_lease(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        for k in range(4):
            await doubtful(app, f"p{k}", author=f"a{k}")
        request, headers = {"reviewer": "rob"}, {"X-Request-ID": "r1"}

        async def claim() -> Any:
            answer = await app.client.post(
                "/moderation/review/claim", json=request, headers=headers
            )
            return answer.json()["claims"]

        first, *others = await asyncio.gather(*(claim() for _ in range(4)))
        named = {**request, "claim_id": "mine"}
        repeated = [(await app.post("review/claim", named))["claims"] for _ in range(2)]
        rest = await claimed(app, "eve", 9)
    assert len(first) == 1
    assert all(other == first for other in others)
    assert repeated[0] == repeated[1] != first
    assert len(rest) == 2


async def test_a_salt_in_the_configuration_is_refused(registry, tmp_path):
    with pytest.raises(ValueError, match="salt: expected env:NAME or file:/path"):
        arguments(tmp_path / "a", registry, review_salt="forewarn")
