"""What everybody looks at is read once for all who ask within some seconds."""

from __future__ import annotations

import asyncio

import pytest

from serve.console.shared_readings import SharedReadings

pytestmark = pytest.mark.anyio


class Counter:
    """A reading that counts how often it is done, and fails where it is told to."""

    def __init__(self) -> None:
        self.reads = 0
        self.go_on = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self) -> int:
        self.reads += 1
        await self.go_on.wait()
        if self.fault is not None:
            raise self.fault
        return self.reads


class Seconds:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_those_who_ask_at_once_wait_for_one_reading() -> None:
    clock, counter = Seconds(), Counter()
    readings = SharedReadings(10.0, clock)
    waiting = [asyncio.create_task(readings.get("queue", counter)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # whoever closes the page ends nobody else's reading
    counter.go_on.set()
    assert await asyncio.gather(*waiting[1:]) == [1, 1, 1, 1]
    clock.now += 9.9
    assert await readings.get("queue", counter) == 1
    assert await readings.get("home", counter) == 2
    clock.now += 0.2
    assert await readings.get("queue", counter) == 3


async def test_a_reading_that_failed_is_done_again() -> None:
    readings, counter = SharedReadings(10.0, Seconds()), Counter()
    counter.go_on.set()
    counter.fault = OSError("away")
    with pytest.raises(OSError, match="away"):
        await readings.get("queue", counter)
    counter.fault = None
    assert await readings.get("queue", counter) == 2
    assert await readings.get("queue", counter) == 2


async def test_with_no_seconds_each_sees_the_present() -> None:
    readings, counter = SharedReadings(0.0, Seconds()), Counter()
    counter.go_on.set()
    assert [await readings.get("queue", counter) for _ in range(3)] == [1, 2, 3]
