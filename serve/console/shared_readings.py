"""What everybody looks at, read once for all who ask within some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")


class SharedReadings:
    """Keeps the newest result of each reading, and lets those who ask meanwhile wait for one.

    Counting a long queue takes tens of milliseconds of a core that others decide on, however many
    people have the page open. A reading that fails is not kept. For one event loop.

    Args:
        seconds: that a result is shown; 0 reads it anew each time.
        clock: monotonic, in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._going: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, name: Hashable, read: Callable[[], Awaitable[Result]]) -> Result:
        """The result of a reading, at most `seconds` old.

        Args:
            name: of the reading.
            read: reads it; its errors are those of all who wait for it.
        """
        if name in self._kept and self._clock() - self._kept[name][0] < self._seconds:
            return self._kept[name][1]  # type: ignore[no-any-return]
        if name not in self._going:
            task = self._going[name] = asyncio.create_task(self._read(name, read))
            # its error is looked at, also where everybody has left who waited for it
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        # whoever closes the page ends nobody else's reading
        return await asyncio.shield(self._going[name])

    async def _read(self, name: Hashable, read: Callable[[], Awaitable[Result]]) -> Result:
        try:
            result = await read()
            self._kept[name] = (self._clock(), result)
            return result
        finally:
            del self._going[name]
