"""How long an event loop is held: a task that sleeps 1 ms notes how long it waits beyond that."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from serve.framework.runtime_tuning import tune_interpreter

_PAUSE_SECONDS = 0.001
_CHUNK_BYTES = 64 * 1024
Gateway = Callable[[dict[str, Any], Any, Any], Any]


class LoopProbe:
    """Notes how long the event loop that it is started in does not come to its next task.

    Of a gap counts what this process, all its threads together, computed meanwhile: another thread
    that keeps Python's lock holds the loop, too. Time in which the machine ran other programs, or
    the loop's thread could go on but had no processor, does not count.
    """

    def __init__(self) -> None:
        self._longest = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        await self.take_longest_ms()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def take_longest_ms(self) -> float:
        """The longest hold since this was asked last, milliseconds."""
        await asyncio.sleep(5 * _PAUSE_SECONDS)  # until what holds the loop now is noted, too
        longest, self._longest = self._longest, 0.0
        return longest * 1000.0

    async def _run(self) -> None:
        with _own_schedule() as schedule:
            while True:
                began, computed, queued = time.perf_counter(), time.process_time(), schedule()
                await asyncio.sleep(_PAUSE_SECONDS)
                gap = time.perf_counter() - began - _PAUSE_SECONDS - (schedule() - queued)
                self._longest = max(self._longest, min(gap, time.process_time() - computed))


@contextmanager
def _own_schedule() -> Iterator[Callable[[], float]]:
    """Gives the seconds that this thread was ready and waited for a processor so far (Linux)."""
    file = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
    try:
        yield lambda: int(os.pread(file, 64, 0).split()[1]) / 1e9
    finally:
        os.close(file)


@contextmanager
def tuned_interpreter() -> Iterator[None]:
    """The interpreter as a replica has it; as it was before afterwards."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    tune_interpreter()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)


async def ask(
    gateway: Gateway, token: str, method: str, path: str, content: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    """Status and body of an answer, in this event loop, with nothing of a client in it.

    Args:
        gateway: the application.
        token: API key.
        method: GET or POST.
        path: with its prefix.
        content: body, which comes in chunks of 64 KiB, as from a server.
        headers: further ones; `_` stands for `-`.
    """
    named = {"authorization": f"Bearer {token}", "content-length": str(len(content)), **headers}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    starts = iter(range(0, max(1, len(content)), _CHUNK_BYTES))
    status, pieces = 0, list[bytes]()

    async def receive() -> dict[str, Any]:
        start = next(starts, None)
        if start is None:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        end = int(start or 0) + _CHUNK_BYTES
        return {
            "type": "http.request",
            "body": content[start:end],
            "more_body": end < len(content),
        }

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        pieces.append(message.get("body", b""))

    await gateway(scope, receive, send)
    return status, b"".join(pieces)
