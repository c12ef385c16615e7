"""A console on a port of its own, and Debian's chromium to look at it."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from serve.console.metrics import INSTRUMENTS
from serve.console.routes import build_gateway
from serve.console.service import ConsoleService
from tests.conftest import free_port
from tests.console.seeded import Seeded
from tests.serve.application import add_token
from tests.serve.console.console_app import READING, Hands, settings
from tests.serve.prometheus_metrics import PrometheusMetrics

CHROMIUM = shutil.which("chromium")
_SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    """A console that listens on loopback.

    Attributes:
        url: of its home.
        service: what answers.
        seeded: its databases.
        clock: its time.
    """

    url: str
    service: ConsoleService
    seeded: Seeded
    clock: Hands

    def new_key(self, *scopes: str, **options: object) -> str:
        """A key with these scopes, or with those of all readers, which the console knows."""
        self.clock.now += 1_000_000
        return add_token(self.seeded.folder, scopes or READING, **options)


@contextmanager
def served(seeded: Seeded) -> Iterator[Served]:
    """The console over databases, answering on a free port until the end."""
    add_token(seeded.folder, READING)
    port = free_port()
    clock = Hands()
    service = ConsoleService(settings(seeded), PrometheusMetrics(INSTRUMENTS), clock, clock)
    config = uvicorn.Config(
        build_gateway(service), port=port, log_level="warning", ws="none", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + _SECONDS
    while not server.started:
        assert thread.is_alive(), "the console did not start"
        assert time.monotonic() < deadline, "the console did not start in time"
        time.sleep(0.02)
    try:
        yield Served(f"http://127.0.0.1:{port}/console/", service, seeded, clock)
    finally:
        server.should_exit = True
        thread.join(_SECONDS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's chromium without a window; the tests are skipped where there is none."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: apt-get install chromium")
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def sign_in(page: Page, console: Served, key: str) -> None:
    """Fill in the form for a key that is bound to one name."""
    page.goto(console.url)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(console.url)
