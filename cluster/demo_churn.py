"""The churn part of the demonstration: train, score everyone, plan a day, deploy, ask, learn."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster.demo_steps import Shown, deploy, must, new_key, short, table
from cluster.local import ROOT, LocalHead
from lib.churn.contracts import CONTRACTS

_DAYS = 540
_ROWS_PER_REQUEST = 2_000
_HOURS, _BUDGET = 30, 4_000
_HEADER = ("customer", "HTTP", "decision", "leaves", "health", "by", "why")
_TABLES = tuple(contract.name for contract in CONTRACTS)


def prepare(head: LocalHead, folder: Path, accounts: int, say: Callable[[str], None]) -> None:
    """Trains, scores and plans on a Ray head that runs; files go to `folder`."""
    folder.mkdir()
    (folder / "log").mkdir()
    job, data = ("python", "-m"), folder / "accounts"
    sources = [f"--{name}={data / name}.parquet" for name in _TABLES]
    say(f"simulating {accounts} accounts over {_DAYS} days")
    must(
        head.submit(
            *job,
            "jobs.churn.simulate",
            f"--output={data}",
            f"--accounts={accounts}",
            f"--days={_DAYS}",
        ),
        "the simulation",
    )
    say("training through the Jobs API: rows on Ray Data, folds as tasks, trees by xgboost-ray")
    must(
        head.submit(
            *job,
            "jobs.churn.train",
            *sources,
            f"--output={folder / 'training'}",
            f"--registry={folder / 'registry'}",
            "--alias=champion",
            "--quick",
            "--simulated",
            "--source=simulated accounts",
        ),
        "the training job",
    )
    say("scoring every customer and planning the day")
    must(
        head.submit(
            *job,
            "jobs.churn.score",
            *sources,
            f"--output={folder / 'scores'}",
            f"--registry={folder / 'registry'}",
        ),
        "the scoring job",
    )
    must(
        head.submit(
            *job,
            "jobs.churn.plan",
            f"--scores={folder / 'scores'}",
            f"--hours={_HOURS}",
            f"--budget={_BUDGET}",
            f"--output={folder / 'plans'}",
            "--currency=USD",
        ),
        "the planning job",
    )


def show(head: LocalHead, folder: Path, say: Callable[[str], None]) -> Shown:
    """Deploys what was prepared and talks to it; Serve's proxy runs."""
    say("deploying the churn application on Ray Serve")
    url, key = _deploy(head, folder)
    say(f"telling {url}/events what customers did, and asking {url}/score")
    faults = _talk(url, key, folder)
    relative_path = os.path.relpath(folder, ROOT)
    print(f"\nreport    {relative_path}/training/report.html (and report.json)")
    print(f"plan      {relative_path}/plans/report.html, scores {relative_path}/scores/data")
    print(f"records   {relative_path}/records.sqlite, log {relative_path}/log/decisions.jsonl")
    print(f"\nURL {url}\nkey {key}\nAPI page {url}/docs")
    return Shown(url, faults)


def _deploy(head: LocalHead, folder: Path) -> tuple[str, str]:
    keys = folder / "keys.json"
    scopes = [f"churn:{scope}" for scope in ("score", "label", "review", "read")]
    key = new_key(head, keys, scopes)
    arguments = {
        "registry": folder / "registry",
        "profile_store": f"sqlite:///{folder / 'profiles.sqlite'}",
        "records": f"sqlite:///{folder / 'records.sqlite'}",
        "journal": folder / "journal",
        "models": folder / "models",
        "scores": folder / "scores",
        "api_keys": keys,
        "log": folder / "log" / "decisions.jsonl",
        # one of each is enough to look at; production keeps two
        "front": json.dumps({"min": 1, "cpus": 0.25}),
        "planner": json.dumps({"min": 1, "cpus": 0.25}),
    }
    return deploy(head, "churn", arguments, folder / "log" / "serve.log"), key


def _talk(url: str, key: str, folder: Path) -> list[str]:
    """News, scores, an override, a plan, outcomes, bad input; what was not as it should be."""
    nightly = _nightly(folder / "scores")
    at = datetime.fromisoformat(json.loads((folder / "scores/scores.json").read_text())["as_of"])
    customer_ids = {"riskiest": nightly[-1]["customer_id"], "safest": nightly[0]["customer_id"]}
    headers = {"Authorization": f"Bearer {key}", "X-Deadline-Ms": "30000"}
    with httpx.Client(base_url=url, headers=headers, timeout=90) as client:
        for part in _news(folder / "accounts", set(customer_ids.values()), at):
            client.post("/events", json=part).raise_for_status()
        client.post("/events", json=_made_up(at)).raise_for_status()
        customer_ids |= {
            "silent before renewal": "silent",
            "gave notice": "gone",
            "never told of": "who",
        }
        answers = {
            word: client.post("/score", json={"customer_id": name, "at": at.isoformat()})
            for word, name in customer_ids.items()
        }
        answers |= _bad(client, customer_ids["safest"], at)
        rows = [_row(word, customer_ids.get(word, ""), answer) for word, answer in answers.items()]
        print(table([_HEADER, *rows]))
        return [
            *_faults(answers, nightly),
            *_override(client, customer_ids["riskiest"]),
            *_planned(client),
        ]


