"""A console over four systems that have lived for a week, and a browser to look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.console.conftest import lived, own, postgresql
from tests.console.seeded import Seeded
from tests.serve.console.browsing import Served, chromium, served
from tests.serve.console.console_app import RunningConsole, console

__all__ = ["lived", "own", "postgresql"]
HARMLESS = (
    *("Failed to load resource", "htmx:afterRequest", "htmx:sendError"),
    "Autofocus processing was blocked",
)
"""What the browser says of errors that tests ask for, and of a field that is not focused anew."""


@pytest.fixture
async def running(lived: Seeded) -> AsyncIterator[RunningConsole]:
    """A console that changes nothing in them."""
    async with console(lived) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, for all tests of a module."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_console(lived: Seeded, browser: Browser) -> Iterator[Served]:
    """A console for tests that change nothing."""
    with served(lived) as started:
        yield started


@pytest.fixture
def own_console(own: Seeded, browser: Browser) -> Iterator[Served]:
    """A test's own console."""
    with served(own) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test where the browser complains, e.g. of the security policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text))
    yield opened
    context.close()
    assert [text for text in complaints if not text.startswith(HARMLESS)] == []
