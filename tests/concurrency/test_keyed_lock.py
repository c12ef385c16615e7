"""Requests for one identifier follow each other."""

from __future__ import annotations

import asyncio

import pytest

from lib.concurrency.keyed_lock import KeyedLock

pytestmark = pytest.mark.anyio


async def test_turns_of_one_identifier_follow_in_order_and_others_go_on() -> None:
    turns, order, both = KeyedLock(), [], asyncio.Barrier(2)

    async def work(identifier: str, number: int) -> None:
        async with turns.of(identifier):
            await asyncio.sleep(0)
            order.append(number)

    async def beside(identifier: str) -> None:
        async with turns.of(identifier):
            await both.wait()

    await asyncio.gather(*(work("a", number) for number in range(5)))
    assert order == list(range(5))
    async with asyncio.timeout(1):
        await asyncio.gather(beside("a"), beside("b"))
    assert turns._queues == {}


async def test_a_caller_that_goes_away_takes_no_turn_and_keeps_none() -> None:
    turns, inside = KeyedLock(), asyncio.Event()

    async def work() -> None:
        async with turns.of("a"):
            inside.set()
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(work()) for _ in range(4)]
    await inside.wait()
    tasks[1].cancel()
    tasks[0].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in done] == [
        True,
        True,
        False,
        False,
    ]
    assert turns._queues == {}
