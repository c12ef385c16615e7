"""Payments and labels as callers send them, and waiting for what happens beside requests."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

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
