"""The queue of any system: claim, decide, undo, skip, escalate; one item before one person."""

from __future__ import annotations

import re

import pytest

from tests.console.seeded import DECISIONS, NOW, QUESTIONS, Seeded
from tests.records.review_factories import HOUR, item
from tests.serve.console.console_app import REVIEWING, RunningConsole, console, token_of
from tests.serve.console.queue_page import QueuePage

pytestmark = pytest.mark.anyio
SECOND = 1_000_000


@pytest.mark.parametrize("system", DECISIONS)
async def test_every_system_has_a_queue(running: RunningConsole, system: str) -> None:
    browser = await running.signed_in(*REVIEWING)
    page = await browser.get(f"/console/queue/{system}")
    assert page.status_code == 200
    assert f"<strong>{DECISIONS[system].get('REVIEW', 4) - 1}</strong>" in page.text
    assert "Next item" in page.text


async def test_a_decision_is_kept_and_the_next_item_shown(own: Seeded) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running)
        assert QUESTIONS["fraud"] in await page.ask("/next")
        subject, item_id = page.subject, page.item_id
        shown = await page.act("decide", **{"verdict.fraud": "yes"}, note="stolen card")
        assert f"Decided fraud <strong>yes</strong> for <code>{subject}</code>" in shown
        assert page.item_id != item_id
    with own.source() as source:
        (verdict,) = source.records.list_verdicts(subject)
        history = source.records.list_history(subject)
    assert (verdict.reviewer, verdict.verdicts, verdict.note) == (
        "ann", {"fraud": True}, "stolen card",
    )  # fmt: skip
    decided = next(entry for entry in history if entry.what == "decided")
    assert decided.key_id is not None


async def test_the_most_urgent_item_comes_first_and_stays_until_it_is_decided(
    own: Seeded,
) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running)
        await page.ask("/next")
        first = page.subject
        assert first == "t1"
        await page.ask("/next")
        assert page.subject == first, "asked for again, the same"


async def test_two_people_never_have_one_item(own: Seeded) -> None:
    async with console(own) as running:
        ann, bob = await QueuePage.of(running), await QueuePage.of(running, "bob")
        seen_items = []
        for _ in range(4):
            for page in (ann, bob):
                await page.ask("/next")
                seen_items.append(page.item_id)
                await page.act("decide", **{"verdict.fraud": "no"})
    assert len(seen_items) == len(set(seen_items)) == 8


async def test_a_decision_can_be_undone_for_ten_seconds(own: Seeded) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running)
        await page.ask("/next")
        item_id, token, subject = page.item_id, page.token, page.subject
        await page.act("decide", **{"verdict.fraud": "yes"})
        await page.ask(f"/items/{item_id}/undo", token=token)
        assert page.subject == subject
        with own.source() as source:
            assert source.records.list_verdicts(subject) == []
        token = page.token
        await page.act("decide", **{"verdict.fraud": "no"})
        running.clock.now += 11 * SECOND
        late = await page.ask(f"/items/{item_id}/undo", token=token)
        assert page.answer.status_code == 409
        assert "within 10 seconds" in late
    with own.source() as source:
        (verdict,) = source.records.list_verdicts(subject)
        actions = [entry.what for entry in source.records.list_history(subject)]
    assert verdict.verdicts == {"fraud": False}
    assert actions.count("undone") == 1


async def test_the_same_decision_twice_is_one_and_another_is_refused(own: Seeded) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running)
        await page.ask("/next")
        path, token, subject = f"/items/{page.item_id}/decide", page.token, page.subject
        for _ in range(2):
            await page.ask(path, token=token, **{"verdict.fraud": "yes"})
            assert page.answer.status_code == 200
        await page.ask(path, token=token, **{"verdict.fraud": "no"})
        assert page.answer.status_code == 409
        assert page.answer.headers["hx-retarget"] == "#messages"
    with own.source() as source:
        assert len(source.records.list_verdicts(subject)) == 1


async def test_a_skipped_item_comes_back_in_ten_minutes(own: Seeded) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running)
        await page.ask("/next")
        skipped = page.subject
        assert "comes back in ten minutes" in await page.act("skip")
        assert page.subject != skipped
        await page.act("release")
        running.clock.now += 601 * SECOND
        await page.ask("/next")
        assert page.subject == skipped


async def test_an_escalated_item_is_left_to_seniors(own: Seeded) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running)
        await page.ask("/next")
        item_id = page.item_id
        assert "is left to seniors" in await page.act("escalate", note="too large for me")
        assert page.item_id != item_id
        senior = await QueuePage.of(running, "sue")
        await senior.ask("/next", senior="yes")
        assert senior.item_id == item_id
        assert 'name="senior" value="yes"' in senior.answer.text
    with own.source() as source:
        entry = source.records.find_item(item_id)
    assert entry.item.skill == "senior"
    assert entry.item.severity == 4


