"""Posts over HTTP: rules before models, media beside text, retries, pending videos, faults."""

import asyncio
import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.calibration import sigmoid
from lib.moderation.media.hashes import pdq_hash, sha256
from lib.moderation.model.inputs import PostInputs
from lib.moderation.synthetic.simulated import SIMULATED_RECIPE
from tests.moderation import small_model
from tests.moderation.composed_posts import inputs_of
from tests.moderation.hostile_media import gif_of_many_frames
from tests.moderation.media_factories import decode_image, encoded, png_that_claims, scene, video
from tests.serve.moderation_app import SECOND, moderation, png, published, sent

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


def simulated(row_of: str, want: bool) -> tuple[int, object]:
    """A piece of the simulated test posts that does, or does not, break a policy by itself."""
    posts, probabilities, _ = small_model.unseen_posts()
    column = small_model.POLICIES.index(row_of)
    single = (posts.presence == 1).sum(axis=1) == 1
    order = np.argsort(-probabilities[:, column] if want else probabilities.max(axis=1))
    return next((int(row), posts) for row in order if single[row])


def post(name: str, **fields: object) -> dict[str, object]:
    return {"post_id": name, "author_id": "ann", **fields}


async def test_a_post_gets_the_chances_of_the_model_in_this_process(registry, tmp_path):
    pieces, pixels = small_model.parts()[2], small_model.parts()[2].images[0]
    text = pieces.texts[0]
    async with moderation(tmp_path / "a", registry) as app:
        answer = await app.post("posts", post("p", text=text, images=[sent(png(pixels))]))
        again = await app.post("posts", post("p", text=text, images=[sent(png(pixels))]))
    expected = sigmoid(small_model.model().log_odds([PostInputs(text, (pixels,))]))[0]
    probabilities = [policy["probability"] for policy in answer["policies"].values()]
    assert probabilities == pytest.approx(expected.tolist(), abs=1e-6)
    assert list(answer["policies"]) == list(small_model.POLICIES)
    assert answer["presence"] == {"text": "present", "image": "present", "video": "absent"}
    assert answer["method"] == "model"
    assert again == answer  # to the letter, its request id too


async def test_what_breaks_a_policy_is_removed_or_reviewed_and_what_does_not_stays(
    registry, tmp_path
):
    async with moderation(tmp_path / "a", registry) as app:
        answers = {}
        for want in (True, False):
            row, posts = simulated("hate", want)
            inputs = inputs_of(posts, small_model.parts()[2])[row]
            answers[want] = await app.post("posts", post(f"p{want}", text=inputs.text or "hello"))
        figures = await app.get("review/figures")
    assert answers[True]["decision"] in {"REMOVE", "REVIEW"}
    assert answers[False]["decision"] == "ALLOW"
    waiting = sum(figures["queue"]["depth"].values())
    assert waiting == (answers[True]["decision"] == "REVIEW")


async def test_listed_words_and_known_media_decide_before_the_models(registry, tmp_path):
    image = encoded(scene(1))
    hashes = tmp_path / "hashes.jsonl"
    looks = pdq_hash(decode_image(encoded(scene(2)))).hex
    lines = [
        {"hash": sha256(image), "kind": "sha256", "policy": "violence"},
        {"hash": looks, "kind": "pdq", "policy": "violence"},
    ]
    hashes.write_text("\n".join(json.dumps(line) for line in lines))
    async with moderation(tmp_path / "a", registry, hashes=str(hashes)) as app:
        same = await app.post("posts", post("same", images=[sent(image)]))
        alike = await app.post(
            "posts", post("alike", images=[sent(encoded(scene(2).resize((200, 200)), quality=70))])
        )
        other = await app.post("posts", post("other", images=[sent(encoded(scene(3)))]))
    assert (same["decision"], same["method"], same["rule_id"]) == ("REMOVE", "rule", "known_media")
    assert (same["policies"], same["model_version"]) == ({}, None)
    assert alike["rule_id"] == "same_picture_as_known"
    assert other["rule_id"] is None


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
async def test_a_known_picture_is_found_behind_the_first_frame_of_an_animation(
    registry, tmp_path, kind
):
    hashes = tmp_path / "hashes.jsonl"
    looks = pdq_hash(decode_image(encoded(scene(2)))).hex
    hashes.write_text(json.dumps({"hash": looks, "kind": "pdq", "policy": "violence"}))
    frames = [scene(3), *[scene(2)] * 4, scene(3)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 20}
    async with moderation(tmp_path / "a", registry, hashes=str(hashes)) as app:
        answer = await app.post(
            "posts", post("late", images=[sent(encoded(frames[0], kind, **options))])
        )
    assert (answer["decision"], answer["rule_id"]) == ("REMOVE", "same_picture_as_known")


