"""Planned weeks changed over HTTP: previewed, made once, solved again; outcomes followed."""

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lib.maintenance.order_outcome import Outcome, close_with
from lib.maintenance.repository import OrderCloser
from tests.maintenance.small_fleet import monday
from tests.serve.application import iso
from tests.serve.maintenance_app import planning, schedule_request

pytestmark = pytest.mark.anyio
MINUTE = 60_000_000
ANN = OrderCloser("ann", "ab")


@pytest.fixture
async def app(small_fleet, tmp_path, at):
    async with planning(small_fleet, tmp_path / "a", at) as running:
        yield running


async def planned(app: Any, at: int, **changes: Any) -> tuple[str, dict[str, Any]]:
    """A week's id, and the order of a machine that must be served."""
    crews = [{"skill": "mechanical", "shifts": {"06-14": 4}}]
    request = schedule_request(at, must_serve=["M00003"], crews=crews, **changes)
    answer = await app.post("schedules", request)
    order = next(order for order in answer["orders"] if order["machine_id"] == "M00003")
    return answer["schedule_id"], order


def change_of(order: dict[str, Any], action: str, **fields: Any) -> dict[str, Any]:
    names = {"machine_id": order["machine_id"], "component": order["component"]}
    return {"action": action, "revision": 0, "author": "ann", **names, **fields}


def later(order: dict[str, Any], **step: float) -> str:
    return (datetime.fromisoformat(order["starts_at"]) + timedelta(**step)).isoformat()


async def test_a_preview_says_what_a_move_costs_and_changes_nothing(app, at):
    name, order = await planned(app, at)
    move = change_of(order, "move", start=later(order, days=2))
    before = await app.get(f"schedules/{name}")
    preview = await app.post(f"schedules/{name}/change", {**move, "preview": True})
    after = await app.get(f"schedules/{name}")
    changed_once = await app.post(f"schedules/{name}/change", move)
    assert (preview["preview"], preview["broken"], preview["revision"]) == (True, [], 0)
    assert preview["start_after"] == changed_once["start_after"]
    assert {**before, "request_id": ""} == {**after, "request_id": ""}
    changed = await app.get(f"schedules/{name}")
    added = changed_once["cost_after"] - changed_once["cost_before"]
    assert added == pytest.approx(preview["cost_after"] - preview["cost_before"])
    assert changed["cost"] - before["cost"] == pytest.approx(added)
    assert before["saved"] - changed["saved"] == pytest.approx(added)
    assert (changed["revision"], changed["repeated"]) == (1, False)


async def test_a_moved_service_is_at_its_new_time_in_orders_calendar_and_csv(app, at):
    name, order = await planned(app, at)
    start = later(order, days=1)
    await app.post(f"schedules/{name}/change", change_of(order, "move", start=start))
    machine = await app.get("machines/M00003")
    (moved,) = [each for each in machine["orders"] if each["order_id"] == order["order_id"]]
    assert datetime.fromisoformat(moved["starts_at"]) == datetime.fromisoformat(start)
    calendar = await app.client.get(f"/maintenance/schedules/{name}/calendar.ics")
    (event,) = [
        event
        for event in calendar.text.split("BEGIN:VEVENT")
        if f"Service M00003 {order['component']}" in event
    ]
    assert f"DTSTART:{datetime.fromisoformat(start):%Y%m%dT%H%M%SZ}" in event
    plan = await app.client.get(f"/maintenance/schedules/{name}/plan.csv")
    assert datetime.fromisoformat(start).isoformat() in plan.text
    schedule = await app.get(f"schedules/{name}")
    assert [lock["machine_id"] for lock in schedule["locks"]] == ["M00003"]


