"""Days planned over HTTP, outcomes taken in, effects told, everything stopped by a switch."""

import asyncio
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lib.churn.intervention_repository import StoredPlan
from lib.churn.interventions.daily import is_held_out
from lib.churn.interventions.playbooks import PLAYBOOKS_FILE
from lib.churn.model.scores import NOTE, scores_table
from lib.feature import DAY
from tests.churn.small_model import rows, trained
from tests.records.customer_factories import intervention
from tests.serve.application import iso
from tests.serve.churn_app import NOW, churn, published, stayers

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
LIMITS = {"hours": 12, "budget": 3000}


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Path:
    """What the nightly job leaves: everybody at the newest moment."""
    folder = tmp_path_factory.mktemp("scores")
    (folder / "data").mkdir()
    everybody = rows()[1]
    newest = everybody.take(everybody.at_us == everybody.at_us.max())
    pq.write_table(scores_table(trained(), newest), folder / "data" / "part.parquet")
    note = {"as_of": iso(int(newest.at_us[0])), "model_version": "v1", "window_days": 60}
    (folder / NOTE).write_text(json.dumps(note))
    return folder


async def test_a_day_is_planned_from_nightly_scores_within_its_limits(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        plan = await app.post("interventions/plan", {**LIMITS, "plan_id": "monday"})
        again = await app.post("interventions/plan", {**LIMITS, "plan_id": "monday"})
        next_one = await app.post("interventions/plan", LIMITS)
        stored_plan = await app.get("interventions/plans/monday")
        _, chosen = app.service.interventions.repository.find_plan("monday")
        customer = await app.post("interventions/plan", {**LIMITS, "most": 1})
    same = {key: value for key, value in plan.items() if key != "request_id"}
    for other in (again, stored_plan):
        assert {key: value for key, value in other.items() if key != "request_id"} == same
    assert plan["hours"] <= 12
    assert plan["cost"] <= 3000
    assert plan["interventions"]
    assert plan["value"] >= plan["other_ways"]["highest risk first"]
    held_out = {intervention.customer_id for intervention in chosen if intervention.held_out}
    assert len(held_out) == plan["held_out"]
    assert held_out == {
        intervention.customer_id
        for intervention in chosen
        if is_held_out(intervention.customer_id, 0.1, "churn")
    }
    assert held_out.isdisjoint(
        intervention["customer_id"] for intervention in plan["interventions"]
    )
    assert {intervention.propensity for intervention in chosen} == {0.9}
    # cool-downs: who was chosen on one plan is not chosen for the same on the next
    pairs = {(intervention.customer_id, intervention.playbook) for intervention in chosen}
    assert pairs.isdisjoint(
        (intervention["customer_id"], intervention["playbook"])
        for intervention in next_one["interventions"]
    )
    assert len(customer["interventions"]) + customer["held_out"] <= 1


async def test_outcomes_come_back_and_effects_say_how_sure_they_are(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        plan = await app.post("interventions/plan", LIMITS)
        first = plan["interventions"][0]["intervention_id"]
        outcome = {
            "intervention_id": first,
            "delivered": True,
            "left": False,
            "observed_at": iso(NOW),
        }
        assert (await app.post("outcomes", outcome))["new"] == 2
        assert (await app.post("outcomes", [outcome]))["repeated"] == 2
        answer = await app.post("outcomes", {**outcome, "left": True}, 409)
        assert "left was False" in answer["detail"]
        effects = await app.get("interventions/effects")
    assert (effects["effects"], effects["known"]) == ({}, 1)
    assert "too few" in effects["words"]


async def test_effects_are_estimated_and_revise_the_next_plan(registry, scores, tmp_path):
    long_ago = NOW - 100 * DAY
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        chosen = [
            intervention(
                k,
                id=f"old-{k}",
                plan_id="old",
                playbook="success_call",
                planned_at=long_ago,
                held_out=k % 2 == 0,
                propensity=0.5,
                chance=0.5,
            )
            for k in range(400)
        ]
        old = StoredPlan(id="old", planned_at=long_ago, created_at=long_ago, request={}, summary={})
        app.service.interventions.repository.insert_plan(old, chosen)
        # half of those who are left alone leave, as foreseen; of the others one in ten
        leavers = [k for k in range(400) if k % 4 == 0 or k % 20 == 1]
        outcomes = [
            {"intervention_id": f"old-{k}", "left": True, "observed_at": iso(NOW - 50 * DAY)}
            for k in leavers
        ]
        await app.post("outcomes", outcomes)
        effects = await app.get("interventions/effects")
        plan = await app.post("interventions/plan", LIMITS)
    effect = effects["effects"]["success_call"]
    assert effect["fall"] == pytest.approx(0.4, abs=0.01)
    assert effect["shown"]
    assert (effect["treated"], effect["held_out"]) == (200, 200)
    assert plan["effects"]["success_call"] > 0.5  # assumed 0.15


async def test_notice_settles_what_was_planned(registry, tmp_path):
    name = stayers(1)[0]
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.tell([name])
        planned = NOW - 20 * DAY
        chosen = intervention(
            0, customer_id=name, playbook="success_call", planned_at=planned, chance=0.2
        )
        plan = StoredPlan(id="p", planned_at=planned, created_at=planned, request={}, summary={})
        app.service.interventions.repository.insert_plan(plan, [chosen])
        notice = {"customer_id": name, "event_time": iso(NOW - DAY)}
        for _ in range(2):
            await app.post("events", {"churn": [notice]})
        outcomes = app.service.interventions.repository.list_outcomes()
    assert [(outcome.intervention_id, outcome.kind, outcome.value) for outcome in outcomes] == [
        ("p-0", "left", True)
    ]


async def test_everything_is_stopped_by_a_switch_and_bad_playbooks_change_nothing(
    registry, scores, tmp_path
):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        await app.service.reconfigure({"interventions": False})
        off = await app.post("interventions/plan", LIMITS)
        assert (off["enabled"], off["interventions"], off["held_out"]) == (False, [], 0)
        typo = PLAYBOOKS_FILE.read_text().replace("cool_down_days: 45", "cooldown_days: 45")
        await app.service.reconfigure({"playbooks": typo})
        ready = (await app.client.get("/churn/status")).json()
        assert ready["status"] == "degraded"
        assert (
            "success_call: playbooks.cooldown_days: unknown field; did you mean 'cool_down_days'?"
            in (ready["parts"]["playbooks"]["error"])
        )
        on = await app.post("interventions/plan", LIMITS)
        assert on["interventions"]


async def test_an_override_in_force_is_in_the_next_plan(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        first = await app.post("interventions/plan", LIMITS)
        best = first["interventions"][0]["customer_id"]
        healthy = {"score": 100, "author": "ann", "reason": "signed for three years"}
        until = {"expires_at": iso(NOW + DAY)}
        await app.post(f"customers/{best}/override", {**healthy, **until})
    async with churn(tmp_path / "b", registry=str(registry), scores=str(scores)) as app:
        await app.post(f"customers/{best}/override", {**healthy, **until})
        second = await app.post("interventions/plan", LIMITS)
        left = sorted(customers_of(first) - customers_of(second))
        assert best in left
        assert second["overridden"] == {best: 100.0}
    async with churn(tmp_path / "c", registry=str(registry), scores=str(scores)) as app:
        few = await app.post("interventions/plan", {**LIMITS, "most": 1})
        _, (chosen,) = app.service.interventions.repository.find_plan(few["plan_id"])
        other = next(
            row for row in first["interventions"] if row["customer_id"] != chosen.customer_id
        )
        worst = {**healthy, "score": 0, "reason": "their board decided to leave"}
        await app.post(f"customers/{other['customer_id']}/override", {**worst, **until})
        again = await app.post("interventions/plan", {**LIMITS, "hours": 40, "budget": 9000})
    planned = {row["customer_id"]: row for row in again["interventions"]}
    assert planned[other["customer_id"]]["chance"] > other["chance"]
    assert planned[other["customer_id"]]["value"] > other["value"]


async def test_a_plan_says_what_one_more_of_a_limit_would_bring(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        short = await app.post("interventions/plan", {**LIMITS, "most": 0})
        enough = await app.post("interventions/plan", {"hours": 1e6, "budget": 1e9})
    assert short["prices"]["most"] > 0
    assert short["overridden"] == enough["prices"] == {}


async def test_people_stop_all_interventions_and_let_them_go_on(registry, scores, tmp_path):
    reason = {"author": "ann", "reason": "prices are wrong"}
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        plan = await app.post("interventions/plan", LIMITS)
        stopped = await app.post("interventions/stop", reason)
        assert stopped["stopped"]
        assert stopped["author"] == "ann"
        assert stopped["open_contacts"] == len(plan["interventions"])
        assert "already, by ann" in (await app.post("interventions/stop", reason, 409))["detail"]
        off = await app.post("interventions/plan", LIMITS)
        assert (off["enabled"], off["interventions"], off["held_out"]) == (False, [], 0)
        resumed = await app.post("interventions/resume", {**reason, "reason": "corrected"})
        assert (resumed["stopped"], resumed["since"]) == (False, None)
        await app.post("interventions/resume", reason, 409)
        on = await app.post("interventions/plan", LIMITS)
        assert on["enabled"]
        steps = app.service.interventions.repository.list_steps(limit=10)
    assert [(step.action, step.author, step.detail["reason"]) for step in steps] == [
        ("interventions resumed", "ann", "corrected"),
        ("interventions stopped", "ann", "prices are wrong"),
    ]


async def test_a_key_bound_to_names_acts_under_no_other(registry, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), reviewers=("ann",)) as app:
        person = {"author": "eve", "reason": "prices were wrong"}
        score = {"score": 9, "expires_at": iso(NOW + DAY)}
        outcome = {"intervention_id": "p-1", "observed_at": iso(NOW), "delivered": True}
        for path, body in (
            ("interventions/stop", person),
            ("customers/new/override", {**person, **score}),
            ("outcomes", {**outcome, "author": "eve"}),
            ("outcomes/withdraw", {"intervention_id": "p-1", "author": "eve"}),
        ):
            refused = await app.post(path, body, 403)
            assert refused["detail"].startswith("author: expected a name that this API key is")
        await app.post("interventions/stop", {**person, "author": "ann"})


async def test_a_stop_that_is_sent_again_under_its_request_id_is_the_same(registry, tmp_path):
    body = json.dumps({"author": "ann", "reason": "prices are wrong"})
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        answers = [
            await app.client.post(
                "/churn/interventions/stop", content=body, headers={"X-Request-ID": "r1"}
            )
            for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_delivery_is_withdrawn_and_told_anew(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        plan = await app.post("interventions/plan", LIMITS)
        name = plan["interventions"][0]["intervention_id"]
        outcome = {"intervention_id": name, "observed_at": iso(NOW), "author": "ann"}
        withdrawal = {"intervention_id": name, "author": "bob"}
        assert "not reported" in (await app.post("outcomes/withdraw", withdrawal, 404))["detail"]
        await app.post("outcomes", {**outcome, "delivered": True})
        await app.post("outcomes", {**outcome, "delivered": False}, 409)
        assert (await app.post("outcomes/withdraw", withdrawal))["delivered"] is True
        await app.post("outcomes", {**outcome, "delivered": False})
        steps = app.service.interventions.repository.list_steps_of_customer(
            plan["interventions"][0]["customer_id"], 10
        )
    assert [(step.action, step.author, step.detail["delivered"]) for step in steps] == [
        ("outcome reported", "ann", False),
        ("outcome withdrawn", "bob", True),
        ("outcome reported", "ann", True),
    ]


async def test_bad_plans_and_outcomes_are_refused(registry, scores, tmp_path):
    at = {"observed_at": iso(NOW)}
    refused = {
        "interventions/plan": [
            ({"hours": -1, "budget": 1}, "hours: input should be greater than or equal to 0"),
            ({"hours": 1, "budget": -5}, "budget: input should be greater than or equal to 0"),
            ({"hours": 1, "budget": 1, "customers": []}, "customers: list should have at least 1"),
            ({"hours": 1, "budget": 1, "at": iso(NOW - 400 * DAY)}, "at: expected"),
            ({"hours": 1, "budget": 1, "hors": 1}, "hors: unknown field"),
        ],
        "outcomes": [
            ({"intervention_id": "x", **at}, "expected delivered or left, got neither"),
            ({"intervention_id": "x", "left": True, "observed_at": iso(NOW + DAY)}, "seconds from"),
        ],
    }
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        for path, bodies in refused.items():
            for body, message in bodies:
                assert message in (await app.post(path, body, 422))["detail"]
        unknown = {"intervention_id": "x", "left": True, **at}
        assert "there is no intervention" in (await app.post("outcomes", unknown, 404))["detail"]
        await app.get("interventions/plans/x", 404)
        plan = await app.post("interventions/plan", {**LIMITS, "customers": ["nobody"]})
        assert plan["not_considered"] == {"nobody": "no data of this customer are stored"}
    async with churn(tmp_path / "b", registry=str(registry)) as app:
        answer = await app.post("interventions/plan", LIMITS, 422)
        assert "started without `scores`" in answer["detail"]


async def test_a_plan_id_with_other_limits_is_a_conflict(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        first = await app.post("interventions/plan", {**LIMITS, "plan_id": "mon/day"})
        other = {**LIMITS, "hours": LIMITS["hours"] + 1, "plan_id": "mon/day"}
        refused = await app.post("interventions/plan", other, 409)
        assert "interventions" not in refused
        again = await app.post("interventions/plan", {**LIMITS, "plan_id": "mon/day"})
        stored_plan = await app.get("interventions/plans/mon%2Fday")
    for plan in (again, stored_plan):
        assert {**plan, "request_id": ""} == {**first, "request_id": ""}


def customers_of(plan) -> set[str]:
    return {intervention["customer_id"] for intervention in plan["interventions"]}


async def planned(app, request_id: str, **changes):
    body = json.dumps({**LIMITS, **changes})
    headers = {"X-Request-ID": request_id}
    return await app.client.post("/churn/interventions/plan", content=body, headers=headers)


async def test_the_same_plan_twice_and_at_once_is_made_once(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        answers = await asyncio.gather(*(planned(app, "r1") for _ in range(3)))
        answers.append(await planned(app, "r1"))
        other = await planned(app, "r1", hours=3)
        named = await planned(app, "r2", plan_id="r1", hours=3)
        book = app.service.interventions.repository
        assert {intervention.plan_id for intervention in book.list_since(0)} == {"r1"}
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({tuple(sorted(customers_of(answer.json()))) for answer in answers}) == 1
    assert (other.status_code, named.status_code) == (409, 409)


async def test_plans_at_once_do_not_choose_the_same_customers(registry, scores, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry), scores=str(scores)) as app:
        answers = await asyncio.gather(*(planned(app, f"r{number}") for number in range(3)))
        chosen = app.service.interventions.repository.list_since(0)
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(
        {(intervention.customer_id, intervention.playbook) for intervention in chosen}
    ) == len(chosen)
    assert len({intervention.plan_id for intervention in chosen}) > 1
