"""Payments and labels as callers send them, and waiting for what happens beside requests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Container, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

_NUMBERS = itertools.count()
SCORE, LABELS = "/fraud/score_transaction", "/fraud/labels"


def moment(seconds: float = 0.0) -> str:
    """So many seconds from now, in UTC."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def payment(**changes: Any) -> dict[str, Any]:
    """A good payment, with an id of its own unless one is given."""
    return {
        "transaction_id": f"payment-{next(_NUMBERS)}",
        "event_time": moment(-1),
        "user_id": "user-1",
        "merchant_id": "merchant-1",
        "device_id": "device-1",
        "amount": "12.34",
        "currency": "EUR",
        "payment_method": "wallet",
        "latitude": 48.85,
        "longitude": 2.35,
        **changes,
    }


def label(transaction_id: str, **changes: Any) -> dict[str, Any]:
    """A chargeback that became known just now."""
    return {
        "transaction_id": transaction_id,
        "is_fraud": True,
        "observed_at": moment(-1),
        "source": "chargeback",
        **changes,
    }


async def eventually(
    happens: Callable[[], Awaitable[bool]], within: float = 10.0, pause: float = 0.05
) -> None:
    """Returns once it happens; fails if it does not."""
    end = time.monotonic() + within
    while not await happens():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(pause)


async def post_until_answered(
    client: httpx.AsyncClient, path: str, body: Any, meanwhile: Container[int] = range(100, 600)
) -> dict[str, Any]:
    """As a platform does: the same request again until it is answered; the answer.

    Args:
        client: of whom.
        path: of the request.
        body: of the request.
        meanwhile: status codes that may come before.
    """
    for _ in range(150):
        with contextlib.suppress(httpx.TransportError):
            answer = await client.post(path, json=body)
            if answer.status_code == 200:
                return dict(answer.json())
            assert answer.status_code in meanwhile, answer.text
        await asyncio.sleep(0.2)
    raise AssertionError("never answered")


async def answers_amid(
    ask: Callable[[Any], Awaitable[Any]],
    bodies: Iterable[Any],
    at_a_time: int,
    happens: Callable[[], None],
) -> list[Any]:
    """Answers to requests, amid which something happens: once 15 of them are answered.

    Args:
        ask: sends a body and waits for its answer.
        bodies: of the requests.
        at_a_time: requests that wait for their answers at once, at most.
        happens: what happens.
    """
    places = asyncio.Semaphore(at_a_time)

    async def answer(body: Any) -> Any:
        async with places:
            return await ask(body)

    tasks = [asyncio.create_task(answer(body)) for body in bodies]
    while sum(task.done() for task in tasks) < 15:
        await asyncio.sleep(0.01)
    happens()
    return await asyncio.gather(*tasks)


ALWAYS_REVIEW = """
version: 7
rules:
  - id: everything_twice
    when: amount >= 0
    action: REVIEW
    reason: everything is looked at twice today
    confidence: 0.5
    owner: tests
"""
