"""Posts over the console: search, media for reviewers alone, an item that is taken by its page."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.moderation.select import SelectConfig
from jobs.moderation.selection import find_scores, select_posts
from lib.console.posts import packaged_policies
from lib.moderation.media.media_store import MediaStore
from tests.console.seeded import NOW, Seeded
from tests.console.seeded_posts import HIT, PNG, TEXT, policies_version
from tests.records.review_factories import HOUR, AlwaysGolden, golden_item, item
from tests.serve.console.browsing import Served, chromium, served, sign_in
from tests.serve.console.console_app import READING, REVIEWING, RunningConsole, console, post

POST = "t8000"
PAGE = f"/console/posts/{POST}"
DIGEST = hashlib.sha256(PNG).hexdigest()


def queued(seeded: Seeded, subject_id: str = POST) -> None:
    """The post waits for somebody."""
    waiting = item(
        700,
        system="moderation",
        subject_id=subject_id,
        created_at=NOW - HOUR,
        due_at=NOW + HOUR,
        rank_us=NOW,
        policies={"hate": 0.71, "spam": 0.02},
        policy_version=policies_version(),
        shown={
            "text": TEXT,
            "media": {"images.0": DIGEST},
            "hits": [HIT],
            "undecoded": [],
            "reports": 3,
            "reason": "hate",
            "rule_id": None,
        },
    )
    with seeded.source("moderation") as source:
        source.records.admit([waiting], "routing")


@pytest.mark.anyio
async def test_a_post_is_shown_with_marks_and_media_for_reviewers_alone(
    running: RunningConsole,
) -> None:
    reviewer, reader = await running.signed_in(*REVIEWING), await running.signed_in(*READING)
    page = await reviewer.get(PAGE)
    assert 'title="hate">vermin</mark>' in page.text
    assert "&lt;b&gt;now&lt;/b&gt;" in page.text
    assert f'src="/console/post-media/{DIGEST}"' in page.text
    image = await reviewer.get(f"/console/post-media/{DIGEST}")
    assert (image.status_code, image.content) == (200, PNG)
    assert image.headers["content-type"] == "image/png"
    assert "post-media" not in (await reader.get(PAGE)).text
    assert (await reader.get(f"/console/post-media/{DIGEST}")).status_code == 403
    other = await running.signed_in("fraud:read")
    for path in ("posts", f"posts/{POST}", "posts.csv"):
        assert (await other.get(f"/console/{path}")).status_code == 403
    for query, status in (("decision=DELETE", 422), ("author=t8100", 200), ("since=x", 422)):
        assert (await reader.get(f"/console/posts?{query}")).status_code == status


@pytest.mark.anyio
async def test_media_of_an_item_are_shown_by_the_scope_of_its_queue(own: Seeded) -> None:
    queued(own)
    async with console(own) as running:
        moderator = await running.signed_in("moderation:review")
        path = "/console/queue/moderation"
        shown = await post(moderator, path, f"{path}/items/i700/take")
        assert f'src="/console/post-media/{DIGEST}"' in shown.text
        image = await moderator.get(f"/console/post-media/{DIGEST}")
        assert (image.status_code, image.content) == (200, PNG)
        assert (await moderator.get(PAGE)).status_code == 403


@pytest.mark.anyio
async def test_a_post_that_measures_a_reviewer_looks_like_any_that_waits(own: Seeded) -> None:
    queued(own)
    with own.source("moderation") as source:
        source.records.insert_golden([golden_item(1, subject_id="t8001")])
        ask = {"now": NOW, "lease": HOUR, "mixer": AlwaysGolden()}
        claims = source.records.claim("bob", 1, **ask)
    assert [claim.subject_id for claim in claims] == ["t8001"]
    async with console(own) as running:
        bob = await running.signed_in(*REVIEWING, name="bob")
        pages = {name: await bob.get(f"/console/posts/{name}") for name in (POST, "t8001")}
        for name, page in pages.items():
            assert "an opinion is due, so what people said is not shown" in page.text, name
            assert "Take it and decide" in page.text, name
        take = re.search(r'action="([^"]+/take)"', pages["t8001"].text)
        assert take
        assert (await post(bob, PAGE, take[1])).status_code == 200
        cleo = await running.signed_in(*REVIEWING, name="cleo")
        assert "an opinion is due, so" not in (await cleo.get("/console/posts/t8001")).text


@pytest.mark.anyio
async def test_what_is_no_image_is_not_shown(own: Seeded) -> None:
    store = MediaStore(str(own.media))
    texts = (b"<script>alert(1)</script>", b"<svg onload=alert(1)>", b"%PDF-1.7", b"")
    digests = [store.keep(content) for content in texts]
    webp = store.keep(b"RIFF\0\0\0\0WEBPVP8 ")
    async with console(own) as running:
        reviewer = await running.signed_in(*REVIEWING)
        for digest in (*digests, "0" * 64, "..", "x" * 64):
            answer = await reviewer.get(f"/console/post-media/{digest}")
            assert answer.status_code == 404, digest
        shown = await reviewer.get(f"/console/post-media/{webp}")
        assert shown.headers["content-type"] == "image/webp"


@pytest.mark.anyio
async def test_an_appeal_is_taken_in_once_and_read_by_the_next_reviewer(own: Seeded) -> None:
    page, path = "/console/posts/t8003", "/console/posts/t8003/appeal"
    async with console(own) as running:
        taker = await running.signed_in(*READING, "moderation:label", name="bob")
        assert "Take the author" in (await taker.get(page)).text
        unsaid = await post(taker, page, path)
        assert (unsaid.status_code, "Say why" in unsaid.text) == (422, True)
        first = await post(taker, page, path, reason="<i>it was a quotation</i>")
        assert first.headers["location"] == f"{page}?done=appealed"
        again = await post(taker, page, path, reason="it was a quotation")
        assert again.headers["location"] == f"{page}?done=appealed-before"
        shown = (await taker.get(f"{page}?done=appealed")).text
        assert "The appeal is taken in." in shown
        assert "Take the author" not in shown
        reviewer = await running.signed_in(*REVIEWING)
        item = await post(reviewer, page, "/console/queue/moderation/next")
        assert "&lt;i&gt;it was a quotation&lt;/i&gt;" in item.text
    with own.source("moderation") as source:
        (entry,) = [each for each in source.records.list_history("t8003") if each.what == "opened"]
    assert (entry.who, entry.rule) == ("bob", "appeal")


@pytest.mark.anyio
async def test_an_appeal_that_cannot_be_is_refused(own: Seeded) -> None:
    async with console(own) as running:
        taker = await running.signed_in(*READING, "moderation:label")
        reader = await running.signed_in(*READING)
        home, why = "/console/", "it was a quotation"
        for browser, post_id, status, words in (
            (taker, "t8001", 422, "is not removed: ALLOW"),
            (taker, "unknown", 404, "no decision is recorded"),
            (reader, "t8003", 403, "lacks the scope moderation:label"),
        ):
            answer = await post(browser, home, f"/console/posts/{post_id}/appeal", reason=why)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
        running.clock.now += 30 * 24 * HOUR
        late = await running.signed_in(*READING, "moderation:label")
        answer = await post(late, home, "/console/posts/t8003/appeal", reason=why)
        assert (answer.status_code, "expected an appeal within" in answer.text) == (422, True)


@pytest.mark.anyio
async def test_an_appeal_waits_for_the_opinion_that_is_due(own: Seeded) -> None:
    queued(own, subject_id="t8003")
    async with console(own) as running:
        taker = await running.signed_in(*READING, "moderation:label", name="bob")
        answer = await post(taker, "/console/", "/console/posts/t8003/appeal", reason="a quotation")
        assert (answer.status_code, "is due" in answer.text) == (422, True), answer.text
    with own.source("moderation") as source:
        assert [each.kind for each in source.records.list_items("t8003")] == ["review"]


@pytest.mark.anyio
async def test_an_item_is_taken_from_the_page_of_its_post(own: Seeded) -> None:
    queued(own)
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        bob = await running.signed_in(*REVIEWING, name="bob")
        path = "/console/queue/moderation/items/i700/take"
        answer = await post(ann, PAGE, path)
        assert answer.status_code == 200
        assert 'id="item-title"' in answer.text
        assert "Attacks or dehumanises people" in answer.text
        late = await post(bob, PAGE, path)
        assert late.status_code == 409
        assert path not in (await bob.get(PAGE)).text
        reader = await running.signed_in(*READING)
        assert (await post(reader, PAGE, path)).status_code == 403
        again = await post(ann, PAGE, "/console/queue/moderation/next")
        assert POST in again.text


def scored(folder: Path, *posts: str) -> str:
    """Scores of posts, as a model writes them."""
    policies = packaged_policies()
    rows = [
        {
            "post_id": name,
            "embedding": [float(number == index) for index in range(4)],
            "text_key": number,
            "image_presence": 0,
            "video_presence": 0,
            "reach": 10,
            "language": "en",
            **{f"p_{policy}": 0.4 + number / 10 for policy in policies.ids},
        }
        for number, name in enumerate(posts)
    ]
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "part-0.parquet")
    note = {"policies": policies.model_dump(mode="json"), "model_version": "m1"}
    (folder / "scores.json").write_text(json.dumps(note))
    return str(folder)


@pytest.mark.anyio
async def test_a_post_leaves_the_pool_of_what_is_to_be_labelled_once_it_is_decided(
    own: Seeded, tmp_path: Path
) -> None:
    queued(own)
    names = (POST, "t8001", "t8002")
    config = SelectConfig(
        scores=scored(tmp_path / "scores", *names),
        output=str(tmp_path / "batch"),
        records=own.records("moderation"),
        count=3,
        at=NOW,
    )

    def chosen() -> set[str]:
        return set(pq.read_table(select_posts(config))["post_id"].to_pylist())

    assert POST not in find_scores(config).known
    path, item_path = "/console/queue/moderation", "/console/queue/moderation/items/i700"
    answers = {f"verdict.{name}": "no" for name in ("hate", "spam")}
    async with console(own) as running:
        for name in ("ann", "bob"):  # a sample gets a second opinion
            reviewer = await running.signed_in(*REVIEWING, name=name)
            shown = await post(reviewer, PAGE, f"{item_path}/take")
            named = re.search(r'items/([^/"]+)/decide', shown.text)
            token = re.search(r'name="token" value="([0-9]+)"', shown.text)
            assert named
            assert token
            item_path = f"{path}/items/{named[1]}"
            sent = {**answers, "token": token[1], "subject_id": POST}
            assert (await post(reviewer, PAGE, f"{item_path}/decide", **sent)).status_code == 200
            with own.source("moderation") as source:
                waiting = source.records.list_waiting_items([POST]).get(POST)
            assert (POST in find_scores(config).known) == (waiting is None)
            if waiting is None:
                break
            item_path = f"{path}/items/{waiting.id}"
    assert chosen() == {*names} - {POST}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def own_console(own: Seeded) -> Iterator[Served]:
    queued(own)
    with served(own) as running:
        yield running


@pytest.mark.timeout(300)
def test_a_moderator_decides_a_post_by_keys_with_media_blurred_until_asked_for(
    own_console: Served, browser: Browser
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page: Page = context.new_page()
    page.set_default_timeout(60_000)
    sign_in(page, own_console, own_console.new_key(*REVIEWING, reviewers=("ann",)))
    page.keyboard.press("O")
    expect(page.get_by_role("heading", name="Posts", exact=True)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type(POST)
    page.keyboard.press("Enter")
    page.wait_for_url("**post=t8000**")
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name=POST)).to_be_visible()
    page.keyboard.press("t")
    image = page.locator(".blurred img")
    expect(image).to_have_css("filter", "blur(28px)")
    page.wait_for_timeout(400)
    page.keyboard.press("i")
    expect(image).to_have_css("filter", "none")
    page.keyboard.press("g")
    expect(image).to_have_css("filter", "grayscale(1)")
    page.keyboard.press("1")
    page.keyboard.press("d")
    expect(page.get_by_text("Decided hate yes, spam no")).to_be_visible()
    page.goto(f"{own_console.url}posts/{POST}")
    expect(page.locator("body")).to_have_class("grey")
    expect(page.locator(".blurred img")).to_have_css("filter", "blur(28px) grayscale(1)")
    context.close()
    with own_console.seeded.source("moderation") as source:
        (verdict,) = source.records.list_verdicts(POST)
    assert verdict.verdicts == {"hate": True, "spam": False}