async def test_the_worst_frame_of_an_animation_decides_and_is_the_one_explained(registry, tmp_path):
    pieces = small_model.parts()[2]
    pictures = dict(zip(pieces.image_kinds, pieces.images, strict=True))
    banned = sorted(SIMULATED_RECIPE.prohibited)[0]
    usual = sorted(set(pictures) - SIMULATED_RECIPE.prohibited - SIMULATED_RECIPE.context)[0]
    good, bad = (Image.fromarray(pictures[k]) for k in (usual, banned))
    frames = [good, bad, bad, bad]
    moving = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=20)
    async with moderation(tmp_path / "a", registry) as app:
        still = await app.post("posts", post("still", images=[sent(encoded(good, "PNG"))]))
        bad_answer = await app.post("posts", post("bad", images=[sent(encoded(bad, "PNG"))]))
        late = await app.post("posts", post("late", images=[sent(moving)]))
        await app.settled()
        explained = await app.get("posts/late/explanation?policy=prohibited_item")
    worst = {
        k: answer["policies"]["prohibited_item"]["probability"]
        for k, answer in {"still": still, "bad": bad_answer, "late": late}.items()
    }
    assert worst["late"] > worst["still"]
    assert worst["late"] == pytest.approx(worst["bad"], rel=0.5)
    image = explained["explanation"]["image"]
    assert len(image["heat_png"]) == 1
    assert image["frame"][0] in {1, 2, 3}


async def test_an_animation_that_was_seen_in_part_is_never_allowed_unseen(registry, tmp_path):
    content = gif_of_many_frames(4_000)
    async with moderation(tmp_path / "a", registry) as app:
        answer = await app.post("posts", post("long", images=[sent(content)]))
    assert [medium["reason"] for medium in answer["undecoded"]] == ["too_many_frames"]
    assert answer["decision"] == "REVIEW"
    assert answer["method"] == "model"


async def test_disguises_of_a_listed_word_are_found_with_their_place(registry, tmp_path):
    disguised = {
        "zero width": "a b\u200blo\u200dckedword.",
        "homoglyph": "a bl\u043eckedword.",
        "combining": "a blocked\u0301word.",
        "full width": "a ｂｌｏｃｋｅｄｗｏｒｄ.",
        "set apart": "a b l o c k e d w o r d.",
        "override": "a \u202eblockedword\u202c.",
        "override, backwards": "a \u202edrowdekcolb\u202c.",
    }
    async with moderation(tmp_path / "a", registry) as app:
        for name, text in disguised.items():
            answer = await app.post("posts", post(name, text=text))
            assert answer["decision"] in {"REVIEW", "REMOVE"}, name
            (hit,) = answer["hits"]
            assert hit["entry"] == "slur"
            assert text[hit["start"] : hit["end"]] == hit["text"]


