"""Journeys through the console in Debian's chromium, by pointer and by keys."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from lib.registry import Registry
from serve import console
from tests.console.seeded import EXPERIMENT, NOW
from tests.console.seeded_fleet import SCHEDULE
from tests.serve.console.browsing import Served, sign_in
from tests.serve.console.console_app import ALL_SCOPES

pytestmark = pytest.mark.timeout(600)
STATIC = Path(console.__file__).parent / "static"
Scheme = Literal["light", "dark"]
_FAULTS = {"resultTypes": ["violations"]}
SCHEMES: dict[Scheme, dict[str, Any]] = {
    "dark": {**_FAULTS, "runOnly": ["color-contrast", "link-in-text-block"]},
    "light": _FAULTS,
}
"""Options of axe-core."""
PAGES = {
    "home": "",
    "models": "models/fraud",
    "models of none": "models/churn",
    "model": "models/fraud/{version}",
    "experiments": "experiments",
    "experiment": f"experiments/{EXPERIMENT}",
    "rules": "rules/fraud",
    "rules of none": "rules/churn",
    "rule": "rules/fraud/rules/impossible_travel",
    "versions of rules": "rules/fraud/versions",
    "versions compared": "rules/fraud/compare",
    "draft of rules": "rules/fraud/draft",
    "business reports": "business/fraud",
    "business reports of none": "business/churn",
    "business report": "business/fraud/{statement}",
    "queue": "queue/fraud",
    "customers": "customers",
    "no customers": "customers?text=nobody",
    "customer": "customers/ct5",
    "contacts": "contacts",
    "no contacts": "contacts?day=2026-11-22",
    "fleet": "fleet",
    "empty fleet": "fleet?text=nobody",
    "machine": "fleet/pump%20t12",
    "schedule": f"schedule/{quote(SCHEDULE, safe='')}",
    "service": f"schedule/{quote(SCHEDULE, safe='')}?machine=pump%20t12&component=bearing",
    "change": f"schedule/{quote(SCHEDULE, safe='')}?machine=pump%20t12&component=bearing"
    "&action=drop",
    "payments": "payments",
    "payments of a customer": "payments?customer=t9100",
    "payments of nobody": "payments?customer=nobody",
    "payment": "payments/t9000",
    "payment without much": "payments/t1",
    "connected payments": "payment-connected/t9000?device_id=yes&user_id=yes",
    "connections": "payment-graph/t9000",
    "similar payments": "payment-similar/t9000",
    "posts": "posts",
    "post": "posts/t8000",
    "posts of nobody": "posts?author=nobody",
    "audit": "audit",
    "empty audit": "audit?person=nobody",
    "not there": "nothing",
}


def admin_key(console: Served) -> str:
    return console.new_key(*ALL_SCOPES, reviewers=("ann",))


def address(console: Served, name: str) -> str:
    with console.seeded.source() as source:
        statement = source.records.list_statements("fraud", 1)[0].id
    return console.url + PAGES[name].format(version=console.seeded.versions[2], statement=statement)


def champions(console: Served) -> list[str]:
    """Versions that became champion since the console runs."""
    changes = Registry(console.seeded.registry).history("fraud")
    return [change.after for change in changes if change.at >= NOW]


def test_from_sign_in_to_a_promotion_and_out_by_keys(own_console: Served, page: Page) -> None:
    sign_in(page, own_console, admin_key(own_console))
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    page.keyboard.press("M")
    page.wait_for_url("**/models/fraud")
    page.get_by_role("link", name=own_console.seeded.versions[2]).first.click()
    page.wait_for_url(f"**/{own_console.seeded.versions[2]}")
    page.keyboard.press("c")
    page.get_by_label("Reason").fill("it costs less")
    page.get_by_role("button", name="Make it champion").click()
    expect(page.get_by_text("It is champion now.")).to_be_visible()
    page.keyboard.press("U")
    expect(page.get_by_text("it costs less")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("API key")).to_be_visible()
    assert champions(own_console) == [own_console.seeded.versions[2]]


def test_a_button_that_is_clicked_twice_acts_once(own_console: Served, page: Page) -> None:
    sign_in(page, own_console, admin_key(own_console))
    page.goto(f"{own_console.url}models/fraud/{own_console.seeded.versions[1]}")
    page.keyboard.press("r")
    page.get_by_label("Reason").last.fill("it declines too much")
    page.get_by_role("button", name="Roll champion back").dblclick()
    expect(page.get_by_text("Rolled back to this version.")).to_be_visible()
    assert champions(own_console) == [own_console.seeded.versions[0]]


def test_the_keys_are_listed_and_a_held_key_acts_once(shared_console: Served, page: Page) -> None:
    sign_in(page, shared_console, admin_key(shared_console))
    page.goto(address(shared_console, "experiment"))
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys of this page")
    expect(dialog.get_by_text("Stop the experiment")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    for _ in range(4):  # the browser repeats a key that stays down
        page.keyboard.down("s")
    page.keyboard.up("s")
    expect(page.locator("details")).to_have_attribute("open", "")
    reason = page.get_by_label("Reason")
    expect(reason).to_be_focused()
    page.keyboard.type("hm?")
    expect(reason).to_have_value("hm?")


def test_keys_can_be_switched_off(shared_console: Served, page: Page) -> None:
    sign_in(page, shared_console, admin_key(shared_console))
    page.keyboard.press("?")
    page.get_by_label("Keys act").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("U")
    expect(page.locator("kbd").first).not_to_be_visible()
    expect(page.get_by_role("heading", name="Today")).to_be_visible()


def test_items_are_decided_by_keys_and_taken_back(own_console: Served, page: Page) -> None:
    sign_in(page, own_console, admin_key(own_console))
    page.keyboard.press("Q")
    page.wait_for_url("**/queue/fraud")
    page.keyboard.press("n")
    title = page.locator("#item-title")
    expect(title).to_have_text("t1")
    expect(title).to_be_focused()
    page.wait_for_timeout(400)
    page.keyboard.down("y")
    page.keyboard.down("y")
    page.keyboard.up("y")
    page.keyboard.press("y")  # pressed twice for one item
    expect(title).to_have_text("t2")
    page.keyboard.press("z")
    page.wait_for_timeout(400)
    page.keyboard.press("z")
    expect(title).to_have_text("t1")
    page.wait_for_timeout(400)
    page.get_by_role("button", name="No, it is fine").dblclick()
    expect(title).to_have_text("t2")
    with own_console.seeded.source() as source:
        (verdict,) = source.records.list_verdicts("t1")
        assert source.records.list_verdicts("t2") == []
    assert verdict.verdicts == {"fraud": False}


def test_a_link_from_another_site_leads_to_the_page(shared_console: Served, page: Page) -> None:
    sign_in(page, shared_console, admin_key(shared_console))
    page.goto(shared_console.url.replace("127.0.0.1", "localhost") + "sign-in")
    page.evaluate("url => { location.href = url; }", address(shared_console, "audit"))
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()


def test_home_looks_again_by_itself(own_console: Served, page: Page) -> None:
    sign_in(page, own_console, admin_key(own_console))
    card = page.locator("#card-fraud")
    expect(card.get_by_text("smaller-model")).to_be_visible()
    with own_console.seeded.source() as source:
        source.records.end(EXPERIMENT, by="bob", reason="enough", at=NOW)
    page.evaluate("htmx.trigger('#card-fraud', 'refresh')")
    expect(card.get_by_text("None runs.")).to_be_visible()


def test_a_console_that_is_away_is_asked_again_only_where_a_page_looks_by_itself(
    shared_console: Served, page: Page
) -> None:
    sign_in(page, shared_console, admin_key(shared_console))
    page.route("**/console/home/*", lambda route: route.abort())
    page.evaluate("htmx.trigger('#card-fraud', 'refresh')")
    expect(page.get_by_text("It is asked again by itself.")).to_be_visible()
    page.keyboard.press("Q")
    page.wait_for_url("**/queue/fraud")
    page.route("**/next", lambda route: route.abort())
    page.keyboard.press("n")
    expect(page.get_by_text("nobody knows whether this was kept")).to_be_visible()


def test_a_session_that_ended_leads_to_the_sign_in_and_back(
    own_console: Served, page: Page
) -> None:
    key = admin_key(own_console)
    sign_in(page, own_console, key)
    own_console.clock.now += 13 * 3_600_000_000
    page.keyboard.press("X")
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()


def test_no_page_has_a_serious_barrier(shared_console: Served, page: Page) -> None:
    barriers = {}
    page.goto(shared_console.url)
    barriers["sign-in"] = serious(page)
    sign_in(page, shared_console, admin_key(shared_console))
    for name in PAGES:
        page.goto(address(shared_console, name))
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            keep_picture(page, f"{name}-{scheme}")
        for summary in page.locator("summary").all():
            summary.click()
        barriers[name] = serious(page)
    page.goto(address(shared_console, "queue"))
    page.keyboard.press("n")
    page.locator("#item-title").wait_for()
    barriers["item"] = serious(page)
    page.keyboard.press("?")
    barriers["keys"] = serious(page)
    assert {
        name: found_barriers for name, found_barriers in barriers.items() if found_barriers
    } == {}


def keep_picture(page: Page, name: str) -> None:
    """Keep what a page looks like in the folder that SCREENSHOTS names, where it is set."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name.replace(' ', '-')}.png", full_page=True)


