"""Changes of schedules keep their promises on SQLite and on PostgreSQL."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sqlalchemy import event

from lib.maintenance.repository import (
    RepeatedChangeError,
    StaleScheduleError,
    UnknownOrderError,
    WorkOrderRepository,
)
from lib.maintenance.schedule.change import change_service
from lib.maintenance.schedule.costs import cost_of
from lib.maintenance.schedule.planned_week import load_week
from lib.maintenance.schedule.revision import (
    Revision,
    ServiceChange,
    accept_schedule,
    make_change,
)
from lib.maintenance.schedule.week_problem import Named
from tests.console.seeded_fleet import SCHEDULE, machine_ids, plan_week
from tests.records.conftest import NOVEMBER

DROP = ServiceChange(action="drop", name=Named("pump t12", "bearing"))


@pytest.fixture
def repository(opened):
    weeks = opened(WorkOrderRepository)
    plan_week(SimpleNamespace(records=weeks), SCHEDULE, machine_ids("t{}".format))
    return weeks


def revision(number: int, change_id: str) -> Revision:
    return Revision(
        schedule_id=SCHEDULE, revision=number, change_id=change_id, by="ann",
        key_id="0123456789ab", at=NOVEMBER,
    )  # fmt: skip


def test_a_service_that_is_dropped_and_brought_back_is_as_it_was(repository):
    planned = {order.id: order for order in repository.find_schedule(SCHEDULE)[1]}
    first = next(
        order
        for order in planned.values()
        if (order.machine_id, order.component) == ("pump t12", "bearing")
    )
    make_change(repository, revision(0, "1"), DROP)
    assert first.id not in {order.id for order in repository.find_schedule(SCHEDULE)[1]}
    back = ServiceChange(action="move", name=DROP.name, start_at=first.starts_at)
    _, fresh = make_change(repository, revision(1, "2"), back)
    _, again = make_change(repository, revision(1, "2"), back)
    assert (fresh, again) == (True, False)
    stored, orders = repository.find_schedule(SCHEDULE)
    assert {order.id: order for order in orders} == planned
    problem = load_week(repository, SCHEDULE).problem
    assert stored.plan["cost"] == pytest.approx(cost_of(problem, stored.plan["starts"]))
    changes = {change.action: change for change in repository.list_changes(SCHEDULE)}
    assert (changes["drop"].before, changes["drop"].after) == (first.starts_at, None)
    assert (changes["move"].before, changes["move"].after) == (None, first.starts_at)


def test_of_changes_of_one_revision_at_once_one_is_made(repository):
    def change(number: int) -> object:
        try:
            return make_change(repository, revision(0, f"c{number}"), DROP)
        except StaleScheduleError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(change, range(4)))
    assert sum(not isinstance(result, StaleScheduleError) for result in results) == 1
    assert len(repository.list_changes(SCHEDULE)) == 1
    assert repository.find_schedule(SCHEDULE)[0].revision == 1


@pytest.mark.parametrize("action", ["drop", "move"])
def test_an_order_that_is_closed_while_its_service_is_changed_stays_as_it_is(
    repository, url, action
):
    order = next(
        order
        for order in repository.find_schedule(SCHEDULE)[1]
        if (order.machine_id, order.component) == DROP.name
    )
    start = None if action == "drop" else free_start(repository)
    asks = replace(DROP, action=action, start_at=start)
    closings: list[Future] = []
    with WorkOrderRepository(url) as other, ThreadPoolExecutor(1) as pool:

        def close_meanwhile(connection, _cursor, statement, *_):
            is_change = connection.get_execution_options().get("forewarn_write")
            if is_change and "FROM work_orders" in statement and not closings:
                closings.append(pool.submit(close, other, order.id))
                wait(closings, timeout=0.5)

        event.listen(repository._database._engine, "after_cursor_execute", close_meanwhile)
        assert make_change(repository, revision(0, "c"), asks)[1]
        (closed,) = (closing.result(timeout=10) for closing in closings)
    orders = {each.id: each for each in repository.find_schedule(SCHEDULE)[1]}
    assert orders.get(order.id) == closed


def free_start(repository: WorkOrderRepository) -> int:
    """Another start at which the service that is changed breaks no constraint."""
    week = load_week(repository, SCHEDULE)
    planned = week.time_of(int(week.starts[week.number_of(DROP.name)]))
    return next(
        week.time_of(slot)
        for slot in range(160)
        if week.time_of(slot) != planned
        and not change_service(week, "move", DROP.name, week.time_of(slot), NOVEMBER).broken
    )


def close(orders: WorkOrderRepository, order_id: str):
    """The order as it was closed; None where a change removed it before."""
    try:
        return orders.close_order(order_id, {"result": "done"}, NOVEMBER)[0]
    except UnknownOrderError:
        return None


def test_an_id_of_another_change_is_refused_and_an_unknown_week_too(repository):
    make_change(repository, revision(0, "same"), DROP)
    with pytest.raises(RepeatedChangeError, match="names another change"):
        make_change(repository, revision(1, "same"), replace(DROP, action="unlock"))
    unknown = replace(revision(0, "x"), schedule_id="none")
    with pytest.raises(UnknownOrderError, match="no schedule"):
        make_change(repository, unknown, DROP)


def test_a_week_is_accepted_as_it_is_and_a_later_change_shows(repository):
    accept_schedule(repository, revision(0, "yes"))
    accepted = repository.find_schedule(SCHEDULE)[0]
    assert accepted.plan["accepted"] == {"by": "ann", "at": NOVEMBER, "revision": 0}
    make_change(repository, revision(0, "no"), DROP)
    changed = repository.find_schedule(SCHEDULE)[0]
    assert (changed.revision, changed.plan["accepted"]) == (1, accepted.plan["accepted"])