async def test_an_item_is_held_while_somebody_looks_and_lost_otherwise(own: Seeded) -> None:
    async with console(own, session_minutes=60.0) as running:
        ann, bob = await QueuePage.of(running), await QueuePage.of(running, "bob")
        await ann.ask("/next")
        subject, looked_at = ann.subject, ann.answer
        for _ in range(3):
            running.clock.now += 8 * 60 * SECOND
            await ann.act("renew")
            assert ann.answer.status_code == 204
            ann.answer = looked_at
            await bob.ask("/next")
            assert bob.subject != subject
        running.clock.now += 11 * 60 * SECOND
        await bob.ask("/next")
        assert bob.subject == subject
        refused = await ann.act("decide", **{"verdict.fraud": "yes"})
        assert ann.answer.status_code == 409
        assert "It has changed meanwhile" in refused


async def test_an_empty_queue_says_so(own: Seeded) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running, system="churn")
        for _ in range(DECISIONS["churn"].get("REVIEW", 4) - 1):
            await page.ask("/next")
            await page.act("decide", **{"verdict.at_risk": "no"})
        assert "Nothing is left for you now" in await page.ask("/next")


async def test_ids_are_whatever_callers_choose(own: Seeded) -> None:
    hostile = "order/2026/77?x=1#y &%2F"
    with own.source() as source:
        policies = {"fraud": 0.7}
        first = item(90, id=hostile, case_id=hostile, system="fraud", policies=policies, rank_us=1)
        source.records.admit([first], "service")
    async with console(own) as running:
        page = await QueuePage.of(running)
        await page.ask("/next")
        path = re.search(r'hx-post="/console/queue/fraud(/items/[^"]*/decide)"', page.answer.text)
        assert path
        await page.ask(path[1], token=page.token, **{"verdict.fraud": "no"})
        assert page.answer.status_code == 200
    with own.source() as source:
        assert source.records.find_item(hostile).decided_at is not None


async def test_several_questions_are_answered_together(own: Seeded) -> None:
    with own.source("moderation") as source:
        source.records.admit([item(90, created_at=1, rank_us=1, due_at=NOW + HOUR)], "service")
    async with console(own) as running:
        page = await QueuePage.of(running, system="moderation")
        assert "What does it break?" in await page.ask("/next")
        # a box that is not ticked sends the hidden no alone
        body = "verdict.hate=no&verdict.hate=yes&verdict.spam=no"
        headers = {"HX-Request": "true", "X-CSRF-Token": page._csrf}
        answer = await page._browser.post(
            f"/console/queue/moderation/items/{page.item_id}/decide",
            content=f"{body}&token={page.token}", headers=headers,
        )  # fmt: skip
        assert "hate <strong>yes</strong>, spam <strong>no</strong>" in answer.text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"verdict.fraud": "maybe"}, 422),
        ({"verdict.other": "yes"}, 422),
        ({"verdict.fraud": "yes", "note": "x" * 4_001}, 422),
        ({"verdict.fraud": "yes", "token": "-1"}, 422),
        ({"verdict.fraud": "yes", "token": "9" * 30}, 422),
        ({"verdict.fraud": "yes", "token": "99"}, 409),
    ],
)
async def test_a_decision_that_does_not_fit_changes_nothing(
    own: Seeded, fields: dict[str, str], status: int
) -> None:
    async with console(own) as running:
        page = await QueuePage.of(running)
        await page.ask("/next")
        subject, path = page.subject, f"/items/{page.item_id}/decide"
        await page.ask(path, **{"token": page.token, **fields})
        assert page.answer.status_code == status
        assert "Request id" in page.answer.text
        await page.ask("/items/unknown/decide", token="1", **{"verdict.fraud": "yes"})
        assert page.answer.status_code == 404
    with own.source() as source:
        assert source.records.list_verdicts(subject) == []


async def test_a_queue_needs_the_scope_of_its_reviews(running: RunningConsole) -> None:
    browser = await running.signed_in("fraud:read", "churn:review")
    home = (await browser.get("/console/")).text
    assert "/console/queue/fraud" not in home
    assert (await browser.get("/console/queue/fraud")).status_code == 403
    token = token_of(await browser.get("/console/"))
    for path in ("/next", "/items/i1/decide", "/items/i1/undo", "/items/i1/renew"):
        answer = await browser.post(f"/console/queue/fraud{path}", data={"csrf": token})
        assert answer.status_code == 403, path
