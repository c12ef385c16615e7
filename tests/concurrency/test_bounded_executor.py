"""Slow work keeps its slot until its thread ends, and takes no thread of others."""

import asyncio
import contextlib
import threading
import time

import pytest

from lib.concurrency.bounded_executor import BoundedExecutor

pytestmark = pytest.mark.anyio

LIMIT = 2


class SlowWork:
    """Blocks until released; knows how many calls ran at once."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.running = self.most = self.started = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.started += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self.release.wait(20)
        with self._lock:
            self.running -= 1
        return self.started


async def given_up(executor: BoundedExecutor, work: SlowWork, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await executor.run(work)


async def test_calls_that_are_given_up_keep_their_slots_until_their_threads_end():
    executor, work = BoundedExecutor("slow", LIMIT), SlowWork()
    await asyncio.gather(*(given_up(executor, work, 0.05) for _ in range(12)))
    waiting = asyncio.create_task(executor.run(work))
    await asyncio.sleep(0.05)
    assert (work.most, work.started, waiting.done()) == (LIMIT, LIMIT, False)
    work.release.set()
    assert await waiting == LIMIT + 1  # the ten that were given up before they started never ran
    assert work.most == LIMIT
    executor.close()


async def test_slow_calls_take_no_thread_of_the_default_executor():
    executor, work = BoundedExecutor("slow", LIMIT), SlowWork()
    tasks = [asyncio.create_task(given_up(executor, work, 5)) for _ in range(40)]
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.001) for _ in range(20)))
    assert time.monotonic() - began < 2
    work.release.set()
    await asyncio.gather(*tasks)
    executor.close()


async def test_results_and_errors_come_back():
    executor = BoundedExecutor("quick", 1)
    assert await executor.run(divmod, 7, 2) == (3, 1)
    assert await executor.run(int, "11", base=2) == 3
    with pytest.raises(ZeroDivisionError):
        await executor.run(divmod, 7, 0)
    executor.close()
    with pytest.raises(RuntimeError):
        await executor.run(divmod, 7, 2)
