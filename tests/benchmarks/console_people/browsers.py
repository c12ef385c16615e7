"""People in real browsers: what a first page weighs and takes, how long the next item takes, and
two who decide the same queue at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

SETTLED_MS = 350
"""After an item is shown no key acts for 300 ms, so that nobody decides what they did not see."""
VIEWPORT: Any = {"width": 1280, "height": 800}
_TIMEOUT_MS = 60_000
# when the item that a key brings is painted, on the page's own clock
_STOPWATCH = """() => {
  window.waits = [];
  let pressed = null;
  document.addEventListener('keydown', (event) => { pressed = event.timeStamp; }, true);
  document.addEventListener('htmx:afterSwap', () => {
    const from = pressed;
    requestAnimationFrame(() => setTimeout(() => window.waits.push(performance.now() - from)));
  });
}"""
_LEASE_URL = "document.querySelector('article.item')?.dataset.renew"
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@dataclass(frozen=True)
class Loaded:
    """A page that a browser met for the first time.

    Attributes:
        kilobytes: over the wire, with headers.
        paint_ms: until something of it was painted.
    """

    kilobytes: float
    paint_ms: float


@contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def sign_in(context: BrowserContext, url: str, key: str) -> Page:
    """A page of somebody who has signed in."""
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT_MS)
    page.goto(url)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(url)
    return page


def first_loads(browser: Browser, url: str, path: str, key: str, count: int) -> list[Loaded]:
    """A page, met by browsers that have kept nothing."""
    context = browser.new_context(viewport=VIEWPORT)
    sign_in(context, url, key)
    cookies = context.cookies()
    context.close()
    loads = []
    for _ in range(count):
        fresh = browser.new_context(viewport=VIEWPORT)
        fresh.add_cookies(cookies)  # type: ignore[arg-type]
        page = fresh.new_page()
        page.set_default_timeout(_TIMEOUT_MS)
        loads.append(_load(fresh, page, url + path))
        fresh.close()
    return loads


def serious_barriers(browser: Browser, url: str, path: str, key: str) -> tuple[int, list[str]]:
    """Pages that axe-core looked at, and what is serious on them.

    The home page, every page that its navigation leads to, and the queue with an item, each light
    and dark.
    """
    barriers, count = [], 0
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=VIEWPORT, color_scheme=scheme)  # type: ignore[arg-type]
        page = sign_in(context, url, key)
        links = page.locator("nav a[href]").evaluate_all("links => links.map(link => link.href)")
        for address in dict.fromkeys([url, *links, url + path]):
            if address == url + path:
                _begin(page, address)
            else:
                page.goto(address)
            count += 1
            barriers += [
                f"{scheme} {address.removeprefix(url)}: {violation['id']}"
                for violation in Axe().run(page)["violations"]
                if violation["impact"] in ("serious", "critical")
            ]
        context.close()
    return count, barriers


def next_items(browser: Browser, url: str, path: str, key: str, count: int) -> list[float]:
    """Milliseconds from a key that decides until the next item is painted."""
    context = browser.new_context(viewport=VIEWPORT)
    page = sign_in(context, url, key)
    _begin(page, url + path)
    page.evaluate(_STOPWATCH)
    for number in range(count):
        _decide(page)
        _wait(page, f"window.waits.length > {number}")
    waits = [float(wait) for wait in page.evaluate("window.waits")]
    context.close()
    return waits


def race(program: str, url: str, path: str, keys: Sequence[str]) -> list[int]:
    """Items that each of some people decided, all at the same queue until it is empty.

    Each has a browser of their own, in a thread of its own.
    """
    counts = [0] * len(keys)
    errors: list[BaseException] = []
    start = threading.Barrier(len(keys))

    def work(number: int) -> None:
        try:
            with chromium(program) as browser:
                page = sign_in(browser.new_context(viewport=VIEWPORT), url, keys[number])
                start.wait()
                counts[number] = _until_empty(page, url + path)
        except BaseException as error:
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(keys))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return counts


def _load(context: BrowserContext, page: Page, address: str) -> Loaded:
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(address, wait_until="networkidle")
    _wait(page, f"{_FIRST_PAINT} !== null")
    return Loaded(sum(sizes) / 1000.0, float(page.evaluate(_FIRST_PAINT)))


def _wait(page: Page, condition: str) -> None:
    """Until something holds; Playwright's own wait needs eval, which the pages forbid."""
    until = time.monotonic() + _TIMEOUT_MS / 1000.0
    while not page.evaluate(condition):
        if time.monotonic() > until:
            raise TimeoutError(f"not within {_TIMEOUT_MS / 1000:g} s: {condition}")
        page.wait_for_timeout(5)


def _begin(page: Page, address: str) -> None:
    page.goto(address)
    page.keyboard.press("n")
    page.wait_for_selector("#item-title")


def _decide(page: Page) -> None:
    page.wait_for_timeout(SETTLED_MS)
    page.keyboard.press("f")


def _until_empty(page: Page, address: str) -> int:
    _begin(page, address)
    decided = 0
    while (title := page.query_selector("#item-title")) is not None:
        before = page.get_attribute("article.item", "data-renew")
        _decide(page)
        _wait(page, f"{_LEASE_URL} !== {json.dumps(before)}")
        decided += 1
        title.dispose()
    return decided
