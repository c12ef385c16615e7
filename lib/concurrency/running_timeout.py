"""A timeout that says who was away: the other side, or the event loop itself."""

from __future__ import annotations

import asyncio
from typing import Any

_USUAL_LATENESS = 0.02


def stood_still(loop: asyncio.AbstractEventLoop, due: float) -> float:
    """Seconds by which a timer came too late for the loop to have run; 0 where it came in time.

    Args:
        loop: that ran the timer.
        due: when it was to come, by the loop's clock.
    """
    late = loop.time() - due
    return late if late > _USUAL_LATENESS else 0.0


class RunningTimeout:
    """`asyncio.timeout` for calls of others, which counts no time in which the loop stood still.

    A process that gets no processor for longer than a timeout finds the timer due before it has
    read the answers that came meanwhile; every call under way would count as unanswered, and a
    circuit breaker would open. So where the timer itself is late, the other side gets as much time
    more, once, and at most the timeout again.

    Args:
        seconds: to wait.

    Raises:
        TimeoutError: on leaving, where the time was over.
    """

    __slots__ = ("_due", "_handle", "_is_extended", "_loop", "_seconds", "_timeout")

    def __init__(self, seconds: float) -> None:
        self._seconds, self._is_extended = seconds, False
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._wait(self._seconds)

    async def __aexit__(self, *raised: Any) -> None:
        self._handle.cancel()
        await self._timeout.__aexit__(*raised)

    def _wait(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._handle = self._loop.call_at(self._due, self._end)

    def _end(self) -> None:
        more = 0.0 if self._is_extended else stood_still(self._loop, self._due)
        if more:
            self._is_extended = True
            self._wait(min(more, self._seconds))
        else:
            self._timeout.reschedule(self._loop.time())
