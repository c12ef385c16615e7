"""The journey of a customer-success manager, by keys alone, from sign-in to its effects."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from lib.churn.health_repository import HealthRepository
from lib.churn.intervention_repository import InterventionRepository
from tests.console.seeded import NOW
from tests.console.seeded_customers import PLAN
from tests.serve.console.browsing import Served

pytestmark = pytest.mark.timeout(600)
SCOPES = ("churn:read", "churn:review", "churn:label")


def test_from_sign_in_to_an_override_contacts_and_a_stop_by_keys(
    own_console: Served, page: Page
) -> None:
    keyboard = page.keyboard
    page.goto(own_console.url)
    page.get_by_label("API key").focus()
    keyboard.insert_text(own_console.new_key(*SCOPES, reviewers=("ann",)))
    keyboard.press("Enter")
    page.wait_for_url(own_console.url)
    _override_by_keys(page)
    _report_by_keys(page)
    _stop_by_keys(page)
    with own_console.seeded.source("churn") as source:
        book = source.records.sharing(InterventionRepository)
        outcomes = book.outcomes_of([f"{PLAN}-{number}" for number in range(3)])
        assert book.find_stop() is None
        actions = [step.action for step in book.list_steps(limit=5)]
        in_force = source.records.sharing(HealthRepository).list_in_force(NOW)
    assert [(row.intervention_id, row.value, row.note) for row in outcomes] == [
        (f"{PLAN}-0", True, None),
        (f"{PLAN}-1", False, "nobody answered"),
    ]
    assert actions[:2] == ["interventions resumed", "interventions stopped"]
    overridden = {row.customer_id: (row.score, row.author, row.reason) for row in in_force}
    assert overridden["ct42"] == (5.0, "ann", "their champion left")


def _override_by_keys(page: Page) -> None:
    """Search a customer and set its health."""
    keyboard = page.keyboard
    keyboard.press("C")
    page.wait_for_url("**/customers")
    keyboard.press("/")
    keyboard.type("ct42")
    keyboard.press("Enter")
    page.wait_for_url("**/customers?*")
    link = page.get_by_role("link", name="ct42")
    link.focus()
    keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ct42")).to_be_visible()
    keyboard.press("o")
    expect(page.get_by_label("Health, 0 to 100")).to_be_focused()
    keyboard.type("5")
    page.get_by_label("Reason").focus()
    keyboard.type("their champion left")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(page.get_by_text("The next plan uses it")).to_be_visible()


def _report_by_keys(page: Page) -> None:
    """Report on two contacts; the second press of two acts once, and what was wrong is undone."""
    keyboard, title = page.keyboard, page.locator("#contact-title")
    keyboard.press("2")
    expect(title).to_contain_text("ct0")
    page.wait_for_timeout(400)
    keyboard.press("x")
    expect(title).to_contain_text("ct1")
    keyboard.press("y")  # meant for the contact before
    expect(title).to_contain_text("ct1")
    keyboard.press("z")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    expect(title).to_contain_text("ct0")
    page.wait_for_timeout(400)
    keyboard.press("y")
    expect(title).to_contain_text("ct1")
    page.wait_for_timeout(400)
    keyboard.press("n")
    keyboard.type("nobody answered")
    keyboard.press("Escape")
    keyboard.press("x")
    expect(title).to_contain_text("ct2")


def _stop_by_keys(page: Page) -> None:
    """Stop all interventions, and let them go on."""
    keyboard = page.keyboard
    for key, reason, words in (
        ("s", "prices are wrong", "All interventions are stopped."),
        ("r", "corrected", "Interventions go on."),
    ):
        keyboard.press(key)
        expect(page.get_by_label("Reason")).to_be_focused()
        keyboard.type(reason)
        keyboard.press("Tab")
        keyboard.press("Enter")
        expect(page.get_by_text(words)).to_be_visible()
