"""Every action of the console by keyboard alone, in one day of somebody who may do all."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, Response, expect
from starlette.routing import compile_path

from serve.console.routes import CHANGING
from tests.console.seeded import NOW, Seeded
from tests.console.seeded_posts import TEXT
from tests.console.seeded_rules import BURST
from tests.records.review_factories import HOUR, item
from tests.serve.console.browsing import Served
from tests.serve.console.console_app import ALL_SCOPES

pytestmark = pytest.mark.timeout(600)
RENEWAL = "/queue/{system}/items/{item_id:path}/renew"
"""What a page does by itself for as long as somebody looks at it."""
ACTIONS = {**{path: path for path in CHANGING}, **{path: path for path in ("/name", "/sign-out")}}
SCOPES = (*ALL_SCOPES, "maintenance:label", "moderation:label")
_MOST_TABS = 400
_SETTLED_MS = 400
_NAME = """() => {
    const focused = document.activeElement;
    const named = (focused.labels && focused.labels[0]) || focused;
    const copy = named.cloneNode(true);
    copy.querySelectorAll("kbd").forEach((key) => key.remove());
    const text = focused.getAttribute("aria-label") || copy.textContent;
    return [focused.tagName, text.trim().replace(/\\s+/g, " ")];
}"""


class Keyboard:
    """Keys that act on a page, as people press them who use no mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        """Press keys, once what was shown has settled."""
        for key in keys:
            self.page.wait_for_timeout(_SETTLED_MS)
            self.page.keyboard.press(key)

    def open(self, key: str, path: str) -> None:
        """Press the key of a page, and wait until it is there."""
        self.press(key)
        self.page.wait_for_url(f"**/console/{path}")

    def write(self, key: str, text: str) -> None:
        """Write into the field of a key, and leave it."""
        self.press(key)
        self.page.keyboard.type(text)
        self.page.keyboard.press("Escape")

    def tab_to(self, name: str, tags: tuple[str, ...] = ("A", "BUTTON")) -> None:
        """Press the tabulator until what has this name has the focus."""
        for _ in range(_MOST_TABS):
            self.page.keyboard.press("Tab")
            tag, text = self.page.evaluate(_NAME)
            if tag in tags and f"{text} ".startswith(f"{name} "):
                return
        raise AssertionError(f"the tabulator never reached {name}")

    def follow(self, name: str, tags: tuple[str, ...] = ("A", "BUTTON")) -> None:
        """Press what has this name."""
        self.tab_to(name, tags)
        self.page.keyboard.press("Enter")

    def give_reason(self, key: str, button: str, words: str) -> None:
        """Open a form by its key, write the reason, send it, and wait for words of the page."""
        self.press(key)
        tag, _ = self.page.evaluate(_NAME)
        if tag != "TEXTAREA":
            self.tab_to("Reason", ("TEXTAREA",))
        self.page.keyboard.type("somebody has looked at it")
        self.follow(button)
        self.sees(words)

    def search(self, key: str, text: str, url: str) -> None:
        """Write into the field of a key, and wait for the address of what is found."""
        self.press(key)
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(url)

    def sees(self, words: str, after: str = "") -> None:
        """Press a key, if one is given, and wait until the page shows these words."""
        if after:
            self.press(after)
        expect(self.page.get_by_text(words).first).to_be_visible()

    def visit(self, name: str) -> None:
        """Press what has this name, and wait for the page with it as its heading."""
        self.follow(name)
        self.is_titled(name)

    def is_titled(self, heading: str) -> None:
        """Wait until the page has this heading."""
        expect(self.page.get_by_role("heading", name=heading).first).to_be_visible()


@pytest.fixture
def done(page: Page) -> set[str]:
    """Actions that the console did for the page."""
    patterns = [(path, compile_path("/console" + path)[0]) for path in ACTIONS]
    actions: set[str] = set()

    def keep(response: Response) -> None:
        if response.request.method != "POST" or response.status >= 400:
            return
        path = unquote(urlsplit(response.url).path)
        actions.update(next(([name] for name, pattern in patterns if pattern.match(path)), []))

    page.on("response", keep)
    return actions


def test_every_action_is_done_by_keyboard_alone(
    own_console: Served, page: Page, done: set[str]
) -> None:
    _queue_post(own_console.seeded)
    keyboard = Keyboard(page)
    page.goto(own_console.url)
    page.keyboard.type(
        own_console.new_key(
            *ALL_SCOPES, "maintenance:label", "moderation:label", reviewers=("ann", "bob")
        )
    )
    page.keyboard.press("Enter")
    keyboard.is_titled("Who is there?")
    keyboard.press("1")
    keyboard.is_titled("Today")
    _own_models(keyboard, own_console.seeded.versions[2])
    _own_rules(keyboard)
    _keep_customers(keyboard)
    _plan_services(keyboard)
    _judge_payments(keyboard)
    _work_off_the_queue(keyboard)
    keyboard.follow("Sign out")
    keyboard.sees("You are signed out.")
    assert set(ACTIONS) - done == {RENEWAL}