def _nightly(scores: Path) -> list[dict[str, Any]]:
    """The nightly scores, the safest customer first; ties by name."""
    files = sorted((scores / "data").glob("*.parquet"))
    columns = ["customer_id", "chance", "score", "segment"]
    all_scores = pa.concat_tables([pq.read_table(file, columns=columns) for file in files])
    # customers of a few seats have few events to tell
    small = all_scores.filter(pc.equal(all_scores["segment"], "small"))
    return small.sort_by([("chance", "ascending"), ("customer_id", "ascending")]).to_pylist()


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

    signed = {
        "event_time": ago(355),
        "contract_start": ago(355),
        "renewal_at": ago(-10),
        "seats": 12,
        "mrr_minor": 60_000,
        "segment": "small",
        "plan": "basic",
    }
    use = {"user_id": "u1", "feature": "feature_01"}
    return {
        "customers": [{"customer_id": name, **signed} for name in ("silent", "gone")],
        "usage": [{"customer_id": "silent", "event_time": ago(day), **use} for day in (45, 60, 75)],
        "churn": [{"customer_id": "gone", "event_time": ago(3), "reason": "price"}],
    }


def _bad(client: httpx.Client, customer: str, at: datetime) -> dict[str, httpx.Response]:
    """What is refused."""
    ahead = (at + timedelta(days=9_000)).isoformat()
    survey = {"customer_id": customer, "event_time": at.isoformat(), "score": 11}
    plan = {"hours": 8, "budget": -100}
    wrong = {"Authorization": "Bearer fw_nobody_nothing"}
    return {
        "clock ahead": client.post("/score", json={"customer_id": customer, "at": ahead}),
        "survey score of 11": client.post("/events", json={"surveys": [survey]}),
        "negative budget": client.post("/interventions/plan", json=plan),
        "with a wrong key": client.post("/score", json={"customer_id": customer}, headers=wrong),
    }


def _row(label: str, customer: str, answer: httpx.Response) -> tuple[str, ...]:
    body = answer.json()
    probability, health = body.get("chance"), body.get("health")
    why = body.get("reason") or body.get("detail") or ""
    return (
        f"{label} {customer}" if customer.startswith("A") else label,
        str(answer.status_code),
        body.get("decision", "-"),
        "-" if probability is None else f"{probability:.1%}",
        "-" if health is None else f"{health['score']:.0f} {health['band']}",
        body.get("method", "-"),
        short(why),
    )


def _faults(answers: dict[str, httpx.Response], nightly: list[dict[str, Any]]) -> list[str]:
    """What was not answered as it should be."""
    bodies = {word: answer.json() for word, answer in answers.items()}
    checks = {
        "the riskiest customer's chance is not that of the nightly job": bodies["riskiest"][
            "chance"
        ]
        == nightly[-1]["chance"],
        "the safest customer's health is not that of the nightly job": bodies["safest"]["health"][
            "score"
        ]
        == nightly[0]["score"],
        "the safest is not left alone": bodies["safest"]["decision"] == "MONITOR",
        "silence before renewal is not the rule's": bodies["silent before renewal"]["method"]
        == "rule",
        "who gave notice is not leaving": bodies["gave notice"]["decision"] == "LEAVING",
        "an unknown customer is not a 404": answers["never told of"].status_code == 404,
        "a wrong key is not a 401": answers["with a wrong key"].status_code == 401,
        **{
            f"{label} is not a 422": answers[label].status_code == 422
            for label in ("clock ahead", "survey score of 11", "negative budget")
        },
    }
    return [fault for fault, fine in checks.items() if not fine]


def _override(client: httpx.Client, customer: str) -> list[str]:
    """A person knows better, for a month."""
    until = (datetime.now().astimezone() + timedelta(days=30)).isoformat()
    payload = {"score": 80, "author": "ann", "reason": "renewal is signed", "expires_at": until}
    answer = client.post(f"/customers/{customer}/override", json=payload)
    health_answer = client.get(f"/customers/{customer}/health").json()
    reasons = "; ".join(reason["words"] for reason in health_answer["reasons"][:2])
    print(
        f"\n{customer}: health {health_answer['health']['score']:.0f}, in force "
        f"{health_answer['score_in_force']:.0f} as ann says: renewal is signed"
    )
    print(f"model's reasons: {reasons}")
    fine = answer.is_success and health_answer["score_in_force"] == 80.0
    return [] if fine else [f"an override did not hold: {answer.text[:200]}"]


def _planned(client: httpx.Client) -> list[str]:
    """A day from the nightly scores, its outcomes, and what they can show."""
    plan_request = {"plan_id": "today", "hours": _HOURS, "budget": _BUDGET}
    answer = client.post("/interventions/plan", json=plan_request)
    plan = answer.json()
    if not answer.is_success or not plan["interventions"]:
        return [f"no day was planned: {answer.text[:200]}"]
    print(
        f"plan over HTTP: {len(plan['interventions'])} to look after, {plan['held_out']} held out, "
        f"{plan['hours']:.1f} h, {plan['cost']:,.0f} USD; expected {plan['value']:,.0f} USD, "
        f"highest risk first {plan['other_ways']['highest risk first']:,.0f}"
    )
    first = plan["interventions"][0]
    outcome = {
        "intervention_id": first["intervention_id"],
        "delivered": True,
        "left": False,
        "observed_at": datetime.now().astimezone().isoformat(),
    }
    outcome_answer, again = (client.post("/outcomes", json=outcome).json() for _ in range(2))
    effects = client.get("/interventions/effects").json()
    print(f"first: {first['playbook']} for {first['customer_id']}; effects: {effects['words']}")
    fine = (outcome_answer.get("new"), again.get("repeated")) == (2, 2) and effects["known"] >= 1
    return [] if fine else [f"outcomes were not taken in: {outcome_answer} {again} {effects}"]
