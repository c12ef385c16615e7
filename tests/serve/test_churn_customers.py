"""News of customers in, the nightly job's scores out; rules first, bad input refused."""

import asyncio
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lib.churn.events import stream
from lib.churn.features import churn_features
from lib.churn.model.model import load_model
from lib.churn.model.scores import KEYS, features_in, scores_table
from lib.churn.snapshots import snapshots
from lib.feature import DAY
from serve.churn.schemas import MOST_ROWS
from serve.churn.settings import ChurnSettings
from serve.framework.validation import Clock
from tests.churn.tables import world
from tests.serve.application import iso
from tests.serve.churn_app import NOW, churn, news, stayers

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
SIGNED = {
    "customer_id": "new",
    "event_time": iso(NOW - 200 * DAY),
    "segment": "small",
    "seats": 10,
    "mrr_minor": 200_000,
    "contract_start": iso(NOW - 200 * DAY),
    "renewal_at": iso(NOW + 165 * DAY),
}


def event(days_ago: float, **fields: object) -> dict[str, object]:
    """A row of any table about the new customer."""
    return {"customer_id": "new", "event_time": iso(int(NOW - days_ago * DAY)), **fields}


def use(days_ago: float, user: str = "u1", customer: str = "new") -> dict[str, object]:
    return event(days_ago, customer_id=customer, user_id=user, feature="reports")


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Path:
    from tests.serve.churn_app import published  # noqa: PLC0415

    return published(tmp_path_factory.mktemp("published"))


async def test_an_answer_is_that_of_the_nightly_scores(registry, tmp_path):
    names = stayers(4)
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.tell(names)
        answers = {name: await app.post("score", {"customer_id": name}) for name in names}
        records = {
            name: await app.service.decision_store.find(response["prediction_id"])
            for name, response in answers.items()
        }
        model = load_model(next((app.folder / "models").rglob("manifest.json")).parent)
    _, tables = world()
    events = stream(tables, model.base)
    own_events = events.filter(pc.is_in(events["customer_id"], value_set=pa.array(names)))
    rows = snapshots(own_events, model.base, [NOW], model.target, NOW)
    nightly = scores_table(model, rows)
    matrix = features_in(nightly, model.names)
    assert nightly["customer_id"].to_pylist() == names
    for index, row in enumerate(nightly.select(KEYS).to_pylist()):
        answer, record = answers[row["customer_id"]], records[row["customer_id"]]
        served = np.array([record.features[name] for name in model.names])
        np.testing.assert_array_equal(served, matrix[index])
        assert answer["chance"] == row["chance"]
        assert answer["health"]["score"] == row["score"]
        assert answer["flagged"] == row["flagged"]
        assert answer["method"] == ("rule" if answer["rule_id"] else "model")
        assert record.feature_set_digest == churn_features(model.base).digest


async def test_a_rule_decides_before_the_model(registry, tmp_path):
    ends_soon = {**SIGNED, "renewal_at": iso(NOW + 10 * DAY)}
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.post("events", {"customers": [ends_soon], "usage": [use(40), use(90)]})
        answer = await app.post("score", {"customer_id": "new"})
        assert (answer["decision"], answer["method"]) == ("ACT_NOW", "rule")
        assert answer["rule_id"] == "contract_ends_and_nobody_logs_in"
        assert answer["chance"] is not None  # the model is asked all the same
        await app.post("events", {"usage": [use(1)]})
        again = await app.post("score", {"customer_id": "new"})
    assert again["rule_id"] is None


