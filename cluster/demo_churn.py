"""The churn part of the demonstration: train, score everyone, plan a day, deploy, ask, learn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster.demo_pipeline import DemoJob
from cluster.demo_steps import Answer, Step, fields, holds, refused, success
from cluster.demo_system import Application, System
from lib.churn.contracts import CONTRACTS

_DAYS = 540
_ROWS_PER_REQUEST = 2_000
_HOURS, _BUDGET = 30, 4_000
_TABLES = tuple(contract.name for contract in CONTRACTS)


_COLUMNS = {
    "HTTP": "{http}",
    "decision": "{decision}",
    "leaves": "{chance:.1%}",
    "health": "{health[score]:.0f} {health[band]}",
    "by": "{method}",
}
_SOURCES = " ".join(f"--{name}={{folder}}/accounts/{name}.parquet" for name in _TABLES)
_JOBS = (
    DemoJob(
        "simulate",
        "simulating accounts",
        2,
        "simulate --output={folder}/accounts --accounts={accounts} --days={days}",
    ),
    DemoJob(
        "train",
        "training: rows on Ray Data; folds and trees in the driver, as rows are few",
        40,
        f"""train {_SOURCES} --output={{folder}}/training --registry={{folder}}/registry
        --alias=champion --quick --simulated --source={{source}} --engine=process""",
    ),
    DemoJob(
        "score",
        "scoring every customer on Ray Data",
        20,
        f"score {_SOURCES} --output={{folder}}/scores --registry={{folder}}/registry",
    ),
    DemoJob(
        "plan",
        "planning the day",
        1,
        f"""plan --scores={{folder}}/scores --hours={_HOURS} --budget={_BUDGET}
        --output={{folder}}/plans --currency=USD""",
    ),
)
_SETTINGS = """
    profile_store=sqlite:///{folder}/profiles.sqlite scores={folder}/scores
    front={replica} planner={replica}"""


def prepare(system: System, accounts: int) -> None:
    """Trains, scores and plans on a Ray head that runs; files go to the system's folder."""
    source = "simulated accounts"
    system.submit(_JOBS, accounts=accounts, days=_DAYS, source=source).wait()


def show(system: System) -> Application:
    """Deploys what was prepared and talks to it."""
    app = system.deploy(_SETTINGS)
    nightly = _nightly(system.scores())
    as_of = json.loads((system.folder / "scores/scores.json").read_text())["as_of"]
    safest, riskiest, at = nightly[0], nightly[-1], datetime.fromisoformat(as_of)
    system.runner.run([_events(app, system.folder / "accounts", safest, riskiest, at)])
    requests = _requests(app, safest, riskiest, at)
    system.runner.tabulate(f"asking {app.url}/score", requests, "customer", _COLUMNS)
    system.runner.run(_interventions(app, riskiest["customer_id"]))
    system.close(app, "plan      {path}/plans/report.html, scores {path}/scores/data")
    return app


def _events(
    app: Application, accounts: Path, safest: Answer, riskiest: Answer, at: datetime
) -> Step:
    names = {safest["customer_id"], riskiest["customer_id"]}
    bodies = [*_news(accounts, names, at), _made_up(at)]
    return Step(
        f"telling {app.url}/events what customers did",
        lambda: [app.post("/events", body) for body in bodies],
        lambda answers: next(filter(None, map(success, answers)), ""),
    )


def _requests(app: Application, safest: Answer, riskiest: Answer, at: datetime) -> Iterator[Step]:
    """Customers as the nightly job scored them, customers of rules, and what is refused."""

    def score(name: str, customer: str, expect: Any, time: datetime = at) -> Step:
        body = {"customer_id": customer, "at": time.isoformat()}
        return app.ask(name, "/score", body, expect)

    high, low = riskiest["customer_id"], safest["customer_id"]
    yield score(f"riskiest {high}", high, fields(chance=riskiest["chance"]))
    monitored = ("MONITOR", safest["score"])
    alone = holds(
        lambda answer: (answer["decision"], answer["health"]["score"]) == monitored,
        "is not left alone, or has not the health of the nightly job",
    )
    yield score(f"safest {low}", low, alone)
    yield score("silent before renewal", "silent", fields(method="rule"))
    yield score("gave notice", "gone", fields(decision="LEAVING"))
    yield score("unknown customer", "who", fields(http=404))
    yield score("clock ahead", low, refused, at + timedelta(days=9_000))
    survey = {"customer_id": low, "event_time": at.isoformat(), "score": 11}
    yield app.ask("survey score of 11", "/events", {"surveys": [survey]}, refused)
    day = {"hours": 8, "budget": -100}
    yield app.ask("negative budget", "/interventions/plan", day, refused)
    yield app.wrong_key("/score", {"customer_id": low})