def serious(page: Page) -> list[str]:
    """Rules of axe-core that a page breaks seriously in either scheme, with the elements."""
    page.evaluate(Axe().axe_script)
    faults = []
    for scheme, options in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)
        result = page.evaluate("options => axe.run(options)", options)
        faults += [
            f"{scheme}: {violation['id']}: {[node['target'] for node in violation['nodes']]}"
            for violation in result["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
    return faults


def test_the_dark_scheme_differs_in_colours_alone() -> None:
    """Which is why rules that look at no colour are checked in the light one."""
    style = (STATIC / "console.css").read_text()
    dark = re.findall(r"@media \(prefers-color-scheme: dark\) \{\s*:root \{([^}]*)\}\s*\}", style)
    assert len(dark) == len(re.findall("prefers-color-scheme|light-dark", style)) == 1
    names = [line.partition(":")[0].strip() for line in dark[0].split(";") if line.strip()]
    assert names
    assert all(name.startswith("--") for name in names)


def test_pages_fit_their_width(shared_console: Served, page: Page) -> None:
    """640 px are 1,280 at 200%."""
    sign_in(page, shared_console, admin_key(shared_console))
    overflowing = {}
    for name in PAGES:
        page.goto(address(shared_console, name))
        for width in (640, 768, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            overflowing[name, width] = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
    assert {which: pixels for which, pixels in overflowing.items() if pixels > 0} == {}
