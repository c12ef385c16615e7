"""A database file that one thread opens when it is first asked for, for an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What gives its file back."""

    def close(self) -> None:
        """Gives the file back."""


Opened = TypeVar("Opened", bound=Closable)
Done = TypeVar("Done")


class ThreadedFile(Generic[Opened]):
    """A file behind one thread: it has one writer at a time anyway.

    Args:
        path: the file; its folder is made if absent.
        timeout: seconds to wait for another process's write.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path, self._timeout = path, timeout
        self._opened: Opened | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)

    async def close(self) -> None:
        """Closes the file and ends the thread."""
        if self._opened is not None:
            await self._run(lambda opened: opened.close())
        self._thread.shutdown()

    async def _run(self, work: Callable[[Opened], Done]) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, work)

    def _call(self, work: Callable[[Opened], Done]) -> Done:
        if self._opened is None:
            self._opened = self._open()
        return work(self._opened)

    def _open(self) -> Opened:
        """Opens the file, in the thread."""
        raise NotImplementedError
