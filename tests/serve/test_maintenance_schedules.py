"""Weeks planned over HTTP, and outcomes of work orders that feed back."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.maintenance.small_fleet import monday, week
from tests.serve.application import iso
from tests.serve.maintenance_app import MACHINES, planning, schedule_request

pytestmark = pytest.mark.anyio
MINUTE, HOUR = 60_000_000, 3_600_000_000


@pytest.fixture
async def app(small_fleet, tmp_path, at):
    async with planning(small_fleet, tmp_path / "a", at) as running:
        yield running


async def test_a_week_is_planned_kept_and_exported(app, at):
    answer = await app.post("schedules", schedule_request(at, must_serve=["M00003"]))
    again = await app.get(f"schedules/{answer['schedule_id']}")
    assert again["orders"] == answer["orders"]
    assert answer["finished"]
    # plain assignment keeps no constraint, so it may be cheaper
    assert answer["cost"] <= answer["other_plans"]["greedy"] + 1e-6
    served = [order for order in answer["orders"] if order["machine_id"] == "M00003"]
    assert len(served) >= 1
    begins = datetime.fromisoformat(served[0]["starts_at"])
    assert 6 <= begins.hour <= 10
    calendar = await app.client.get(f"/maintenance/schedules/{answer['schedule_id']}/calendar.ics")
    assert calendar.text.count("BEGIN:VEVENT") == len(answer["orders"])
    plan = await app.client.get(f"/maintenance/schedules/{answer['schedule_id']}/plan.csv")
    assert len(plan.text.splitlines()) == len(answer["orders"]) + 1
    machine = await app.get("machines/M00003")
    assert {order["order_id"] for order in machine["orders"]} == {
        order["order_id"] for order in served
    }


async def test_a_lock_is_kept_and_a_refusal_too(app, at):
    start = (monday(at) + timedelta(days=2, hours=7)).isoformat()
    locks = [
        {"machine_id": "M00001", "component": "seal", "start": start},
        {"machine_id": "M00001", "component": "bearing", "start": None},
    ]
    answer = await app.post("schedules", schedule_request(at, locks=locks))
    own_orders = [order for order in answer["orders"] if order["machine_id"] == "M00001"]
    assert [
        (order["component"], datetime.fromisoformat(order["starts_at"])) for order in own_orders
    ] == [("seal", datetime.fromisoformat(start))]


async def test_a_machine_that_nobody_told_of_is_planned_by_what_is_usual_and_named(app, at):
    answer = await app.post("schedules", schedule_request(at, machines=[*MACHINES, "new"]))
    assert answer["without_history"] == ["new"]


async def test_an_outcome_feeds_back_once(app, at):
    answer = await app.post("schedules", schedule_request(at, must_serve=["M00003"]))
    order = next(candidate for candidate in answer["orders"] if candidate["machine_id"] == "M00003")
    before = (await app.get("machines/M00003"))["hours_since_service"][order["component"]]
    outcome = {"result": "done", "event_time": iso(at - MINUTE), "cost": 380, "downtime_hours": 3.5}
    path = f"work_orders/{order['order_id']}/outcome"
    first = await app.post(path, outcome)
    again = await app.post(path, outcome)
    other = await app.post(path, {**outcome, "cost": 1}, 409)
    machine = await app.get("machines/M00003")
    predicted = await app.post("predict", {"machine_id": "M00003", "at": iso(at)})
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["order"]["outcome"]["cost"] == 380
    assert "a different outcome" in other["detail"]
    steps = app.service.orders.repository.list_changes(answer["schedule_id"])
    assert [(step.action, step.detail["order_id"]) for step in steps] == [
        ("close", order["order_id"])
    ]
    assert steps[0].by == steps[0].key_id != ""
    assert before is None or before > 1.0
    assert machine["hours_since_service"][order["component"]] == 0.0
    assert predicted["failure_within"]["7d"] is not None


async def test_the_same_request_is_planned_once_in_turn_and_at_once(app, at):
    body = schedule_request(at, must_serve=["M00003"])
    headers = {"X-Request-ID": "week-1"}
    sent = [app.client.post("/maintenance/schedules", json=body, headers=headers) for _ in range(3)]
    answers = [response.json() for response in await asyncio.gather(*sent)]
    again = await app.client.post("/maintenance/schedules", json=body, headers=headers)
    answers.append(again.json())
    assert len({answer["schedule_id"] for answer in answers}) == 1
    assert sum(not answer["repeated"] for answer in answers) == 1
    assert all(answer["orders"] == answers[0]["orders"] for answer in answers)
    machine = await app.get("machines/M00003")
    ids = {order["order_id"] for order in answers[0]["orders"] if order["machine_id"] == "M00003"}
    assert {order["order_id"] for order in machine["orders"]} == ids
    other = schedule_request(at)
    differs = await app.client.post("/maintenance/schedules", json=other, headers=headers)
    assert differs.json()["schedule_id"] != answers[0]["schedule_id"]


async def test_a_schedule_is_named_by_its_caller(app, at):
    body = schedule_request(at) | {"schedule_id": "week 28/north"}
    first = await app.post("schedules", body)
    again = await app.post("schedules", body)
    refused = await app.post(
        "schedules", schedule_request(at, budget=1) | {"schedule_id": "week 28/north"}, 409
    )
    assert (first["schedule_id"], first["repeated"]) == ("week 28/north", False)
    assert again["repeated"]
    assert again["orders"] == first["orders"]
    assert "another request" in refused["detail"]
    assert (await app.get("schedules/week%2028%2Fnorth"))["orders"] == first["orders"]


async def test_of_two_outcomes_at_once_one_counts(app, at):
    answer = await app.post("schedules", schedule_request(at, must_serve=["M00003"]))
    order = next(candidate for candidate in answer["orders"] if candidate["machine_id"] == "M00003")
    path = f"/maintenance/work_orders/{order['order_id']}/outcome"
    outcomes = [
        {"result": "done", "event_time": iso(at - minutes * MINUTE), "cost": minutes}
        for minutes in (1, 120)
    ]
    answers = await asyncio.gather(*(app.client.post(path, json=outcome) for outcome in outcomes))
    assert sorted(response.status_code for response in answers) == [200, 409]
    closed = next(response.json() for response in answers if response.status_code == 200)
    assert not closed["repeated"]
    # the other one's service is not in the machine's features
    hours = (await app.get("machines/M00003"))["hours_since_service"][order["component"]]
    minutes = closed["order"]["outcome"]["cost"]
    assert hours == pytest.approx((minutes - 1) / 60, abs=0.02)


@pytest.mark.parametrize("name", ["cost", "downtime_hours"])
@pytest.mark.parametrize("value", ["Infinity", "NaN", "1e999", "-1"])
async def test_an_outcome_of_no_finite_cost_is_refused(app, at, name, value):
    body = f'{{"result": "done", "event_time": "{iso(at - MINUTE)}", "{name}": {value}}}'
    answer = await app.post("work_orders/x-1/outcome", body, 422)
    assert answer["errors"][0]["field"] in (name, "body")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("week.crews.0.shifts.06-14", 10**30),
        ("week.crews.0.shifts.06-14", -1),
        ("week.crews.0.plant", "a\0b"),
        ("week.crews.0.skill", "s" * 600),
        ("week.work.bearing.crew", 10**30),
        ("week.work.bearing.skill", "s" * 600),
        ("week.work.bearing.parts.seal ring", -1),
        ("week.work.bearing.service_cost", 1e300),
        ("week.work.bearing.failures_per_year", 1e300),
        ("week.parts.seal ring", -1),
        ("week.parts.seal ring", 10**30),
        ("week.production.06-22", "NaN"),
        ("week.production.06-22", "Infinity"),
        ("week.production.06-22", -1),
        ("week.line_minimum.l", 10**30),
        ("week.budget", "Infinity"),
        ("week.must_serve.0", "\0"),
        ("week.currency", "\0"),
        ("machines.0.plant", "a\0b"),
        ("machines.0.line", "l" * 600),
        ("schedule_id", "\0"),
        ("schedule_id", ".."),
    ],
)
async def test_what_no_layer_can_hold_is_refused_by_field(app, at, path, value):
    body: Any = schedule_request(at)
    *above, last = path.split(".")
    inner = body
    for key in above:
        if isinstance(inner, list):
            inner = inner[int(key)]
        else:
            inner = inner.setdefault(key, [] if key == "must_serve" else {})
    text = json.dumps(value) if value not in ("NaN", "Infinity") else value
    if isinstance(inner, list):
        inner.append("@")
    else:
        inner[last] = "@"
    answer = await app.post("schedules", json.dumps(body).replace('"@"', text), 422)
    fields = [error["field"] for error in answer["errors"]]
    assert any(field.startswith(path) or field == "body" for field in fields), answer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": "2025-07-08T00:00:00Z"}, "expected a Monday"),
        ({"start": "2025-07-07T00:00:00"}, "expected a time zone"),
        ({"crews": []}, "at least 1"),
        ({"budget": -1}, "greater than or equal to 0"),
        ({"must_serve": ["nobody"]}, "unknown machine 'nobody'"),
        ({"line_minimum": {"other": 1}}, "unknown line 'other'"),
        ({"work": {"belt": None}}, "work.belt"),
        ({"unknown": 1}, "unknown field"),
    ],
)
async def test_a_week_that_cannot_be_meant_is_refused_by_field(app, at, change, words):
    answer = await app.post("schedules", schedule_request(at, **change), 422)
    assert words in answer["detail"]


async def test_a_component_that_the_model_does_not_know_is_refused(app, at):
    work = week(at)["work"]
    answer = await app.post("schedules", schedule_request(at, work={"belt": work["seal"]}), 422)
    assert "no such failure mode" in answer["detail"]


async def test_an_infeasible_week_says_what_to_relax(app, at):
    answer = await app.post("schedules", schedule_request(at, must_serve=MACHINES, budget=900), 422)
    assert answer["type"] == "urn:forewarn:infeasible-week"
    assert "budget" in answer["detail"]
    assert answer["errors"]


async def test_a_week_that_has_begun_is_refused(app, at):
    early = monday(at) - timedelta(days=14)
    answer = await app.post("schedules", schedule_request(at, start=early.isoformat()), 422)
    assert answer["errors"][0]["field"] == "week.start"
    assert "plan the next week" in answer["detail"]


async def test_unknown_schedules_and_orders_are_not_found(app, at):
    assert "no schedule" in (await app.get("schedules/none", 404))["detail"]
    outcome = {"result": "not_done", "event_time": iso(at - HOUR)}
    assert "no work order" in (await app.post("work_orders/none/outcome", outcome, 404))["detail"]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"result": "finished"}, "result"),
        ({"result": "failed_before"}, "failed_at and failure_mode"),
        ({"result": "done", "component": "belt"}, "unknown component"),
        ({"result": "done", "event_time": "2099-01-01T00:00:00Z"}, "is not in the future"),
    ],
)
async def test_an_outcome_that_cannot_be_meant_is_refused(app, at, outcome, words):
    answer = await app.post("schedules", schedule_request(at, must_serve=["M00003"]))
    path = f"work_orders/{answer['orders'][0]['order_id']}/outcome"
    refused = await app.post(path, {"event_time": iso(at - HOUR)} | outcome, 422)
    assert words in refused["detail"]
