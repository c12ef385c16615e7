"""Home: every system that the key may read, today against last week."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from lib.console.home import SystemToday, read_today
from serve.console.console import Console
from serve.console.service import SystemReader
from serve.console.session import Visit


async def home(console: Console, visit: Visit) -> Response:
    """A card for each system; one whose records do not answer says so, and the others stand."""
    names = visit.systems("read", tuple(console.service.systems))
    systems = [console.service.systems[name] for name in names]
    cards = await asyncio.gather(*(_today(console, system) for system in systems))
    return console.page(
        visit.request, "home.html", page="home", cards=dict(zip(names, cards, strict=True))
    )


async def card(console: Console, visit: Visit) -> Response:
    """One card, which the page asks for again by itself."""
    system = console.system(visit, "read")
    today = await _today(console, system)
    return console.page(visit.request, "home_card.html", name=system.source.system, today=today)


async def _today(console: Console, system: SystemReader) -> SystemToday | None:
    """None where the records do not answer."""
    return await system.read_shared_if_there(read_today, console.service.now())
