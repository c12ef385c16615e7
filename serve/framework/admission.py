"""Which request a replica answers now: those with a key first, up to a limit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from serve.framework.problem import Problem
from serve.framework.routes import RequestLimits

_LONGEST_WAIT_SECONDS = 0.1


class Admission:
    """Admits requests of one event loop.

    A request with a key begins at once, and is refused where too many are being answered. One
    without a key waits until none with a key is being answered, in the order of arrival and one
    for each turn of the event loop; after 0.1 s it passes in any case.

    Args:
        limits: `in_flight` and `retry_after_s` count here.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_releasing = False

    @contextmanager
    def keyed(self) -> Iterator[None]:
        """A request with a key is being answered.

        Raises:
            Problem: 503 where too many are.
        """
        if self._in_flight >= self._limits.in_flight:
            text = f"{self._limits.in_flight} requests are being answered; send it again later"
            raise Problem(503, "overload", text, retry_after=self._limits.retry_after_s)
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._release()

    async def public(self) -> None:
        """Waits until a request without a key may be answered, 0.1 s at most."""
        if not self._in_flight and not self._waiting:
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        latest = loop.call_later(_LONGEST_WAIT_SECONDS, _begin, turn)
        try:
            self._release()
            await turn
        finally:
            latest.cancel()

    def _release(self) -> None:
        """Has the first that waits begin, and looks again in the next turn of the event loop."""
        if not self._is_releasing:
            self._release_next()

    def _release_next(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        self._is_releasing = bool(self._waiting) and not self._in_flight
        if self._is_releasing:
            _begin(self._waiting.popleft())
            asyncio.get_running_loop().call_soon(self._release_next)


def _begin(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