def _interventions(app: Application, customer: str) -> Iterator[Step]:
    """A person knows better for a month; a day from the nightly scores, and what it can show."""
    now = datetime.now().astimezone()
    override = {"score": 80, "author": "ann", "reason": "renewal is signed"}
    override["expires_at"] = (now + timedelta(days=30)).isoformat()
    path = f"/customers/{customer}"
    yield app.ask(f"overriding the health of {customer}", f"{path}/override", override, success)
    yield Step(
        f"reading the health of {customer}",
        lambda: app.get(f"{path}/health"),
        fields(score_in_force=80.0),
        _overridden,
    )
    day = {"plan_id": "today", "hours": _HOURS, "budget": _BUDGET}
    planned = holds(lambda plan: bool(plan["interventions"]), "no day was planned")
    yield app.ask("planning the day over HTTP", "/interventions/plan", day, planned, _plan)
    first = app.answers["planning the day over HTTP"]["interventions"][0]
    outcome = {"intervention_id": first["intervention_id"], "observed_at": now.isoformat()}
    outcome |= {"delivered": True, "left": False}
    yield app.ask("sending an outcome", "/outcomes", outcome, fields(new=2))
    yield app.ask("sending it again", "/outcomes", outcome, fields(repeated=2))
    yield Step(
        f"reading the effects; first was {first['playbook']} for {first['customer_id']}",
        lambda: app.get("/interventions/effects"),
        holds(lambda effects: effects["known"] >= 1, "the outcome is not counted"),
        lambda effects: str(effects["words"]),
    )


def _overridden(answer: Answer) -> str:
    reasons = "; ".join(reason["words"] for reason in answer["reasons"][:2])
    return (
        f"health {answer['health']['score']:.0f} by the model, {answer['score_in_force']:.0f} as "
        f"overridden by ann: renewal is signed\nmodel's reasons: {reasons}"
    )


def _plan(plan: Answer) -> str:
    return (
        f"{len(plan['interventions'])} interventions, {plan['held_out']} held out, "
        f"{plan['hours']:.1f} h, {plan['cost']:,.0f} USD; expected {plan['value']:,.0f} USD, "
        f"highest risk first {plan['other_ways']['highest risk first']:,.0f}"
    )


def _nightly(scores: pa.Table) -> list[Answer]:
    """The nightly scores, the safest customer first; ties by name."""
    # customers of a few seats have few events to tell
    small = scores.filter(pc.equal(scores["segment"], "small"))
    return list(small.sort_by([("chance", "ascending"), ("customer_id", "ascending")]).to_pylist())


def _news(accounts: Path, names: set[str], at: datetime) -> Iterator[dict[str, Any]]:
    """What a caller tells of customers, in requests that are small enough."""
    for name in _TABLES:
        rows = pq.read_table(accounts / f"{name}.parquet")
        rows = rows.filter(pc.is_in(rows["customer_id"], value_set=pa.array(sorted(names))))
        past_rows = [
            {key: _plain(value) for key, value in row.items() if value is not None}
            for row in rows.to_pylist()
            if max(row["event_time"], row["known_at"] or row["event_time"]) < at
        ]
        for start in range(0, len(past_rows), _ROWS_PER_REQUEST):
            yield {name: past_rows[start : start + _ROWS_PER_REQUEST]}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _made_up(at: datetime) -> dict[str, Any]:
    """A customer whom a rule finds, and one who is leaving already."""

    def ago(days: int) -> str:
        return (at - timedelta(days=days)).isoformat()

    signed = dict.fromkeys(("event_time", "contract_start"), ago(355))
    signed |= {"renewal_at": ago(-10), "segment": "small", "plan": "basic"}
    size = {"seats": 12, "mrr_minor": 60_000}
    use = {"user_id": "u1", "feature": "feature_01"}
    return {
        "customers": [{"customer_id": name, **signed, **size} for name in ("silent", "gone")],
        "usage": [{"customer_id": "silent", "event_time": ago(day), **use} for day in (45, 60, 75)],
        "churn": [{"customer_id": "gone", "event_time": ago(3), "reason": "price"}],
    }
