"""The page of the schedule: changes priced before they are made, and refused in words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest

from lib.maintenance.repository import WorkOrder
from tests.console.seeded import STORED_SCRIPT, Seeded, seed
from tests.console.seeded_fleet import DAY, SCHEDULE, plan_week
from tests.records.review_factories import HOUR
from tests.serve.console.console_app import READING, REVIEWING, RunningConsole, console, token_of

pytestmark = pytest.mark.anyio
WEEK = f"/console/schedule/{quote(SCHEDULE, safe='')}"
PLANNER = (*REVIEWING, "maintenance:label")
SERVICE = {"machine": "pump t12", "component": "bearing"}
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


@asynccontextmanager
async def planning(seeded: Seeded) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of somebody who may plan."""
    async with console(seeded) as running:
        yield await running.signed_in(*PLANNER)


async def previewed(browser: httpx.AsyncClient, action: str, **fields: str) -> httpx.Response:
    """The page that shows what a change would cost."""
    return await browser.get(f"{WEEK}?{urlencode({**SERVICE, 'action': action, **fields})}")


def confirmation(page: httpx.Response) -> dict[str, str]:
    """Fields of the form that makes the change that a page shows."""
    match = re.search(
        rf'<form method="post" action="{WEEK}/change".*?</form>', page.text, re.DOTALL
    )
    assert match, page.text
    return dict(_HIDDEN.findall(match[0]))


def orders_of(seeded: Seeded) -> Sequence[WorkOrder]:
    with seeded.source("maintenance") as source:
        return source.records.find_schedule(SCHEDULE)[1]


def starts_of(seeded: Seeded) -> dict[tuple[str, str | None], int]:
    return {(order.machine_id, order.component): order.starts_at for order in orders_of(seeded)}


def first_order(seeded: Seeded) -> WorkOrder:
    return next(
        order
        for order in orders_of(seeded)
        if (order.machine_id, order.component) == ("pump t12", "bearing")
    )


async def test_a_moved_service_is_at_its_new_time_in_the_calendar(own: Seeded) -> None:
    before = starts_of(own)
    async with planning(own) as planner:
        page = await previewed(planner, "move", start="2026-12-03T08:00")
        assert "Move from Mon 30 Nov 06:00 to Thu 03 Dec 08:00" in page.text
        assert re.search(r"The week costs <strong class=\"bad\">[\d,.]+ USD more", page.text)
        assert starts_of(own) == before, "a preview has no effect"
        form = confirmation(page)
        answer = await planner.post(f"{WEEK}/change", data={**form, "reason": "an order runs"})
        assert answer.status_code == 303, answer.text
        shown = await planner.get(answer.headers["location"])
        assert "The service is moved and locked there." in shown.text
        assert "an order runs" in shown.text
        calendar = await planner.get(f"{WEEK}/calendar.ics")
        again = await planner.post(f"{WEEK}/change", data={**form, "reason": "an order runs"})
        assert again.status_code == 303, "the same form again changes nothing"
    events = re.split("BEGIN:VEVENT", calendar.text)
    (moved,) = (event for event in events if "Service pump t12 bearing" in event)
    assert "DTSTART:20261203T070000Z" in moved
    assert "DTEND:20261203T110000Z" in moved
    assert "SEQUENCE:1" in moved
    after = starts_of(own)
    assert after.pop(("pump t12", "bearing")) != before.pop(("pump t12", "bearing"))
    assert after == before
    with own.source("maintenance") as source:
        (change,) = source.records.list_changes(SCHEDULE)
    assert (change.by, change.action, len(change.key_id)) == ("ann", "move", 12)
    assert change.after is not None
    assert change.before is not None
    assert change.after - change.before == 3 * DAY + 2 * HOUR


