"""Schedules and work orders keep their promises on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from lib.maintenance.repository import (
    ClosedOrderError,
    OrderCloser,
    StoredSchedule,
    UnknownOrderError,
    WorkOrder,
    WorkOrderRepository,
)
from tests.records.conftest import NOVEMBER, SECOND
from tests.records.order_factories import work_order


@pytest.fixture
def book(opened):
    return opened(WorkOrderRepository)


def order(number: int) -> WorkOrder:
    return work_order(
        f"w-{number}",
        "w",
        starts_at=NOVEMBER + number * SECOND,
        ends_at=NOVEMBER + 9 * SECOND,
        expected={"saved": 1.5},
    )


def test_a_schedule_is_kept_once_and_its_orders_come_by_start(book):
    schedule = StoredSchedule(
        id="w",
        week_start=NOVEMBER,
        created_at=NOVEMBER,
        model_version="v",
        request={"a": [1, None]},
        plan={"b": 2.5},
    )
    assert book.insert_schedule(schedule, [order(3), order(1)])
    assert not book.insert_schedule(schedule, [order(5)])
    stored_schedule, orders = book.find_schedule("w")
    assert stored_schedule == schedule
    assert orders == [order(1), order(3)]
    assert [work_order.id for work_order in book.list_of_machine("m")] == ["w-3", "w-1"]
    closed, fresh = book.close_order("w-1", {"result": "done"}, NOVEMBER + SECOND)
    assert fresh
    assert closed.outcome == {"result": "done"}
    assert [work_order.id for work_order in book.list_closed(NOVEMBER, NOVEMBER + 2 * SECOND)] == [
        "w-1"
    ]
    assert book.list_closed(NOVEMBER, NOVEMBER + SECOND) == []


def test_who_closes_an_order_is_kept_once_with_it(book):
    schedule = StoredSchedule(
        id="w", week_start=NOVEMBER, created_at=NOVEMBER, model_version=None, request={},
        plan={"revision": 3},
    )  # fmt: skip
    book.insert_schedule(schedule, [order(1)])
    for name in ("ann", "bob"):
        book.close_order("w-1", {"result": "done"}, NOVEMBER + SECOND, OrderCloser(name, "ab"))
    (step,) = book.list_changes("w")
    assert (step.action, step.by, step.key_id, step.at) == ("close", "ann", "ab", NOVEMBER + SECOND)
    assert (step.revision, step.machine_id, step.component) == (3, "m", "machine")
    assert step.detail == {"order_id": "w-1", "result": "done"}


def test_what_is_not_there_is_said(book):
    with pytest.raises(UnknownOrderError, match="there is no schedule 'nothing'"):
        book.find_schedule("nothing")
    with pytest.raises(UnknownOrderError, match="there is no work order 'nothing'"):
        book.close_order("nothing", {}, NOVEMBER)


def at_once(*calls):
    """Results of calls that start together, an error as it is."""
    gate = Barrier(len(calls))

    def run(call):
        gate.wait()
        try:
            return call()
        except ClosedOrderError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def planned(name: str, number: int) -> tuple[StoredSchedule, list[WorkOrder]]:
    schedule = StoredSchedule(
        id=name,
        week_start=NOVEMBER,
        created_at=NOVEMBER,
        model_version="v",
        request={"by": number},
        plan={"by": number},
    )
    fields = {name: getattr(order(1), name) for name in WorkOrder.__dataclass_fields__}
    return schedule, [WorkOrder(**fields | {"id": f"{name}-{number}", "schedule_id": name})]


@pytest.mark.parametrize("round_", range(5))
def test_a_schedule_that_is_kept_twice_at_once_is_one_schedule(book, round_):
    name = f"s{round_}"
    fresh = at_once(*(lambda n=n: book.insert_schedule(*planned(name, n)) for n in range(4)))
    assert sorted(fresh) == [False, False, False, True]
    schedule, orders = book.find_schedule(name)
    assert [work_order.id for work_order in orders] == [f"{name}-{schedule.plan['by']}"]


def test_of_outcomes_at_once_one_closes_an_order(book):
    for number in range(20):
        schedule, orders = planned(f"o{number}", 1)
        book.insert_schedule(schedule, orders)
        (name,) = (work_order.id for work_order in orders)
        results = at_once(
            *(
                lambda name=name, cost=cost: book.close_order(name, {"cost": cost}, NOVEMBER + cost)
                for cost in (1, 2, 3)
            )
        )
        closed = [result for result in results if not isinstance(result, ClosedOrderError)]
        assert len(closed) == 1
        ((kept, fresh),) = closed
        assert fresh
        assert book.find_schedule(schedule.id)[1] == [kept]


def test_the_same_outcome_at_once_closes_an_order_once(book):
    for number in range(10):
        schedule, orders = planned(f"e{number}", 1)
        book.insert_schedule(schedule, orders)
        call = lambda name=orders[0].id: book.close_order(name, {"result": "done"}, NOVEMBER)  # noqa: E731
        results = at_once(call, call, call)
        assert sorted(fresh for _, fresh in results) == [False, False, True]
