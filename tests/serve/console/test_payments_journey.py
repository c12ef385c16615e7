"""An analyst's day by keys alone: search, look, label what is connected, take it back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.seeded_payments import MAIN
from tests.serve.console.browsing import Served, sign_in
from tests.serve.console.console_app import REVIEWING

pytestmark = pytest.mark.timeout(300)
ID = f"t{MAIN}"


def stated(console: Served) -> dict[str, bool]:
    """Payments with what the last verdict on each was."""
    with console.seeded.source() as source:
        labels = source.records.iterate_labels()
        return {label.subject_id: label.violates for label in labels if label.subject_id != "t0"}


def test_an_analyst_labels_a_ring_by_keys_and_takes_it_back(
    own_console: Served, page: Page
) -> None:
    sign_in(page, own_console, own_console.new_key(*REVIEWING, reviewers=("ann",)))
    page.keyboard.press("P")
    expect(page.get_by_role("heading", name="Payments", exact=True)).to_be_visible()
    page.keyboard.press("c")
    page.keyboard.type("t9100")
    page.keyboard.press("Enter")
    page.wait_for_url("**customer=t9100**")
    page.keyboard.press("s")
    page.keyboard.type("the ring")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="the ring")).to_be_visible()
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name=ID)).to_be_visible()
    expect(page.locator("#graph svg")).to_be_visible()
    expect(page.locator("#similar")).to_contain_text("same device")
    page.keyboard.press("l")
    expect(page.get_by_role("heading", name="Label together")).to_be_visible()
    count = page.get_by_role("checkbox", name="Label t").count()
    page.keyboard.press("y")
    expect(page.get_by_text("Each becomes a label in ten seconds.")).to_be_visible()
    labelled = stated(own_console)
    assert len(labelled) == count
    assert ID in labelled
    assert all(labelled.values())
    page.keyboard.press("z")
    expect(page.get_by_text("Taken back by ann")).to_be_visible()
    assert not any(stated(own_console).values())


def test_a_payment_is_decided_by_a_key_that_acts_once_and_undone(
    own_console: Served, page: Page
) -> None:
    sign_in(page, own_console, own_console.new_key(*REVIEWING, reviewers=("ann",)))
    page.goto(f"{own_console.url}payments/{ID}")
    page.keyboard.press("n")
    page.keyboard.type("the customer called")
    page.keyboard.press("Escape")
    for _ in range(3):
        page.keyboard.down("f")
    page.keyboard.up("f")
    expect(page.get_by_text("Kept: not fraud.")).to_be_visible()
    expect(page.get_by_text("the customer called")).to_be_visible()
    assert stated(own_console) == {ID: False}
    page.keyboard.press("z")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    assert stated(own_console) == {}
    other = page.context.new_page()
    other.goto(f"{own_console.url}payments/{ID}")
    page.bring_to_front()
    page.keyboard.press("y")
    expect(page.get_by_text("Kept: fraud.")).to_be_visible()
    other.bring_to_front()
    other.keyboard.press("f")
    expect(other.get_by_role("heading", name="It has changed meanwhile")).to_be_visible()
    assert stated(own_console) == {ID: True}


def test_a_saved_search_stays_until_it_is_forgotten(own_console: Served, page: Page) -> None:
    sign_in(page, own_console, own_console.new_key(*REVIEWING, reviewers=("ann",)))
    page.goto(f"{own_console.url}payments?device=t9200&score_from=0.3")
    page.get_by_label("Save this search as").fill("<b>one device</b>")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{own_console.url}payments")
    page.get_by_role("link", name="<b>one device</b>").click()
    page.wait_for_url("**device=t9200&score_from=0.3")
    expect(page.get_by_role("link", name=ID, exact=True)).to_be_visible()
    page.get_by_role("button", name="Forget the search <b>one device</b>").click()
    expect(page.get_by_role("link", name="<b>one device</b>")).to_have_count(0)
