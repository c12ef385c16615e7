"""Versions of the model while they load, policies it does not know, media that are not kept."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lib.calibration import sigmoid
from lib.moderation.model.inputs import PostInputs
from lib.registry import Registry
from tests.moderation import small_model
from tests.moderation.media_factories import encoded, scene
from tests.serve.factories import eventually
from tests.serve.moderation_app import CREATED_AT, Running, moderation, published, sent
from tests.serve.other_moderation_model import other_model

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
TEXT = "glorbs are vermin, blame them for my neighbour !!"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return published(tmp_path)


async def judged(app: Running, name: str, **fields: Any) -> dict[str, Any]:
    return await app.post("posts", {"post_id": name, "author_id": name, **fields})


async def test_while_a_version_loads_the_one_before_answers_and_never_half_of_each(
    registry: Path, tmp_path: Path
) -> None:
    other, book = other_model(), Registry(registry)
    before = book.resolve("moderation", "champion")
    version = book.publish(small_model.save(other, tmp_path / "other"), "moderation")
    probabilities = {
        name: sigmoid(model.log_odds([PostInputs(TEXT)]))[0].tolist()
        for name, model in ((before, small_model.model()), (version, other))
    }
    # nobody waits for the members: they are asked for what they do not have yet
    async with moderation(tmp_path / "a", registry, prepare_seconds=0.001) as app:
        numbers = iter(range(10_000))

        async def from_a_model() -> bool:
            return (await judged(app, f"early-{next(numbers)}", text=TEXT))["method"] == "model"

        await eventually(from_a_model, within=60)
        book.set_alias("moderation", "champion", version, at=CREATED_AT + 1, by="test")
        loading = asyncio.create_task(asyncio.to_thread(app.service.model_slot.load, "champion"))
        versions: list[str] = []
        while not versions or versions[-1] != version:
            answer = await judged(app, f"later-{next(numbers)}", text=TEXT)
            assert answer["method"] == "model", answer["reason"]
            versions.append(answer["model_version"])
            served_probabilities = [policy["probability"] for policy in answer["policies"].values()]
            assert served_probabilities == pytest.approx(probabilities[versions[-1]], abs=1e-6)
        assert await loading
    assert set(versions) <= {before, version}


async def test_policies_that_the_model_does_not_know_send_posts_to_people(
    registry: Path, tmp_path: Path
) -> None:
    async with moderation(tmp_path / "a", registry) as app:
        other = str(app.service.args.policies).replace("id: hate", "id: spam")
        await app.service.reconfigure({"policies": other, "lists": "version: 1\nentries: []\n"})
        answer = await judged(app, "p", text=TEXT)
    assert (answer["decision"], answer["method"]) == ("REVIEW", "fallback")
    assert "the model was not trained for spam" in answer["reason"]


async def test_a_post_whose_media_cannot_be_kept_is_not_answered(
    registry: Path, tmp_path: Path
) -> None:
    async with moderation(tmp_path / "a", registry) as app:
        (tmp_path / "a" / "media").write_text("a file where the folder should be")
        body = {"post_id": "p", "author_id": "ann", "images": [sent(encoded(scene(1)))]}
        refused = await app.post("posts", body, 503)
        await app.get("posts/p", 404)
        (tmp_path / "a" / "media").unlink()
        again = await app.post("posts", body)
    assert "send the same request again" in refused["detail"]
    assert again["presence"]["image"] == "present"
