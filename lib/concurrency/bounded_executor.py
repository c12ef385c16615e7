"""Threads of their own for one kind of blocking work."""

import asyncio
import contextvars
from collections.abc import Callable, Sized
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Input = TypeVar("Input")


class BoundedExecutor:
    """Runs at most `limit` calls at once, in threads that nothing else uses.

    A slot is free when its thread ends: a caller that is cancelled or past its deadline leaves the
    call running, and the next call waits for it. A call whose caller is cancelled before it starts
    never runs. Work that is slow here takes no thread of asyncio's default executor.

    Args:
        name: of the threads.
        limit: calls at once, at least 1.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix=name)

    async def run(
        self,
        call: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """The result of a call, made in one of the threads with the caller's context variables."""
        context = contextvars.copy_context()
        work = partial(context.run, partial(call, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Drops the calls that have not started; returns at once, running calls end by themselves.

        A call after this raises RuntimeError.
        """
        self._threads.shutdown(wait=False, cancel_futures=True)


class SizedExecutor(BoundedExecutor):
    """Works on short inputs at once, and on longer ones in its threads.

    Args:
        name: of the threads.
        limit: calls at once in threads.
        longest: length of an input on which the work takes less time than a thread would.
    """

    def __init__(self, name: str, limit: int, longest: int) -> None:
        super().__init__(name, limit)
        self._longest = longest

    async def run_sized(
        self, work: Callable[[Input], Result], value: Input, size: int | None = None
    ) -> Result:
        """What `work` makes of an input.

        Args:
            work: on the input.
            value: the input.
            size: of the input, where that is not its length.
        """
        if size is None:
            if not isinstance(value, Sized):
                raise TypeError("expected a size, or an input that has a length")
            size = len(value)
        if size <= self._longest:
            return work(value)
        return await self.run(work, value)
