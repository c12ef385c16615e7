"""The console in this process, and a browser that keeps its cookies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from serve.console.gateway import ConsoleGateway
from serve.console.metrics import INSTRUMENTS
from serve.console.routes import build_gateway
from serve.console.service import ConsoleService
from serve.console.settings import ConsoleSettings
from tests.console.seeded import DECISIONS, NOW, Seeded
from tests.serve.application import add_token
from tests.serve.prometheus_metrics import PrometheusMetrics

BASE = "http://console.test"
READING = tuple(f"{system}:read" for system in DECISIONS)
REVIEWING = (*READING, *(f"{system}:review" for system in DECISIONS))
ALL_SCOPES = (*REVIEWING, "churn:label", "admin")
"""Scopes."""
_KEYS_AGAIN_US = 1_000_000
_FIELD = re.compile(r'name="([^"]+)" value="([^"]*)"')
_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Hands:
    """A clock that tests move, microseconds since 1970 UTC."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        """The time."""
        return self.now


@dataclass(frozen=True)
class RunningConsole:
    """The console, its clock, and where its keys are."""

    gateway: ConsoleGateway
    service: ConsoleService
    clock: Hands
    seeded: Seeded

    def browser(self, **options: Any) -> httpx.AsyncClient:
        """A browser with no session, which follows no redirect."""
        client = options.pop("client", ("10.1.2.3", 40_000))
        transport = httpx.ASGITransport(self.gateway, raise_app_exceptions=False, client=client)
        return httpx.AsyncClient(transport=transport, base_url=BASE, timeout=60, **options)

    def new_key(self, *scopes: str, **options: Any) -> str:
        """A key with these scopes, or with those of all readers, which the console knows."""
        self.clock.now += _KEYS_AGAIN_US
        return add_token(self.seeded.folder, scopes or READING, **options)

    async def signed_in(self, *scopes: str, name: str = "ann") -> httpx.AsyncClient:
        """A browser whose session acts in a name."""
        browser = self.browser()
        answer = await sign_in(browser, self.new_key(*scopes, reviewers=(name,)))
        assert answer.status_code == 303, answer.text
        return browser


def settings(seeded: Seeded, **changes: Any) -> ConsoleSettings:
    """What the console is started with."""
    systems = {
        name: {"records": seeded.records(name), "registry": str(seeded.registry)}
        for name in DECISIONS
    }
    systems["moderation"]["media"] = str(seeded.media)
    fields = {
        "systems": systems,
        "records": f"sqlite:///{seeded.folder}/console.sqlite",
        "api_keys": seeded.folder / "keys.json",
        "log": seeded.folder / "console.jsonl",
        "store_timeout_ms": 20_000.0,
        "deadline_ms": 30_000.0,
        "session_minutes": 30.0,
        "shared_seconds": 0.0,
        **changes,
    }
    return ConsoleSettings.model_validate(fields)


@asynccontextmanager
async def console(seeded: Seeded, **changes: Any) -> AsyncIterator[RunningConsole]:
    """A console that runs; its clock stands."""
    add_token(seeded.folder, READING)
    clock = Hands()
    meter = PrometheusMetrics(INSTRUMENTS)
    service = ConsoleService(settings(seeded, **changes), meter, clock, clock)
    gateway = build_gateway(service)
    async with service.lifespan():
        yield RunningConsole(gateway, service, clock, seeded)


async def sign_in(browser: httpx.AsyncClient, key: str, **fields: str) -> httpx.Response:
    """The answer to the sign-in form, filled with a key."""
    page = await browser.get("/console/sign-in")
    return await browser.post(
        "/console/sign-in", data={"csrf": token_of(page), "key": key, **fields}
    )


async def post(browser: httpx.AsyncClient, page: str, path: str, **fields: str) -> httpx.Response:
    """The answer to a form of a page."""
    token = token_of(await browser.get(page))
    return await browser.post(path, data={"csrf": token, **fields})


def token_of(page: httpx.Response) -> str:
    """The token in a page's forms."""
    match = _TOKEN.search(page.text)
    assert match, page.text
    return match[1]


def fields_of(page: httpx.Response, path: str) -> dict[str, str]:
    """The hidden and ticked fields of the form of a page that is sent to a path."""
    _, _, rest = page.text.partition(f'action="{path}"')
    form = rest.partition("</form>")[0]
    assert form, page.text
    return dict(_FIELD.findall(re.sub(r"<button[^>]*>|<option[^>]*>", "", form)))
