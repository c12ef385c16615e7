"""A timeout is over for those who do not answer, and not for a process that stood still."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lib.concurrency.guarded_call import GuardedCall
from lib.concurrency.running_timeout import RunningTimeout

pytestmark = pytest.mark.anyio
SECONDS = 0.25


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, socket.socket]]:
    """What reads from the other side, and that side."""
    ours, other = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    with other:
        yield reader, other
    writer.close()
    await writer.wait_closed()


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    async with RunningTimeout(SECONDS):
        return await reader.readexactly(1)


async def test_an_answer_that_came_while_the_process_stood_still_is_read() -> None:
    async with connected() as (reader, other):
        asking = asyncio.create_task(answer_of(reader))
        await asyncio.sleep(0.01)
        other.sendall(b"x")
        time.sleep(2 * SECONDS)  # the whole loop stands still
        assert await asking == b"x"


@pytest.mark.parametrize("stall", [0.0, 4 * SECONDS])
async def test_who_does_not_answer_is_given_up_also_after_a_stall(stall: float) -> None:
    async with connected() as (reader, _):
        asking = asyncio.create_task(answer_of(reader))
        await asyncio.sleep(0.01)
        time.sleep(stall)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await asking
        assert time.monotonic() - began < 2 * SECONDS + 2.0


async def test_what_ends_in_time_and_what_raises_is_left_alone() -> None:
    async with RunningTimeout(SECONDS):
        pass
    with pytest.raises(ValueError, match="its own"):
        async with RunningTimeout(SECONDS):
            raise ValueError("its own")
    await asyncio.sleep(2 * SECONDS)  # no timer is left that would cancel this


async def test_a_stall_opens_no_circuit_breaker() -> None:
    guard = GuardedCall("store", ConnectionError, SECONDS)
    async with connected() as (reader, other):
        turn = asyncio.Lock()

        async def read() -> bytes:
            async with turn:
                return await reader.readexactly(1)

        calls = [asyncio.create_task(guard.run(read)) for _ in range(4)]
        await asyncio.sleep(0.01)
        other.sendall(b"wxyz")
        time.sleep(2 * SECONDS)
        assert await asyncio.gather(*calls) == [b"w", b"x", b"y", b"z"]
    assert not guard.unavailable


@pytest.mark.parametrize("keeps_time", [False, True])
async def test_a_store_that_keeps_time_is_given_its_own(keeps_time: bool) -> None:
    guard = GuardedCall("store", ConnectionError, SECONDS, keeps_time)

    async def slow() -> str:
        await asyncio.sleep(2 * SECONDS)
        return "late"

    if keeps_time:
        assert await guard.run(slow) == "late"
    else:
        with pytest.raises(ConnectionError, match="no answer in time"):
            await guard.run(slow)


async def test_a_store_that_keeps_time_opens_the_circuit_breaker_by_its_errors() -> None:
    guard = GuardedCall("store", ConnectionError, SECONDS, keeps_time=True)

    async def silent() -> None:
        raise ConnectionError("no answer in time")

    for _ in range(20):
        with pytest.raises(ConnectionError):
            await guard.run(silent)
    assert guard.unavailable
