"""Schedules and work orders keep their promises on SQLite and on PostgreSQL."""

import pytest

from lib.records import StoredSchedule, UnknownOrderError, WorkOrder, WorkOrders
from tests.records.conftest import NOVEMBER, SECOND


@pytest.fixture
def book(url):
    found = WorkOrders(url)
    found.migrate()
    yield found
    found.close()


def order(number: int) -> WorkOrder:
    return WorkOrder(
        id=f"w-{number}", schedule_id="w", machine_id="m", component=None, plant="", line="",
        skill="s", starts_at=NOVEMBER + number * SECOND, ends_at=NOVEMBER + 9 * SECOND,
        expected={"saved": 1.5}, created_at=NOVEMBER,
    )  # fmt: skip


def test_a_schedule_is_kept_once_and_its_orders_come_by_start(book):
    schedule = StoredSchedule(
        id="w", week_start=NOVEMBER, created_at=NOVEMBER, model_version="v",
        request={"a": [1, None]}, plan={"b": 2.5},
    )  # fmt: skip
    assert book.keep(schedule, [order(3), order(1)])
    assert not book.keep(schedule, [order(5)])
    found, orders = book.schedule("w")
    assert found == schedule
    assert orders == [order(1), order(3)]
    assert [one.id for one in book.of_machine("m")] == ["w-3", "w-1"]
    closed, fresh = book.settle("w-1", {"result": "done"}, NOVEMBER + SECOND)
    assert fresh
    assert closed.outcome == {"result": "done"}
    assert [one.id for one in book.told(NOVEMBER, NOVEMBER + 2 * SECOND)] == ["w-1"]
    assert book.told(NOVEMBER, NOVEMBER + SECOND) == []


def test_what_is_not_there_is_said(book):
    for look in (book.schedule, book.order):
        with pytest.raises(UnknownOrderError, match="there is no"):
            look("nothing")