def _queue_post(seeded: Seeded) -> None:
    """Let the post wait for somebody."""
    shown = {"text": TEXT, "media": {}, "hits": [], "undecoded": [], "reports": 0, "reason": "hate"}
    waiting = item(
        700, system="moderation", subject_id=seeded.post_id, created_at=NOW - HOUR,
        due_at=NOW + HOUR, rank_us=NOW, policies={"hate": 0.71}, shown=shown | {"rule_id": None},
    )  # fmt: skip
    with seeded.source("moderation") as source:
        source.records.admit([waiting], "routing")


def _own_models(keyboard: Keyboard, version: str) -> None:
    keyboard.open("M", "models/fraud")
    keyboard.follow(version)
    keyboard.is_titled(version)
    keyboard.give_reason("c", "Make it champion", "It is champion now.")
    keyboard.give_reason("r", "Roll champion back", "Rolled back")
    keyboard.open("X", "experiments")
    keyboard.follow("smaller-model")
    keyboard.give_reason("s", "Stop it", "Ended")


def _own_rules(keyboard: Keyboard) -> None:
    keyboard.open("R", "rules/fraud")
    keyboard.follow(BURST)
    keyboard.is_titled(BURST)
    keyboard.give_reason("a", "Make it active", "The rule is active now")
    keyboard.sees("It can be published", after="e")
    keyboard.press("t", "Control+End")
    keyboard.page.keyboard.type("\n# looked at in November\n")
    keyboard.press("Escape", "x")
    keyboard.is_titled("Backtest")
    keyboard.write("r", "a line for those who read it")
    keyboard.sees("The new version is active.", after="p")
    keyboard.press("v")
    keyboard.is_titled("What happened")
    keyboard.follow("Restore version 2", ("SUMMARY",))
    keyboard.tab_to("Reason", ("TEXTAREA",))
    keyboard.page.keyboard.type("too many good customers")
    keyboard.follow("Restore it")
    keyboard.sees("The version is active again.")


def _keep_customers(keyboard: Keyboard) -> None:
    keyboard.open("C", "customers")
    keyboard.search("/", "ct42", "**/customers?*")
    keyboard.visit("ct42")
    keyboard.press("o")
    keyboard.page.keyboard.type("5")
    keyboard.tab_to("Reason", ("TEXTAREA",))
    keyboard.page.keyboard.type("their champion left")
    keyboard.follow("Set the health")
    keyboard.sees("The next plan uses it")
    keyboard.give_reason("w", "Withdraw 5", "Withdrawn")
    keyboard.open("C", "customers")
    keyboard.open("2", "contacts")
    keyboard.is_titled("Plan of the day")
    keyboard.sees("Done: kept for", after="y")
    keyboard.sees("Taken back.", after="z")
    keyboard.give_reason("s", "Stop all interventions", "All interventions are stopped.")
    keyboard.give_reason("r", "Let them go on", "Interventions go on.")


def _plan_services(keyboard: Keyboard) -> None:
    keyboard.open("F", "fleet")
    keyboard.visit("pump t12")
    keyboard.write("n", "it sounds dry")
    keyboard.sees("it sounds dry", after="w")
    keyboard.press("i")
    keyboard.page.wait_for_load_state()
    keyboard.press("1")
    keyboard.is_titled("pump t12 bearing")
    keyboard.press("m", "Enter")
    keyboard.sees("Nothing is changed yet.")
    keyboard.sees("The service is moved and locked there.", after="y")
    keyboard.sees("The rest of the week is planned again.", after="g")
    keyboard.open("F", "fleet")
    keyboard.follow("pump t12")
    keyboard.press("1", "o")
    keyboard.follow("Close the work order", ("BUTTON",))
    keyboard.sees("The work order is closed.")
    keyboard.sees("The plan is accepted.", after="a")


def _judge_payments(keyboard: Keyboard) -> None:
    keyboard.open("P", "payments")
    keyboard.search("c", "t9100", "**customer=t9100**")
    keyboard.press("1")
    keyboard.is_titled("t9000")
    keyboard.write("n", "the customer called")
    keyboard.sees("The note is kept.", after="w")
    keyboard.sees("Kept: fraud.", after="y")
    keyboard.sees("Taken back.", after="z")
    keyboard.sees("Left to seniors.", after="e")
    keyboard.press("l")
    keyboard.is_titled("Label together")
    keyboard.sees("Each becomes a label in ten seconds.", after="y")
    keyboard.sees("Taken back by ann", after="z")


def _work_off_the_queue(keyboard: Keyboard) -> None:
    keyboard.open("Q", "queue/fraud")
    keyboard.press("n", "s")
    keyboard.sees("comes back in ten minutes.")
    keyboard.sees("is left to seniors.", after="e")
    keyboard.sees("Decided fraud", after="y")
    keyboard.press("z")
    expect(keyboard.page.locator(".message.last")).to_have_count(0)
    keyboard.press("b")
    expect(
        keyboard.page.get_by_role("button", name=re.compile("Next item|Look again"))
    ).to_be_visible()
    keyboard.open("O", "posts")
    keyboard.visit("t8000")
    keyboard.visit("t8003")
    keyboard.give_reason("a", "Take it in", "The appeal is taken in.")
    keyboard.open("O", "posts")
    keyboard.visit("t8000")
    keyboard.press("t")
    expect(keyboard.page.locator("#item-title")).to_be_visible()
