"""A planner's way by keyboard alone: from the sign-in to a moved service and a closed order."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.seeded_fleet import SCHEDULE
from tests.serve.console.browsing import Served
from tests.serve.console.console_app import REVIEWING

pytestmark = pytest.mark.timeout(600)


def test_a_machine_is_ordered_moved_and_its_order_closed_by_keys(
    own_console: Served, page: Page
) -> None:
    page.goto(own_console.url)
    page.keyboard.type(own_console.new_key(*REVIEWING, "maintenance:label", reviewers=("ann",)))
    page.keyboard.press("Enter")
    page.wait_for_url(own_console.url)
    page.keyboard.press("F")
    page.wait_for_url("**/fleet")
    page.get_by_role("link", name="pump t12").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sensors")).to_be_visible()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="pump t12 bearing")).to_be_visible()
    page.keyboard.press("m")
    expect(page.get_by_label("Move to")).to_be_focused()
    page.get_by_label("Move to").fill("2026-12-03T08:00")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is changed yet.")).to_be_visible()
    page.keyboard.press("y")
    expect(page.get_by_text("The service is moved and locked there.")).to_be_visible()
    page.keyboard.press("o")
    expect(page.get_by_label("What happened")).to_be_focused()
    page.get_by_label("Finding").fill("worn race")
    page.get_by_role("button", name="Close the work order").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The work order is closed.")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_text("The plan is accepted.")).to_be_visible()
    page.keyboard.press("U")
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    with own_console.seeded.source("maintenance") as source:
        schedule, orders = source.records.find_schedule(SCHEDULE)
        (order,) = [
            each for each in orders if (each.machine_id, each.component) == ("pump t12", "bearing")
        ]
    assert order.outcome is not None
    assert (order.outcome["result"], order.outcome["note"]) == ("done", "worn race")
    assert "DTSTART:20261203T070000Z" in str(schedule.plan["ics"])
    accepted = schedule.plan["accepted"]
    assert isinstance(accepted, dict)
    assert accepted["by"] == "ann"
