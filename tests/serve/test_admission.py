"""Who is answered first."""

from __future__ import annotations

import asyncio

import pytest

from serve.framework import Problem, RequestLimits
from serve.framework.gateway import Admission

pytestmark = pytest.mark.anyio


@pytest.fixture
def admission() -> Admission:
    return Admission(RequestLimits(in_flight=2))


def strangers(admission: Admission, group: asyncio.TaskGroup, count: int) -> list[int]:
    """Starts public requests; their numbers, in the order in which they pass."""
    passed: list[int] = []

    async def stranger(number: int) -> None:
        await admission.public()
        passed.append(number)

    for number in range(count):
        group.create_task(stranger(number))
    return passed


async def test_without_keyed_requests_a_public_one_passes_at_once(admission: Admission) -> None:
    async with asyncio.timeout(0.05):
        for _ in range(1000):
            await admission.public()


async def test_public_requests_pass_in_order_once_the_last_keyed_one_is_answered(
    admission: Admission,
) -> None:
    async with asyncio.TaskGroup() as group:
        with admission.keyed():
            with admission.keyed():
                passed = strangers(admission, group, 5)
                await asyncio.sleep(0.01)
            assert passed == []
    assert passed == [0, 1, 2, 3, 4]


async def test_a_keyed_request_that_comes_overtakes_the_public_ones_that_wait(
    admission: Admission,
) -> None:
    async with asyncio.TaskGroup() as group:
        with admission.keyed():
            passed = strangers(admission, group, 50)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)  # one turn of the event loop
        with admission.keyed():
            early = len(passed)
            await asyncio.sleep(0.01)
            assert early <= len(passed) <= early + 2
    assert len(passed) == 50


async def test_a_public_request_waits_a_tenth_of_a_second_at_most(admission: Admission) -> None:
    loop = asyncio.get_running_loop()
    with admission.keyed():
        started = loop.time()
        await asyncio.gather(*(admission.public() for _ in range(100)))
        assert 0.05 < loop.time() - started < 1.0


async def test_a_public_request_that_is_given_up_holds_nobody(admission: Admission) -> None:
    with admission.keyed():
        cancelled = asyncio.create_task(admission.public())
        stays = asyncio.create_task(admission.public())
        await asyncio.sleep(0)
        cancelled.cancel()
    async with asyncio.timeout(0.05):
        await stays
    assert cancelled.cancelled()


async def test_too_many_keyed_requests_are_refused_and_leave_no_trace(admission: Admission) -> None:
    with admission.keyed(), admission.keyed():
        with (
            pytest.raises(Problem, match="2 requests are being answered") as refused,
            admission.keyed(),
        ):
            pass
        assert refused.value.status == 503
    with admission.keyed():
        pass
