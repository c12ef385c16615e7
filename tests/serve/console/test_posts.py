"""Posts over the console: search, media for reviewers alone, an item that is taken by its page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from lib.moderation.media.media_store import MediaStore
from tests.console.seeded import NOW, Seeded
from tests.console.seeded_posts import HIT, PNG, TEXT, policies_version
from tests.records.review_factories import HOUR, item
from tests.serve.console.browsing import Served, chromium, served, sign_in
from tests.serve.console.console_app import READING, REVIEWING, RunningConsole, console, post

POST = "t8000"
PAGE = f"/console/posts/{POST}"
DIGEST = hashlib.sha256(PNG).hexdigest()


def queued(seeded: Seeded) -> None:
    """The post waits for somebody."""
    waiting = item(
        700,
        system="moderation",
        subject_id=POST,
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
    expect(page.get_by_text("Decided")).to_be_visible()
    page.goto(f"{own_console.url}posts/{POST}")
    expect(page.locator("body")).to_have_class("grey")
    expect(page.locator(".blurred img")).to_have_css("filter", "blur(28px) grayscale(1)")
    context.close()
    with own_console.seeded.source("moderation") as source:
        (verdict,) = source.records.list_verdicts(POST)
    assert verdict.verdicts == {"hate": True, "spam": False}
