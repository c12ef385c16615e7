"""Work that may follow an answer, and work that comes round again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

_ATTEMPTS = 6
_FIRST_PAUSE = 0.2
Work = Callable[[], Awaitable[object]]


class Log(Protocol):
    """Where failures are written."""

    def write(self, event: str, level: str = "info", **fields: Any) -> None:
        """Adds one line."""


class BackgroundTasks:
    """Runs work beside requests, and ends it in good order.

    Args:
        log: says what failed for good.
        fault_fields: what a line says of an error.
        most: pieces of work at a time; more are refused, and logged.
    """

    def __init__(
        self,
        log: Log,
        fault_fields: Callable[[BaseException], Mapping[str, Any]],
        most: int = 10_000,
    ) -> None:
        self._log, self._fault_fields, self._most = log, fault_fields, most
        self._tasks: set[asyncio.Task[None]] = set()
        self._periodic: set[asyncio.Task[None]] = set()

    def submit(self, work: Work) -> None:
        """Does work once, soon; tried again a few times if it fails."""
        if len(self._tasks) >= self._most:
            self._log.write("later-full", "error", most=self._most)
            return
        task = asyncio.get_running_loop().create_task(self._try(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def schedule(self, seconds: float, work: Work) -> None:
        """Does work `seconds` from now and from each end; an error is logged, no more."""
        task = asyncio.get_running_loop().create_task(self._repeat(seconds, work))
        self._periodic.add(task)

    async def wait_idle(self) -> None:
        """Waits until what was begun so far is done."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def close(self, seconds: float) -> None:
        """Ends the rounds, then waits so long for what was begun."""
        for task in self._periodic:
            task.cancel()
        await asyncio.gather(*self._periodic, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()

    async def _try(self, work: Work) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await work()
                return
            except Exception as error:  # what it was matters less than that it is tried again
                if attempt == _ATTEMPTS:
                    self._log.write("later-failed", "error", **self._fault_fields(error))
                else:
                    await asyncio.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))

    async def _repeat(self, seconds: float, work: Work) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception as error:  # one bad round must not end the others
                self._log.write("round-failed", "error", **self._fault_fields(error))