async def test_a_service_is_dropped_solved_around_and_accepted(own: Seeded) -> None:
    async with planning(own) as planner:
        form = confirmation(await previewed(planner, "drop"))
        assert (await planner.post(f"{WEEK}/change", data=form)).status_code == 303
        assert ("pump t12", "bearing") not in starts_of(own)
        fields = {"csrf": form["csrf"], "revision": "1", "change_id": "solved"}
        solved = await planner.post(f"{WEEK}/solve", data=fields)
        assert solved.status_code == 303, solved.text
        assert ("pump t12", "bearing") not in starts_of(own), "what people dropped stays out"
        assert ("pump t7", "bearing") in starts_of(own), "the hours are used by another"
        repeated = await planner.post(f"{WEEK}/solve", data=fields)
        assert repeated.status_code == 303
        accepted = await planner.post(
            f"{WEEK}/accept", data={"csrf": form["csrf"], "revision": "2", "change_id": "yes"}
        )
        page = await planner.get(accepted.headers["location"])
        assert "accepted</span> by ann" in page.text
        audit = await planner.get("/console/audit?kind=schedule")
    assert all(word in audit.text for word in ("drop", "solve", "accept", "not this week"))
    with own.source("maintenance") as source:
        actions = [change.action for change in source.records.list_changes(SCHEDULE)]
    assert sorted(actions) == ["accept", "drop", "solve"]


async def test_a_preview_that_is_out_of_date_changes_nothing(own: Seeded) -> None:
    async with console(own) as running:
        ann, bob = await running.signed_in(*PLANNER), await running.signed_in(*PLANNER, name="bob")
        late = confirmation(await previewed(ann, "drop"))
        prompt = confirmation(await previewed(bob, "lock"))
        assert (await bob.post(f"{WEEK}/change", data=prompt)).status_code == 303
        answer = await ann.post(f"{WEEK}/change", data=late)
    assert answer.status_code == 409
    assert "It has changed meanwhile" in answer.text
    assert ("pump t12", "bearing") in starts_of(own)


async def test_a_change_that_breaks_a_constraint_has_no_button_and_is_refused(own: Seeded) -> None:
    before = starts_of(own)
    async with planning(own) as planner:
        page = await previewed(planner, "move", start="2026-12-05T23:00")
        assert "not enough: 1 mechanical technicians at plant 1" in page.text
        assert f'action="{WEEK}/change"' not in page.text
        fields = {
            **SERVICE, "csrf": token_of(page), "action": "move", "revision": "0",
            "change_id": "night", "start_at": str(first_order(own).starts_at + 5 * DAY),
        }  # fmt: skip
        refused = await planner.post(f"{WEEK}/change", data=fields)
    assert refused.status_code == 422
    assert "not enough" in refused.text
    assert starts_of(own) == before


async def test_a_week_says_in_which_zone_its_times_are(running: RunningConsole) -> None:
    reader = await running.signed_in()
    page = await reader.get(WEEK)
    assert "Times of the week are in Europe/Berlin" in page.text
    assert "Times are in UTC" not in page.text
    assert "Times are in UTC" in (await reader.get("/console/fleet")).text


async def test_a_work_order_is_closed_once_with_a_finding(own: Seeded) -> None:
    order = first_order(own)
    async with planning(own) as planner:
        page = await planner.get(f"{WEEK}?{urlencode(SERVICE)}")
        fields = {
            **SERVICE, "csrf": token_of(page), "order_id": order.id, "result": "done",
            "event_time": "2026-11-23T13:00", "cost": "410.5", "note": STORED_SCRIPT,
        }  # fmt: skip
        closed = await planner.post(f"{WEEK}/close", data=fields)
        assert closed.status_code == 303, closed.text
        shown = await planner.get(closed.headers["location"])
        assert "&lt;script&gt;alert(1)" in shown.text
        assert (await planner.post(f"{WEEK}/close", data=fields)).status_code == 303
        other = await planner.post(f"{WEEK}/close", data={**fields, "cost": "1"})
        assert other.status_code == 409
        assert "is closed; it stays as it is" in shown.text
        again = (await planner.get(WEEK)).text
        assert "<strong>ann</strong> closed the work order of pump t12" in again
        assert again.count("closed the work order of") == 1
        audit = await planner.get("/console/audit?kind=schedule&action=close&person=ann")
        assert "pump t12 bearing" in audit.text
        assert "result done" in audit.text
    with own.source("maintenance") as source:
        (step,) = [each for each in source.records.list_changes(SCHEDULE) if each.action == "close"]
    assert (step.by, len(step.key_id)) == ("ann", 12)
    stored = first_order(own)
    assert stored.outcome == {
        "result": "done", "event_time": "2026-11-23T12:00:00Z", "cost": 410.5,
        "note": STORED_SCRIPT,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"result": "finished"}, "result"),
        ({"result": "failed_before"}, "failed_at and failure_mode"),
        ({"event_time": "2026-11-24T13:00"}, "not in the future"),
        ({"event_time": "soon"}, "A time is written as"),
        ({"cost": "much"}, "an amount as 12.50"),
        ({"cost": "nan"}, "cost"),
    ],
)
async def test_an_outcome_that_cannot_be_meant_is_refused_in_words(
    own: Seeded, changes: dict[str, str], words: str
) -> None:
    async with planning(own) as planner:
        fields = {
            "csrf": token_of(await planner.get(WEEK)), "order_id": first_order(own).id,
            "result": "done", "event_time": "2026-11-23T13:00", **changes,
        }  # fmt: skip
        answer = await planner.post(f"{WEEK}/close", data=fields)
    assert answer.status_code == 422, answer.text
    assert words in answer.text
    assert first_order(own).closed_at is None


