"""Rows that come at the same time are scored by one call."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]
Answer = TypeVar("Answer")
_MOST_ROWS = 64


class CallCancelledError(Exception):
    """The shared call was cancelled, though its askers were not."""


class Together(Generic[Answer]):
    """Gathers what several requests ask, so that they share the cost of a call.

    A row that comes while a call may be made leaves at once, with those of the same turn of the
    event loop; while as many calls as may be are under way, rows wait and leave as one. So nothing
    is delayed when little is asked, and much costs little more.

    Args:
        call: answers rows, one answer for each; an error goes to all that asked. It runs in the
            context in which this was made, as it belongs to no one asker.
        at_once: calls under way at a time.
    """

    def __init__(
        self, call: Callable[[Sequence[Row]], Awaitable[Sequence[Answer]]], at_once: int = 1
    ) -> None:
        self._call = call
        self._waiting: list[tuple[Row, asyncio.Future[Answer]]] = []
        self._free = at_once
        # in an asker's, Ray Serve would end everybody's call when that one request is cancelled
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, row: Row) -> Answer:
        """The answer to one row; an asker that is cancelled disturbs no other."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((row, answer))
        if self._free:
            self._free -= 1
            task = loop.create_task(self._work(), context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_ROWS], self._waiting[_MOST_ROWS:]
                await self._answer([one for one in batch if not one[1].done()])
        finally:
            self._free += 1

    async def _answer(self, asked: Sequence[tuple[Row, asyncio.Future[Answer]]]) -> None:
        if not asked:
            return
        try:
            answers = await self._call([row for row, _ in asked])
            pairs = list(zip(asked, answers, strict=True))
        except asyncio.CancelledError:
            _fail(asked, CallCancelledError("the call that several requests shared was cancelled"))
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return
        except Exception as error:  # whatever it is, it is the askers'
            _fail(asked, error)
            return
        for (_, future), answer in pairs:
            if not future.done():
                future.set_result(answer)


def _fail(asked: Sequence[tuple[Row, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in asked:
        if not future.done():
            future.set_exception(error)