async def test_repeats_count_once_and_equal_rows_of_one_request_are_several(registry, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        events = {"customers": [SIGNED], "usage": [use(3), use(3), use(4)]}
        first = await app.post("events", events)
        again = await app.post("events", events)
        answer = await app.post("score", {"customer_id": "new"})
        record = await app.service.decision_store.find(answer["prediction_id"])
    assert first["tables"]["usage"] == counted(rows=3, new=3)
    assert again["tables"]["usage"] == counted(rows=3, repeated=3)
    assert record.features["usage_7d"] == 3.0


def counted(**changes: int) -> dict[str, int]:
    return {"rows": 0, "new": 0, "repeated": 0, "contradicting": 0, **changes}


async def test_of_other_content_under_one_id_the_first_stays_whichever_replica_is_asked(
    registry, tmp_path
):
    ticket = event(3, ticket_id="t")
    bodies = [{"tickets": [{**ticket, "priority": priority}]} for priority in ("low", "urgent")]
    shared = {
        "registry": str(registry),
        "profile_store": f"sqlite:///{tmp_path}/shared-profiles.sqlite",
    }
    async with churn(tmp_path / "a", **shared) as left, churn(tmp_path / "b", **shared) as right:
        both = await asyncio.gather(left.post("events", bodies[0]), right.post("events", bodies[1]))
        counts = [answer["tables"]["tickets"] for answer in both]
        first = counts[1]["new"]
        assert counts[first] == counted(rows=1, new=1)
        assert counts[1 - first] == counted(rows=1, contradicting=1)
        assert both[1 - first]["contradictions"][0].startswith("tickets: opened:new:t: stored with")
        again = await left.post("events", bodies[first])
        closed = {**bodies[first]["tickets"][0], "closed_at": iso(NOW - 2 * DAY)}
        later = await right.post("events", {"tickets": [closed]})
    assert again["tables"]["tickets"] == counted(rows=1, repeated=1)
    assert (later["tables"]["tickets"], later["contradictions"]) == (
        counted(rows=1, new=1, repeated=1),
        [],
    )


async def test_rows_are_the_same_whatever_they_are_told_with(registry, tmp_path):
    """When a contract began, and an invoice's first line, are read from a row's neighbours."""
    bought = event(9, invoice_id="i")
    lines = [{**bought, "item": name, "amount_minor": 100} for name in ("a", "b")]
    rows = [event(days_ago, seats=days_ago) for days_ago in (60, 30)]
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.post("events", {"customers": rows, "invoices": lines})
        again = [
            await app.post("events", {"customers": [row], "invoices": [line]})
            for row, line in zip(rows, reversed(lines), strict=True)
        ]
    assert [answer["contradictions"] for answer in again] == [[], []]
    assert [answer["tables"]["invoices"] for answer in again] == [counted(rows=1, repeated=1)] * 2
    assert [answer["tables"]["customers"] for answer in again] == [counted(rows=1, repeated=1)] * 2


async def test_news_that_is_told_late_counts_from_then_on(registry, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.post("events", {"customers": [SIGNED], "usage": [use(2)]})
        first = await app.post("score", {"customer_id": "new"})
        await app.post("events", {"usage": [use(20, "u2")]})
        second = await app.post("score", {"customer_id": "new"})
        counts = [
            (await app.service.decision_store.find(answer["prediction_id"])).features[
                "active_users_30d"
            ]
            for answer in (first, second)
        ]
    assert counts == [1.0, 2.0]


async def test_looking_at_a_later_moment_leaves_an_earlier_one_as_it_was(registry, tmp_path):
    """The store is told of the past, and is asked about today before it is asked about then."""
    name = stayers(1)[0]
    later = NOW + 500 * DAY
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.tell([name])
        expected = await app.post("score", {"customer_id": name})
    async with churn(tmp_path / "b", registry=str(registry), now_us=later) as app:
        await app.tell([name])
        for k in range(20):  # old tiles are dropped now and then
            await app.post("score", {"customer_id": name, "at": iso(later - k)})
        answer = await app.post("score", {"customer_id": name, "at": iso(NOW)})
    assert (answer["chance"], answer["health"]["score"]) == (
        expected["chance"],
        expected["health"]["score"],
    )


async def test_who_gave_notice_is_leaving_until_it_signs_anew(registry, tmp_path):
    notice = event(30, ends_at=iso(NOW - 5 * DAY))
    back = {**SIGNED, "event_time": iso(NOW - 2 * DAY), "contract_start": iso(NOW - 2 * DAY)}
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.post("events", {"customers": [SIGNED], "usage": [use(31)], "churn": [notice]})
        leaving = await app.post("score", {"customer_id": "new"})
        planned = await app.post(
            "interventions/plan", {"hours": 8, "budget": 100, "customers": ["new"]}
        )
        await app.post("events", {"customers": [back]})
        returned = await app.post("score", {"customer_id": "new"})
    assert (leaving["decision"], leaving["method"], leaving["chance"]) == ("LEAVING", "told", None)
    assert planned["not_considered"] == {"new": "gave notice"}
    assert returned["chance"] is not None


async def test_a_customer_that_does_not_say_when_it_began_began_when_it_was_first_told(
    registry, tmp_path
):
    first = event(100, seats=5)
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        for changes in ({}, {"event_time": iso(NOW - DAY), "seats": 9}):
            await app.post("events", {"customers": [{**first, **changes}]})
        answer = await app.post("score", {"customer_id": "new"})
        record = await app.service.decision_store.find(answer["prediction_id"])
    assert (record.features["tenure_days"], record.features["seats"]) == (100.0, 9.0)


async def test_without_a_history_there_is_a_score_and_components_stay_empty(registry, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.post("events", {"customers": [SIGNED]})
        answer = await app.post("score", {"customer_id": "new"})
    assert 0.0 < answer["chance"] < 1.0
    assert answer["health"]["components"]["sentiment"] is not None  # no signal is good news
    assert answer["newest_event"] is not None


async def test_health_keeps_a_history_and_what_people_know_better(registry, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.post("events", {"customers": [SIGNED], "usage": [use(70), use(45)]})
        for days in (40, 20, 0):
            at = iso(NOW - days * DAY)
            await app.post("score", {"customer_id": "new", "at": at})
        override = {
            "score": 95,
            "author": "ann",
            "reason": "met them",
            "expires_at": iso(NOW + DAY),
        }
        await app.post("customers/new/override", override)
        health = await app.get("customers/new/health")
        app.service.health._clock = Clock(lambda: NOW + 1_000_000, 0)  # a second later
        await app.post(
            "customers/new/override", {**override, "score": None, "reason": "mixed them up"}
        )
        withdrawn = await app.get("customers/new/health")
    scores = [entry["score"] for entry in health["history"]]
    assert [entry["at"] for entry in health["history"]] == sorted(
        (entry["at"] for entry in health["history"]), reverse=True
    )
    assert health["health"]["change_30d"] == pytest.approx(scores[0] - scores[2])
    assert (health["score_in_force"], health["band_in_force"]) == (95.0, "green")
    assert health["override"]["author"] == "ann"
    assert withdrawn["override"] is None
    assert withdrawn["score_in_force"] == withdrawn["health"]["score"]
    assert [entry["in_force"] for entry in withdrawn["overrides"]] == [False, False]


async def test_while_the_model_is_out_rules_answer_and_the_rest_is_scored_again(registry, tmp_path):
    (tmp_path / "a").mkdir()
    base = tmp_path / "base.yaml"
    async with churn(tmp_path / "first", registry=str(registry)) as app:
        base.write_text(app.service.base.to_yaml())
    empty = tmp_path / "empty"
    empty.mkdir()
    async with churn(tmp_path / "a", registry=str(empty), base=base) as app:
        await app.post("events", {"customers": [SIGNED], "usage": [use(3)]})
        answer = await app.post("score", {"customer_id": "new"})
        assert (answer["decision"], answer["method"]) == ("MONITOR", "fallback")
        await app.service.decision_store.drain()
        app.service.model_slot._registry = str(registry)
        assert app.service.model_slot.load("champion"), app.service.model_slot.error
        again = None
        while again is None or again.answer is None:  # the application's own rounds may be first
            await app.service.rescorer.run_once()
            await asyncio.sleep(0.05)
            again = await app.service.decision_store.rescored(answer["prediction_id"])
        health = await app.get("customers/new/health")
    assert again.answer["chance"] == health["chance"]


async def test_what_contradicts_what_is_known_is_taken_in_and_said(registry, tmp_path):
    early = {
        **SIGNED,
        "event_time": iso(NOW - DAY),
        "contract_start": iso(NOW - 20 * DAY),
        "renewal_at": iso(NOW + 300 * DAY),
    }
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        await app.post("events", {"customers": [SIGNED]})
        answer = await app.post("events", {"customers": [early], "usage": [use(1, customer="x")]})
        unknown = await app.post("score", {"customer_id": "x"}, 404)
    assert "lies before the end of the stored contract" in answer["contradictions"][0]
    assert answer["unknown_customers"] == ["x"]
    assert "only its events are stored" in unknown["detail"]


BAD = {
    "no rows": ({}, "body: expected rows of customers"),
    "empty tables": ({"usage": []}, "body: expected rows of customers"),
    "a table with a typo": ({"usages": []}, "usages: unknown field; did you mean 'usage'?"),
    "a column with a typo": ({"usage": [{**use(1), "usr": 1}]}, "usage.0.usr: unknown field"),
    "no customer": ({"usage": [{"event_time": iso(NOW)}]}, "usage.0.customer_id: this field is"),
    "no time zone": (
        {"usage": [{**use(1), "event_time": "2025-01-01T00:00:00"}]},
        "usage.0.event_time: input should have timezone info",
    ),
    "a time ahead": (
        {"usage": [{**use(1), "event_time": iso(NOW + 3 * DAY)}]},
        "usage.0.event_time: expected at most 300 seconds from now, got 259200 seconds ahead",
    ),
    "known before it happened is fine, after now is not": (
        {"usage": [{**use(1), "known_at": iso(NOW + 3 * DAY)}]},
        "usage.0.known_at: expected at most 300 seconds from now",
    ),
    "a score of eleven": (
        {"surveys": [event(0, score=11)]},
        "surveys.0.score: input should be less than or equal to 10, got 11",
    ),
    "a signal nobody knows": (
        {"signals": [event(0, kind="gossip")]},
        "signals.0.kind: input should be 'competitor_mention'",
    ),
    "a contract that ends before it begins": (
        {"customers": [{**SIGNED, "renewal_at": iso(NOW - 300 * DAY)}]},
        "customers.0.renewal_at: expected after contract_start",
    ),
    "notice before the contract began": (
        {"customers": [SIGNED], "churn": [event(250)]},
        "churn.0.event_time: expected after the contract began, 2024-08-08",
    ),
    "an end before notice": (
        {"churn": [event(5, ends_at=iso(NOW - 9 * DAY))]},
        "churn.0.ends_at: expected at or after event_time",
    ),
    "a ticket that closes before it opens": (
        {"tickets": [event(5, ticket_id="t", closed_at=iso(NOW - 9 * DAY))]},
        "tickets.0.closed_at: expected at or after event_time",
    ),
    "one ticket told twice, differently": (
        {"tickets": [event(5, ticket_id="t"), event(6, ticket_id="t")]},
        "tickets.1.ticket_id: came before with other content",
    ),
}


async def test_bad_news_is_refused_with_the_field_and_nothing_of_it_is_kept(registry, tmp_path):
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        for name, (body, message) in BAD.items():
            answer = await app.post("events", body, 422)
            assert message in answer["detail"], name
        await app.post("score", {"customer_id": "new"}, 404)
        await app.post("events", {"customers": [SIGNED], "usage": [use(3)]})
        early = {"customer_id": "new", "at": iso(NOW - 10 * DAY)}
        answer = await app.post("score", early, 422)
        assert "the newest event of this customer" in answer["detail"]
        late = {"customer_id": "new", "at": iso(NOW + 10 * DAY)}
        assert "at: expected at most 300" in (await app.post("score", late, 422))["detail"]
        old_override = {"score": 50, "author": "a", "reason": "b", "expires_at": iso(NOW - DAY)}
        answer = await app.post("customers/new/override", old_override, 422)
        assert "expires_at: expected a time in the future" in answer["detail"]
        answer = await app.get("customers/new/health", 404)
        assert "was never scored" in answer["detail"]


async def test_profiles_of_other_vocabularies_are_empty_not_wrong(registry, tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text("segments: [small, large]\nplans: []\n")
    store = f"sqlite:///{tmp_path}/profiles.sqlite"
    async with churn(tmp_path / "a", registry=str(registry), profile_store=store) as app:
        await app.post("events", {"customers": [SIGNED]})
        await app.post("score", {"customer_id": "new"})
    async with churn(tmp_path / "b", registry=str(registry), profile_store=store, base=base) as app:
        ready = (await app.client.get("/churn/status")).json()
        error = ready["parts"]["model"]["error"]
        assert "another base: segments: enterprise, mid-market, small against small, large" in error
        answer = await app.post("score", {"customer_id": "new"})
    assert answer["method"] == "fallback"


async def test_news_of_simulated_accounts_is_taken_in_whole(registry, tmp_path):
    names = stayers(2)
    events = news(names)
    async with churn(tmp_path / "a", registry=str(registry)) as app:
        answer = await app.post("events", {name: rows for name, rows in events.items() if rows})
    assert answer["contradictions"] == []
    assert {name: counts["rows"] for name, counts in answer["tables"].items()} == {
        name: len(rows) for name, rows in events.items() if rows
    }


@pytest.mark.slow
async def test_the_largest_batch_is_answered_within_the_deadline_that_ships(registry, tmp_path):
    shipped = ChurnSettings.model_fields["deadline_ms"].default
    rows = [use(number / 1_000_000, customer=f"c{number % 500}") for number in range(MOST_ROWS)]
    async with churn(tmp_path / "a", registry=str(registry), deadline_ms=shipped) as app:
        answer = await app.post("events", {"usage": rows})
    assert answer["tables"]["usage"]["rows"] == MOST_ROWS