async def test_the_same_change_is_made_once_in_turn_and_at_once(app, at):
    name, order = await planned(app, at)
    move = change_of(order, "move", start=later(order, days=1))
    headers = {"X-Request-ID": "move-1"}
    path = f"/maintenance/schedules/{name}/change"
    sent = [app.client.post(path, json=move, headers=headers) for _ in range(3)]
    answers = [answer.json() for answer in await asyncio.gather(*sent)]
    answers.append((await app.client.post(path, json=move, headers=headers)).json())
    assert sorted(answer["repeated"] for answer in answers) == [False, True, True, True]
    assert {answer["revision"] for answer in answers} == {1}
    named = {**move, "revision": 1, "change_id": answers[0]["change_id"], "action": "lock"}
    del named["start"]
    refused = await app.post(f"schedules/{name}/change", named, 409)
    assert "another change" in refused["detail"]


async def test_of_two_changes_of_one_revision_one_is_made(app, at):
    name, order = await planned(app, at)
    path = f"/maintenance/schedules/{name}/change"
    moves = [change_of(order, "move", start=later(order, days=day)) for day in (1, 2)]
    answers = await asyncio.gather(*(app.client.post(path, json=move) for move in moves))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    stale = await app.post(f"schedules/{name}/change", change_of(order, "lock"), 409)
    assert stale["type"] == "urn:forewarn:stale"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"action": "drop"}, 422, "must be served this week"),
        ({"action": "move"}, 422, "expected a start"),
        ({"action": "lock", "start": "monday"}, 422, "no start for"),
        ({"action": "move", "start": "2099-01-01T00:00:00Z"}, 422, "a whole hour from"),
        ({"action": "move", "start": "night"}, 422, "not enough"),
        ({"action": "lock", "machine_id": "nobody"}, 422, "of this schedule"),
        ({"action": "explode"}, 422, "action"),
        ({"action": "lock", "revision": 3}, 409, "changed meanwhile"),
        ({"action": "lock", "author": ""}, 422, "author"),
    ],
)
async def test_a_change_that_cannot_be_made_is_refused(app, at, fields, status, words):
    name, order = await planned(app, at)
    times = {"monday": monday(at), "night": monday(at) + timedelta(hours=23)}
    start = fields.get("start")
    if start in times:
        fields = {**fields, "start": times[start].isoformat()}
    body = {**change_of(order, "lock"), **fields}
    answer = await app.post(f"schedules/{name}/change", body, status)
    assert words in answer["detail"]
    assert (await app.get(f"schedules/{name}"))["revision"] == 0


async def test_a_closed_service_stays_and_an_unknown_week_is_not_found(app, at):
    name, order = await planned(app, at)
    outcome = {"result": "done", "event_time": iso(at - MINUTE)}
    await app.post(f"work_orders/{order['order_id']}/outcome", outcome)
    answer = await app.post(f"schedules/{name}/change", change_of(order, "lock"), 409)
    assert answer["type"] == "urn:forewarn:not-changeable"
    await app.post("schedules/none/change", change_of(order, "lock"), 404)


async def test_a_week_that_cannot_be_read_again_is_not_solved_again(app, at):
    name, _ = await planned(app, at)
    repository = app.service.orders.repository
    schedule, basis = repository.find_schedule(name)[0], repository.find_basis(name)
    plan = {key: value for key, value in schedule.plan.items() if key != "sites"}
    repository.insert_schedule(replace(schedule, id="old", plan=plan), [], basis)
    refused = await app.post("schedules/old/solve", {"revision": 0, "author": "ann"}, 409)
    assert refused["type"] == "urn:forewarn:not-changeable"
    assert "plan the week again" in refused["detail"]