async def test_an_author_whose_post_was_removed_is_known_for_it(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        first = await app.post("posts", post("one", text="a blockedword"))
        assert (first["decision"], first["rule_id"]) == ("REVIEW", "denied_wording_once")
        claim = (await app.post("review/claim", {"reviewer": "rob"}))["claims"][0]
        verdicts = dict.fromkeys(claim["policies"], True)
        body = {"reviewer": "rob", "token": claim["token"], "verdicts": verdicts}
        await app.post(f"review/items/{claim['item_id']}/decide", body)
        await app.settled()
        app.clock.us += 60 * SECOND
        await app.service.outcomes.run_once()
        await app.settled()
        second = await app.post("posts", post("two", text="again a blockedword"))
        record = await app.get("posts/one")
    assert (second["decision"], second["rule_id"]) == ("REMOVE", "denied_wording")
    assert (record["decision"], record["decided_by"]) == ("REMOVE", "people")


async def test_a_video_is_pending_and_then_judged_whole(registry, tmp_path):
    clip = small_model.parts()[2].clips[0]
    clip = np.repeat(np.repeat(clip, 2, axis=1), 2, axis=2)
    content = video(list(clip), rate=8)
    async with moderation(tmp_path / "a", registry) as app:
        first = await app.post("posts", post("v", text="look", video=sent(content)))
        before = await app.get("posts/v")
        await app.settled()
        after = await app.get("posts/v")
        again = await app.post("posts", post("v", text="look", video=sent(content)))
    assert (first["decision"], first["method"]) == ("PENDING", "pending")
    assert before["decision"] == "PENDING"
    assert after["decision"] in {"ALLOW", "REVIEW", "REMOVE"}
    assert set(after["afterwards"]["policies"]) == set(small_model.POLICIES)
    assert again == first


async def test_a_video_may_be_waited_for(registry, tmp_path):
    content = video([np.full((64, 64, 3), 4 * k, np.uint8) for k in range(16)], rate=8)
    async with moderation(tmp_path / "a", registry, video_at_once=True) as app:
        answer = await app.post("posts", post("v", video=sent(content)))
    assert answer["method"] == "model"
    assert answer["presence"]["video"] == "present"


async def test_while_the_model_is_out_a_person_would_look_and_it_is_judged_again(
    registry, tmp_path
):
    async with moderation(tmp_path / "a", registry) as app:
        model, app.service.model_slot.current = app.service.model_slot.current, None
        answer = await app.post("posts", post("p", text=small_model.parts()[2].texts[1]))
        listed = await app.post("posts", post("w", text="doubtfulword"))
        app.service.model_slot.current = model
        await app.settled()
        record = await app.get("posts/p")
    assert (answer["decision"], answer["method"]) == ("REVIEW", "fallback")
    assert listed["reason"] == "the text holds wording that a person should look at"
    assert record["decided_by"] == "model"
    assert record["afterwards"]["model_version"] is not None


def broken() -> dict[str, tuple[dict[str, object], str]]:
    """Media that cannot be used, and the reason that is told."""
    image = encoded(scene(4))
    return {
        "a bomb": ({"images": [sent(png_that_claims(60_000, 60_000))]}, "too_many_pixels"),
        "cut off": ({"images": [sent(image[: len(image) // 2])]}, "truncated"),
        "no image": ({"images": [sent(b"GIF-ish but not")]}, "not_an_image"),
        "a text named mp4": ({"video": sent(b"just some text, really\n" * 50)}, "not_a_video"),
        "elsewhere": (
            {"images": [{"uri": "https://elsewhere.example/x.png"}]},
            "address_not_allowed",
        ),
    }


async def test_broken_media_are_told_and_never_allowed_unseen(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        for name, (fields, reason) in broken().items():
            answer = await app.post("posts", post(name, text="fine", **fields))
            assert [medium["reason"] for medium in answer["undecoded"]] == [reason], name
            assert answer["decision"] in {"REVIEW", "REMOVE"}, name
            assert "failed" in answer["presence"].values()
        good = await app.post("posts", post("good", text=small_model.parts()[2].texts[0]))
        assert good["method"] == "model"


BAD = {
    "empty": (post("e"), "body: the post is empty: expected a text, an image or a video"),
    "white space": (post("e", text=" \n"), "the post is empty"),
    "nothing to be seen": (post("e", text="\u200b\u3164"), "the post is empty"),
    "too long": (post("l", text="x" * 100_001), "text: string should have at most 100000"),
    "both": (
        post("b", images=[{"uri": "s3://x", "content": "aGk="}]),
        "images.0: expected content or uri, got both",
    ),
    "not base 64": (post("b", images=[{"content": "*"}]), "images.0.content"),
    "eleven images": (post("m", images=[{"uri": "s3://x"}] * 11), "images: list should have"),
    "a language that is none": (post("l", text="x", language="??"), "language: string should"),
    "a field with a typo": (post("t", txt="x"), "txt: unknown field, got 'x'; did you mean 'text'"),
    "negative reach": (post("r", text="x", reach=-1), "reach: input should be greater"),
    "no author": ({"post_id": "x", "text": "x"}, "author_id: this field is required"),
    "a time ahead": (
        post("t", text="x", created_at="2099-01-01T00:00:00Z"),
        "created_at: expected at most 300 seconds from now",
    ),
}


async def test_bad_posts_are_refused_with_the_field(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        for name, (body, message) in BAD.items():
            answer = await app.post("posts", body, 422)
            assert message in answer["detail"], name
        long = await app.post("posts", post("long", text="word " * 20_000))
        assert long["decision"] == "ALLOW" or long["policies"]
        unknown = await app.post("posts", post("u", text="hello", language="xx-Nope"))
        assert unknown["method"] == "model"
        await app.post("posts", {**post("long", text="other"), "author_id": "eve"}, 409)
        await app.get("posts/never", 404)


async def test_policies_are_replaced_while_it_runs_and_bad_ones_refused(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        before = app.service.active_policies.current.version
        typo = app.service.args.policies.replace("severity: 2", "severty: 2")
        await app.service.reconfigure({"policies": typo})
        ready = (await app.client.get("/moderation/status")).json()
        assert "did you mean 'severity'" in ready["parts"]["policies"]["error"]
        assert app.service.active_policies.current.version == before
        fewer = app.service.args.policies.split("  - id: contextual")[0]
        await app.service.reconfigure({"policies": fewer})
        answer = await app.post("posts", post("p", text="hello there"))
        assert list(answer["policies"]) == list(small_model.POLICIES)[:-1]
        other = fewer.replace("id: hate", "id: spam")
        await app.service.reconfigure({"policies": other, "lists": "version: 1\nentries: []\n"})
        ready = (await app.client.get("/moderation/status")).json()
        assert "no answer for spam" in ready["parts"]["model"]["error"]


async def test_explanations_point_into_the_post_and_are_stored(registry, tmp_path):
    pieces = small_model.parts()[2]
    text = pieces.texts[0] + " \U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301nd"
    async with moderation(tmp_path / "a", registry) as app:
        body = post("p", text=text, images=[sent(png(pieces.images[0]))])
        await app.post("posts", body)
        response = await app.get("posts/p/explanation?policy=hate")
        again = await app.get("posts/p/explanation?policy=hate")
        wrong = await app.get("posts/p/explanation?policy=hat", 422)
    explanation = response["explanation"]
    assert set(explanation["modalities"]) == {"text", "image"}
    for word in explanation["text"]["words"]:
        assert text[word["begin"] : word["end"]] == word["word"]
    heat = Image.open(io.BytesIO(base64.b64decode(explanation["image"]["heat_png"][0])))
    assert heat.size == (small_model.TINY.image.side, small_model.TINY.image.side)
    assert again["explanation"] == explanation
    assert "expected one of hate, offensive" in wrong["detail"]


EDITS = {
    "text": "edited",
    "reach": 7,
    "reports": 2,
    "language": "de",
    "images": [sent(png(np.zeros((16, 16, 3), np.uint8)))],
    "created_at": "2026-11-23T10:00:00Z",
}


async def test_an_edited_post_under_its_id_is_a_conflict_and_judged_under_another(
    registry, tmp_path
):
    async with moderation(tmp_path / "a", registry) as app:
        first = await app.post("posts", post("p", text="hello there"))
        for kept in ("journal", "database"):
            for field, value in EDITS.items():
                edited = {**post("p", text="hello there"), field: value}
                refused = await app.post("posts", edited, 409)
                assert not {"decision", "policies", "reason"} & set(refused), (kept, field)
            await app.settled()
        again = await app.post("posts", post("p", text="hello there"))
        await app.post("posts", post("p2", text="edited"))
    assert again == first


async def test_of_two_posts_at_once_under_one_id_one_is_judged(registry, tmp_path):
    async with moderation(tmp_path / "a", registry) as app:
        sends = [json.dumps(post("p", text=text)) for text in ("hello", "doubtfulword") * 3]
        answers = await asyncio.gather(
            *(app.client.post("/moderation/posts", content=content) for content in sends)
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 3
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
