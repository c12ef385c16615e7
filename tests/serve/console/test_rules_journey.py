"""Who owns rules, by keyboard alone, while the application decides: from sign-in to a decision."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lib.rules.repository import RuleRepository
from serve.framework.service import ServiceStart
from serve.fraud.metrics import INSTRUMENTS
from serve.fraud.service import FraudService
from serve.fraud.settings import FraudSettings
from tests.console.seeded import Seeded
from tests.console.seeded_rules import BURST, TRAVEL
from tests.serve.application import add_token, settings_in
from tests.serve.console.browsing import Served, sign_in
from tests.serve.console.console_app import READING
from tests.serve.prometheus_metrics import PrometheusMetrics

pytestmark = pytest.mark.timeout(600)
_SECONDS = 30.0


@contextmanager
def replica(seeded: Seeded, folder: Path) -> Iterator[FraudService]:
    """The fraud application over the same records, as it follows its rules."""
    add_token(folder, ("fraud:read",))
    changes = {"records": seeded.records("fraud"), "rules_seconds": 0.1}
    profiles = {"profile_store": f"sqlite:///{folder}/profiles.sqlite"}
    settings = FraudSettings(**settings_in(folder, **changes, **profiles))
    service = FraudService(ServiceStart(settings, PrometheusMetrics(INSTRUMENTS)))
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    async def run() -> None:
        async with service.lifespan():
            await service.reconfigure({})
            await ending.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(_SECONDS)
        loop.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def status_of(service: FraudService, rule_id: str) -> str:
    """The status of a rule in the replica."""
    rules = service.active_rules.current.all_rules.rules
    return next((rule.status for rule in rules if rule.id == rule_id), "none")


def test_a_rule_is_activated_edited_and_restored_by_keys(
    own_console: Served, page: Page, tmp_path: Path
) -> None:
    with replica(own_console.seeded, tmp_path / "replica") as service:
        wait_until(lambda: status_of(service, BURST) == "shadow")
        sign_in(page, own_console, own_console.new_key(*READING, "admin", reviewers=("ann",)))
        page.keyboard.press("R")
        page.wait_for_url("**/rules/fraud")
        link = page.get_by_role("link", name=BURST)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=BURST)).to_be_visible()
        page.keyboard.press("a")
        expect(page.locator("#reason-active")).to_be_focused()
        page.keyboard.type("a quarter was fraud")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The rule is active now")).to_be_visible()
        wait_until(lambda: status_of(service, BURST) == "active")

        page.keyboard.press("e")
        expect(page.get_by_text("It can be published")).to_be_visible()
        text = page.get_by_label("Rules, YAML")
        before = text.input_value()
        text.fill(before.replace("impossible_velocity == 1", "imposible_velocity == 1"))
        fault = page.get_by_role("button", name="line 19").or_(
            page.get_by_role("button", name="line 18")
        )
        expect(fault).to_be_visible()
        fault.focus()
        page.keyboard.press("Enter")
        expect(text).to_be_focused()
        selected = text.evaluate("t => t.value.slice(t.selectionStart, t.selectionEnd)")
        assert "imposible_velocity" in selected
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        page.keyboard.type("faster travel alone")
        page.keyboard.press("Escape")
        page.keyboard.press("p")
        expect(page.get_by_text("unknown field").first).to_be_visible()
        assert status_of(service, BURST) == "active"
        page.go_back()
        text.fill(before.replace("impossible_velocity == 1", "impossible_velocity >= 1"))
        expect(page.get_by_text("It can be published")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("x")
        expect(page.get_by_role("heading", name="Backtest")).to_be_visible()
        page.keyboard.press("r")
        page.keyboard.type("faster travel alone")
        page.keyboard.press("Escape")
        page.keyboard.press("p")
        expect(page.get_by_text("The new version is active.")).to_be_visible()
        wait_until(lambda: service.active_rules.current.version.startswith("4-"))

        page.keyboard.press("v")
        summary = page.locator("summary", has_text="Restore version 2")
        summary.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("too many good customers")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The version is active again.")).to_be_visible()
        wait_until(lambda: status_of(service, BURST) == "shadow")
    with RuleRepository(own_console.seeded.records("fraud")) as repository:
        steps = repository.list_rule_changes("fraud", 9)
    assert [(step.before, step.after) for step in steps] == [(4, 2), (3, 4), (2, 3), (None, 2)]
    assert all(step.by.startswith("ann (key ") for step in steps[:3])


def test_a_rule_that_is_switched_off_twice_is_so_once(own_console: Served, page: Page) -> None:
    sign_in(page, own_console, own_console.new_key(*READING, "admin", reviewers=("ann",)))
    page.goto(f"{own_console.url}rules/fraud/rules/{TRAVEL}")
    page.keyboard.press("o")
    page.keyboard.type("it hurts")
    page.get_by_role("button", name="Make it off").dblclick()
    expect(page.get_by_text("The rule is off now")).to_be_visible()
    with RuleRepository(own_console.seeded.records("fraud")) as repository:
        assert [step.after for step in repository.list_rule_changes("fraud", 9)] == [3, 2]


def test_a_business_report_prints_on_two_pages(own_console: Served, page: Page) -> None:
    sign_in(page, own_console, own_console.new_key(*READING, reviewers=("ann",)))
    page.keyboard.press("B")
    page.wait_for_url("**/business/fraud")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", name="Fraud: 2026-04-01")).to_be_visible()
    page.evaluate("() => { window.print = () => { window.printed = true; }; }")
    page.keyboard.press("p")
    assert page.evaluate("() => window.printed")
    content = page.pdf(prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", content)) <= 2
