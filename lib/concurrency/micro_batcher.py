"""What is asked at the same time is answered by one call."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class CallCancelledError(Exception):
    """The shared call was cancelled, though its askers were not."""


class MicroBatcher(Generic[Request, Answer]):
    """Gathers what several requests ask, so that they share the cost of a call.

    What comes while a call may be made leaves at once, with the rest of the same turn of the event
    loop; while as many calls as may be are under way, it waits and leaves as one. So nothing is
    delayed when little is asked, and much costs little more.

    Args:
        call: one answer for each that is asked, in order; an error goes to all that asked. It runs
            in the context in which this was made, as it belongs to no one asker.
        max_concurrency: calls under way at a time.
        max_batch_size: asked of one call.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]],
        max_concurrency: int = 1,
        max_batch_size: int = 64,
    ) -> None:
        self._call, self._max_batch_size = call, max_batch_size
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._free = max_concurrency
        # in an asker's, Ray Serve would end everybody's call when that one request is cancelled
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, request: Request) -> Answer:
        """The answer to one; an asker that is cancelled disturbs no other."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((request, answer))
        if self._free:
            self._free -= 1
            task = loop.create_task(self._work(), context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = (
                    self._waiting[: self._max_batch_size],
                    self._waiting[self._max_batch_size :],
                )
                await self._answer([entry for entry in batch if not entry[1].done()])
        finally:
            self._free += 1

    async def _answer(self, entries: Sequence[tuple[Request, asyncio.Future[Answer]]]) -> None:
        if not entries:
            return
        try:
            answers = await self._call([request for request, _ in entries])
            pairs = list(zip(entries, answers, strict=True))
        except asyncio.CancelledError:
            _fail(
                entries, CallCancelledError("the call that several requests shared was cancelled")
            )
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return
        except Exception as error:  # whatever it is, it is the askers'
            _fail(entries, error)
            return
        for (_, future), answer in pairs:
            if not future.done():
                future.set_result(answer)


def _fail(entries: Sequence[tuple[Request, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in entries:
        if not future.done():
            future.set_exception(error)