async def test_buttons_and_actions_follow_the_scopes(own: Seeded) -> None:
    before = starts_of(own)
    async with console(own) as running:
        reader = await running.signed_in()
        page = await previewed(reader, "drop")
        assert "The week costs" in page.text
        for part in ("change", "solve", "accept", "close"):
            assert f'action="{WEEK}/{part}"' not in page.text
            fields = {"csrf": token_of(page), "revision": "0", "change_id": "x"}
            answer = await reader.post(f"{WEEK}/{part}", data=fields)
            assert answer.status_code == 403, part
        foreign = await running.signed_in("fraud:read", "fraud:review")
        for path in (WEEK, "/console/schedule", f"{WEEK}/calendar.ics", f"{WEEK}/plan.csv"):
            assert (await foreign.get(path)).status_code == 403
        assert 'href="/console/schedule"' not in (await foreign.get("/console/")).text
    assert starts_of(own) == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/schedule/unknown", 404),
        ("/console/schedule/unknown/calendar.ics", 404),
        (f"{WEEK}?number=0", 422),
        (f"{WEEK}?machine=nobody", 422),
        (f"{WEEK}?machine=pump+t12&component=bearing&action=explode", 422),
        (f"{WEEK}?machine=pump+t12&component=bearing&action=move&start=later", 422),
        (f"{WEEK}?machine=pump+t12&component=bearing&action=move&start=2026-12-03T08:30", 422),
        (f"{WEEK}?machine=pump+t12&component=bearing&action=move&start=9999-12-31T23:00", 422),
        (f"{WEEK}?plant=none&number=9", 200),
        (f"{WEEK}?plant={quote(STORED_SCRIPT)}&skill=%01", 200),
    ],
)
async def test_addresses_that_cannot_be_meant_are_answered_in_words(
    running: RunningConsole, path: str, status: int
) -> None:
    browser = await running.signed_in(*READING)
    answer = await browser.get(path)
    assert answer.status_code == status, answer.text
    assert "<script>alert" not in answer.text


async def test_a_large_week_comes_in_pages_of_bounded_size(own: Seeded) -> None:
    with own.source("maintenance") as source:
        people = [
            {"skill": "mechanical", "shifts": {"06-14": 3, "14-22": 3}},
            {"skill": "hydraulic", "shifts": {"06-14": 3, "14-22": 3}},
        ]
        machines = [f"pump {number:03}" for number in range(90)]
        plan_week(source, "large", machines, budget=None, parts=None, crews=people)
    async with console(own) as running:
        browser = await running.signed_in()
        page = await browser.get("/console/schedule/large")
        second = await browser.get("/console/schedule/large?number=2")
    assert "page 1 of" in page.text
    assert len(page.content) < 70_000
    assert page.text.count('<rect class="bar') == 80
    assert second.text.count('<rect class="bar') > 0


async def test_without_a_week_the_page_says_how_to_plan_one(tmp_path: Path) -> None:
    seeded = seed(tmp_path / "x", plans=False)
    async with console(seeded) as running:
        browser = await running.signed_in()
        page = await browser.get("/console/schedule")
    assert "No week is planned yet." in page.text