async def test_solving_again_keeps_what_people_locked_and_is_done_once(app, at):
    name, order = await planned(app, at)
    start = later(order, days=2)
    await app.post(f"schedules/{name}/change", change_of(order, "move", start=start))
    body = {"revision": 1, "author": "bob", "change_id": "again", "reason": "it rains"}
    solved = await app.post(f"schedules/{name}/solve", body)
    again = await app.post(f"schedules/{name}/solve", body)
    kept = [each for each in solved["orders"] if each["order_id"] == order["order_id"]]
    assert [datetime.fromisoformat(each["starts_at"]) for each in kept] == [
        datetime.fromisoformat(start)
    ]
    assert (solved["revision"], solved["repeated"], again["repeated"]) == (2, False, True)
    accepted = await app.post(f"schedules/{name}/accept", {"revision": 2, "author": "ann"})
    assert (accepted["accepted_by"], accepted["accepted_revision"]) == ("ann", 2)
    changes = app.service.orders.repository.list_changes(name)
    assert {(change.by, change.action) for change in changes} == {
        ("ann", "move"), ("bob", "solve"), ("ann", "accept"),
    }  # fmt: skip
    assert all(re.fullmatch("[0-9a-f]{12}", change.key_id) for change in changes)


async def test_an_outcome_that_was_reported_at_this_replica_is_not_followed_again(app, at):
    _, order = await planned(app, at)
    outcome = {"result": "done", "event_time": iso(at - MINUTE)}
    await app.post(f"work_orders/{order['order_id']}/outcome", outcome)
    assert await app.service.orders.follow_closed() == 0


async def test_an_outcome_that_took_effect_before_writes_nothing(app, at):
    _, order = await planned(app, at)
    outcome = {"result": "done", "event_time": iso(at - MINUTE)}
    machines = app.service.machines._store
    path = f"work_orders/{order['order_id']}/outcome"
    await app.post(path, outcome)
    before = await machines.read("M00003")
    assert (await app.post(path, outcome))["repeated"]
    assert await machines.read("M00003") == before


async def test_an_outcome_that_cannot_be_read_holds_up_no_other(app, at):
    _, first = await planned(app, at)
    _, second = await planned(app, at)
    orders, repository = app.service.orders, app.service.orders.repository
    done = Outcome.model_validate({"result": "done", "event_time": iso(at - MINUTE)})
    repository.close_order(first["order_id"], {"result": "forgotten"}, at - 1)
    close_with(repository, second["order_id"], done, at, at, ANN)
    assert [await orders.follow_closed(), await orders.follow_closed()] == [1, 0]


async def test_an_outcome_that_cannot_take_effect_holds_up_no_other(app, at, tmp_path):
    _, first = await planned(app, at)
    _, second = await planned(app, at)
    orders, repository = app.service.orders, app.service.orders.repository
    done = Outcome.model_validate({"result": "done", "event_time": iso(at - MINUTE)})
    failure = {"result": "failed_before", "failure_mode": "seal", "failed_at": done.event_time}
    failed = done.model_copy(update=failure)
    close_with(repository, first["order_id"], failed, at - 1, at, ANN)
    close_with(repository, second["order_id"], done, at, at, ANN)
    with closing(sqlite3.connect(tmp_path / "a" / "records.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")  # labels cannot be written meanwhile
        assert await orders.follow_closed() == 1
    assert [await orders.follow_closed(), await orders.follow_closed()] == [1, 0]
    assert len(await app.service.decision_store.labels("M00003")) == 1


async def test_outcomes_that_were_reported_elsewhere_take_effect_once(app, at):
    _, order = await planned(app, at)
    repository, orders = app.service.orders.repository, app.service.orders
    outcome = Outcome.model_validate(
        {
            "result": "failed_before", "event_time": iso(at - MINUTE), "failure_mode": "seal",
            "failed_at": iso(at - 60 * MINUTE),
        }
    )  # fmt: skip
    close_with(repository, order["order_id"], outcome, at, at, ANN)
    assert [await orders.follow_closed(), await orders.follow_closed()] == [1, 0]
    machine = await app.get("machines/M00003")
    assert machine["hours_since_service"][order["component"]] == 0.0
    facts = await app.service.decision_store.labels("M00003")
    assert [(fact.kind, fact.observed_at, fact.source) for fact in facts] == [
        ("failure", at - 60 * MINUTE, "work_order")
    ]
