"""What requests that share a call of the model may rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.concurrency.micro_batcher import CallCancelledError, MicroBatcher

pytestmark = pytest.mark.anyio

Row = npt.NDArray[np.float32]

ASKER = ContextVar("asker", default="nobody")


class Doubling:
    """Doubles numbers, one call at a time let through; remembers what each call was asked."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []
        self.failing: list[BaseException] = []
        self.under_way = self.most_under_way = 0
        self.asker = ""
        self._through = asyncio.Semaphore(0)

    def let_through(self, calls: int = 1) -> None:
        for _ in range(calls):
            self._through.release()

    async def __call__(self, rows: Sequence[Row]) -> list[float]:
        self.calls.append([float(row[0]) for row in rows])
        self.asker = ASKER.get()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._through.acquire()
        finally:
            self.under_way -= 1
        if self.failing:
            raise self.failing.pop()
        return [2 * float(row[0]) for row in rows]


def asking(together: MicroBatcher[Row, float], *numbers: float) -> list[asyncio.Task[float]]:
    return [asyncio.create_task(together.submit(np.array([n], np.float32))) for n in numbers]


async def a_moment() -> None:
    """Long enough for everything that can go on without a call's end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def submitted(
    together: MicroBatcher[Row, float], *numbers: float
) -> list[asyncio.Task[float]]:
    """What was asked a moment ago."""
    tasks = asking(together, *numbers)
    await a_moment()
    return tasks


async def answers(tasks: Sequence[asyncio.Task[float]]) -> list[float | BaseException]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_lone_row_is_asked_about_at_once() -> None:
    doubling = Doubling()
    doubling.let_through()
    assert await answers(asking(MicroBatcher(doubling), 3)) == [6]
    assert doubling.calls == [[3]]


async def test_rows_of_one_moment_share_a_call_and_each_gets_its_own_answer() -> None:
    doubling = Doubling()
    doubling.let_through()
    assert await answers(asking(MicroBatcher(doubling), 3, 1, 2)) == [6, 2, 4]
    assert doubling.calls == [[3, 1, 2]]


async def test_rows_that_come_during_a_call_wait_and_leave_as_one() -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling)
    tasks = await submitted(together, 1)
    tasks += await submitted(together, 2)
    tasks += await submitted(together, 3)
    assert doubling.calls == [[1]]
    doubling.let_through(2)
    assert await answers(tasks) == [2, 4, 6]
    assert doubling.calls == [[1], [2, 3]]


async def test_a_call_takes_64_rows_and_the_rest_leaves_with_the_next() -> None:
    doubling = Doubling()
    doubling.let_through(3)
    tasks = asking(MicroBatcher(doubling), *range(150))
    assert await answers(tasks) == [2 * n for n in range(150)]
    assert [len(call) for call in doubling.calls] == [64, 64, 22]
    assert [n for call in doubling.calls for n in call] == list(range(150))


async def test_no_more_calls_are_under_way_than_allowed() -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling, max_concurrency=2)
    tasks = []
    for number in range(5):
        tasks += await submitted(together, number)
    assert doubling.calls == [[0], [1]]
    doubling.let_through(3)
    assert await answers(tasks) == [0, 2, 4, 6, 8]
    assert doubling.calls == [[0], [1], [2, 3, 4]]
    assert doubling.most_under_way == 2


async def test_an_asker_that_leaves_during_the_call_takes_nobodys_answer_along() -> None:
    doubling = Doubling()
    tasks = await submitted(MicroBatcher(doubling), 1, 2, 3)
    tasks[0].cancel()  # the one whose asking began the call
    await a_moment()
    doubling.let_through()
    failure, *others = await answers(tasks)
    assert isinstance(failure, asyncio.CancelledError)
    assert others == [4, 6]


async def test_an_asker_that_leaves_before_its_call_is_not_asked_for() -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling)
    tasks = await submitted(together, 1)
    tasks += await submitted(together, 2, 3)
    tasks[1].cancel()
    await a_moment()
    doubling.let_through(2)
    first, failure, last = await answers(tasks)
    assert isinstance(failure, asyncio.CancelledError)
    assert (first, last) == (2, 6)
    assert doubling.calls == [[1], [3]]


async def test_nothing_is_called_for_when_all_that_waited_have_left() -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling)
    first = await submitted(together, 1)
    other_tasks = await submitted(together, 2, 3)
    for task in other_tasks:
        task.cancel()
    await a_moment()
    doubling.let_through(2)
    assert await answers(first) == [2]
    assert await answers(asking(together, 4)) == [8]
    assert doubling.calls == [[1], [4]]


async def test_a_failure_reaches_every_asker_and_the_next_call_works() -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling)
    doubling.failing = [ConnectionError("gone")]
    doubling.let_through(2)
    failed = await answers(asking(together, 1, 2, 3))
    assert [repr(error) for error in failed] == ["ConnectionError('gone')"] * 3
    assert await answers(asking(together, 4)) == [8]


async def test_a_failure_does_not_reach_those_that_wait_for_the_next_call() -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling)
    doubling.failing = [ConnectionError("gone")]
    tasks = await submitted(together, 1)
    tasks += await submitted(together, 2)
    doubling.let_through(2)
    failed, answered = await answers(tasks)
    assert isinstance(failed, ConnectionError)
    assert answered == 4


async def test_a_call_that_is_cancelled_from_outside_fails_its_askers_and_no_later_one() -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling)
    doubling.failing = [asyncio.CancelledError()]
    tasks = await submitted(together, 1, 2)
    tasks += await submitted(together, 3)
    doubling.let_through(2)
    *failed, answered = await answers(tasks)
    assert [type(error) for error in failed] == [CallCancelledError] * 2
    assert answered == 6


async def test_too_few_answers_fail_every_asker_instead_of_being_mixed_up() -> None:
    async def one_answer(rows: Sequence[Row]) -> list[float]:
        return [float(rows[-1][0])]

    failed = await answers(asking(MicroBatcher(one_answer), 1, 2))
    assert [type(error) for error in failed] == [ValueError] * 2


async def test_a_call_does_not_run_in_the_context_of_the_request_that_began_it() -> None:
    doubling = Doubling()
    doubling.let_through()
    together = MicroBatcher(doubling)
    ASKER.set("somebody")
    assert await answers(asking(together, 1)) == [2]
    assert doubling.asker == "nobody"


steps = st.lists(st.sampled_from(("ask", "ask", "ask many", "let through", "leave", "fail")))


@given(steps, st.integers(1, 3))
def test_everyone_that_stays_gets_its_own_answer_or_an_error(steps: list[str], most: int) -> None:
    asyncio.run(_everyone_is_answered(steps, most))


async def _everyone_is_answered(steps: Sequence[str], most: int) -> None:
    doubling = Doubling()
    together = MicroBatcher(doubling, max_concurrency=most)
    tasks: list[asyncio.Task[float]] = []
    left: set[int] = set()
    for step in steps:
        match step:
            case "ask" | "ask many":
                count = 1 if step == "ask" else 70
                tasks += asking(together, *range(len(tasks), len(tasks) + count))
            case "let through":
                doubling.let_through()
            case "leave" if tasks and tasks[-1].cancel():
                left.add(len(tasks) - 1)
            case "fail":
                doubling.failing.append(ConnectionError("gone"))
        await a_moment()
    doubling.let_through(1_000)
    for number, answer in enumerate(await answers(tasks)):
        if number in left:
            assert isinstance(answer, asyncio.CancelledError)
        else:
            assert isinstance(answer, ConnectionError) or answer == 2 * number
    assert doubling.most_under_way <= most
    numbers = [number for call in doubling.calls for number in call]
    assert len(numbers) == len(set(numbers))
