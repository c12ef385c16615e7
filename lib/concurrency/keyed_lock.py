"""One request at a time for each identifier; those for other identifiers go on beside it."""

from __future__ import annotations

import asyncio
from types import TracebackType


class KeyedLock:
    """Gives turns by identifier, in the order in which they were asked for.

    Example:
        async with turns.of("t1"):
            ...
    """

    def __init__(self) -> None:
        self._queues: dict[str, list[asyncio.Future[None]]] = {}

    def of(self, identifier: str) -> _Turn:
        """A turn, for `async with`."""
        return _Turn(self._queues, identifier)


class _Turn:
    __slots__ = ("_identifier", "_queues")

    def __init__(self, queues: dict[str, list[asyncio.Future[None]]], identifier: str) -> None:
        self._queues, self._identifier = queues, identifier

    async def __aenter__(self) -> None:
        queue = self._queues.get(self._identifier)
        if queue is None:
            self._queues[self._identifier] = []
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # the turn came just when the caller went
            elif turn in queue:
                queue.remove(turn)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        queue = self._queues[self._identifier]
        while queue:
            turn = queue.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        del self._queues[self._identifier]
