"""The maintenance part of the demonstration: train, score, plan a week, deploy, predict, learn."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from cluster.demo_steps import Shown, deploy, must, new_key, short, table
from cluster.local import ROOT, LocalHead
from lib.maintenance.machine_kind import KIND_FILE
from lib.maintenance.simulation import COMPONENTS, FleetConfig

_WEEKS, _SHARE_OF_LIFE = 44, 0.95
_HOURS_TOLD = 744
_SKILLS = {"bearing": "mechanical", "seal": "hydraulic", "motor": "electrical"}
_HEADER = ("machine", "HTTP", "decision", "7 d", "30 d", "median", "by", "why")
_TABLES = ("errors", "maintenance", "failures", "machines")


def prepare(head: LocalHead, folder: Path, machines: int, say: Callable[[str], None]) -> None:
    """Trains, scores and plans on a Ray head that runs; files go to `folder`."""
    folder.mkdir()
    (folder / "log").mkdir()
    _train(head, folder, machines, say)
    say("scoring every machine and planning the week")
    _plan(head, folder)


def show(head: LocalHead, folder: Path, say: Callable[[str], None]) -> Shown:
    """Deploys what was prepared and talks to it; Serve's proxy runs."""
    say("deploying the maintenance application on Ray Serve")
    url, key = _deploy(head, folder)
    say(f"telling {url}/readings a month of readings, and asking {url}/predict")
    faults = _talk(url, key, folder)
    relative_path = os.path.relpath(folder, ROOT)
    print(f"\nreport    {relative_path}/training/report.html (and report.json)")
    print(f"plan      {relative_path}/plan/report.html, plan.csv, plan.ics")
    print(f"records   {relative_path}/records.sqlite, log {relative_path}/log/decisions.jsonl")
    print(f"\nURL {url}\nkey {key}\nAPI page {url}/docs")
    return Shown(url, faults)


def _sources(fleet: Path) -> list[str]:
    named = [f"--{name}={fleet / name}.parquet" for name in _TABLES]
    return [
        f"--telemetry={fleet / 'telemetry'}",
        f"--mapping-telemetry={fleet / 'telemetry.yaml'}",
        *named,
    ]


def _train(head: LocalHead, folder: Path, machines: int, say: Callable[[str], None]) -> None:
    job, fleet = ("python", "-m"), folder / "fleet"
    say(f"simulating {machines} machines over {_WEEKS} weeks")
    must(
        head.submit(
            *job,
            "jobs.maintenance.simulate",
            f"--output={fleet}",
            f"--machines={machines}",
            "--plants=4",
            f"--weeks={_WEEKS}",
            f"--share-of-life={_SHARE_OF_LIFE}",
        ),
        "the simulation",
    )
    say("training through the Jobs API: rows on Ray Data, folds as tasks, network by Ray Train")
    must(
        head.submit(
            *job,
            "jobs.maintenance.features",
            *_sources(fleet),
            f"--kind={KIND_FILE}",
            f"--output={folder / 'features'}",
        ),
        "the features job",
    )
    must(
        head.submit(
            *job,
            "jobs.maintenance.train",
            f"--features={folder / 'features'}",
            f"--output={folder / 'training'}",
            f"--registry={folder / 'registry'}",
            "--alias=champion",
            "--quick",
            "--simulated",
            "--source=simulated fleet",
        ),
        "the training job",
    )


def _plan(head: LocalHead, folder: Path) -> None:
    job, fleet = ("python", "-m"), folder / "fleet"
    must(
        head.submit(
            *job,
            "jobs.maintenance.score",
            *_sources(fleet),
            f"--output={folder / 'scores'}",
            f"--registry={folder / 'registry'}",
        ),
        "the scoring job",
    )
    (folder / "week.yaml").write_text(yaml.safe_dump(_week(fleet), sort_keys=False))
    must(
        head.submit(
            *job,
            "jobs.maintenance.schedule",
            f"--scores={folder / 'scores'}",
            f"--week={folder / 'week.yaml'}",
            f"--machines={fleet / 'machines.parquet'}",
            f"--output={folder / 'plan'}",
        ),
        "the scheduling job",
    )


def _week(fleet: Path) -> dict[str, Any]:
    """The week after the simulated past: crews, costs, and how often things were served so far."""
    past = pq.read_table(fleet / "maintenance.parquet").to_pylist()
    count = pq.read_table(fleet / "machines.parquet").num_rows
    years = count * _WEEKS / 52.18
    start = FleetConfig().start + timedelta(weeks=_WEEKS)

    def often(component: str, kind: str) -> float:
        services = [(row["component"], row["maintenance_type"]) for row in past]
        return round(services.count((component, kind)) / years, 3)

    return {
        "start": start.isoformat(),
        "crews": [
            {"skill": skill, "shifts": {"06-14": 1, "14-22": 1}, "weekend": 1.0}
            for skill in _SKILLS.values()
        ],
        "work": {
            part.name: {
                "skill": _SKILLS[part.name],
                "duration_hours": part.service_hours,
                "service_cost": part.service_cost,
                "repair_cost": part.repair_cost,
                "repair_hours": part.repair_hours,
                "services_per_year": often(part.name, "scheduled"),
                "failures_per_year": often(part.name, "corrective"),
            }
            for part in COMPONENTS
        },
        "lost_per_hour": 900.0,
        "unplanned_factor": 9.0,
        "production": {"06-22": 1.15, "22-06": 0.7},
        "risk_bound": 0.5,
    }


def _deploy(head: LocalHead, folder: Path) -> tuple[str, str]:
    keys = folder / "keys.json"
    scopes = [f"maintenance:{scope}" for scope in ("score", "label", "review", "read")]
    key = new_key(head, keys, scopes)
    arguments = {
        "registry": folder / "registry",
        "machine_store": f"sqlite:///{folder / 'machines.sqlite'}",
        "records": f"sqlite:///{folder / 'records.sqlite'}",
        "journal": folder / "journal",
        "models": folder / "models",
        "api_keys": keys,
        "log": folder / "log" / "decisions.jsonl",
        # one of each is enough to look at; production keeps two
        "front": json.dumps({"min": 1, "cpus": 0.25}),
        "planner": json.dumps({"min": 1, "cpus": 0.25}),
    }
    return deploy(head, "maintenance", arguments, folder / "log" / "serve.log"), key


def _talk(url: str, key: str, folder: Path) -> list[str]:
    """Readings, predictions, a schedule, an outcome, bad input; what was not as it should be."""
    fleet = folder / "fleet"
    scores = pa.concat_tables(
        [pq.read_table(file) for file in sorted((folder / "scores/data").glob("*.parquet"))]
    ).sort_by("failure_within_7d")
    names = scores["machine_id"].to_pylist()
    at = (FleetConfig().start + timedelta(weeks=_WEEKS)).isoformat()
    news = _news(fleet, [names[-1], names[-2], *names[:3]])
    hot, stuck = names[1], names[2]
    news[hot]["readings"][-1]["sensors"]["temperature"] = 131.0
    for reading in news[stuck]["readings"][-9:]:
        reading["sensors"]["vibration"] = 2.0
    headers = {"Authorization": f"Bearer {key}", "X-Deadline-Ms": "30000"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        client.post("/readings", json=list(news.values())).raise_for_status()
        machine_ids = {
            "riskiest": names[-1],
            "second": names[-2],
            "safest": names[0],
            "hot": hot,
            "stuck": stuck,
        }
        answers = {
            word: client.post("/predict", json={"machine_id": name, "at": at})
            for word, name in machine_ids.items()
        }
        answers |= _bad(client, names[0], news)
        rows = [
            _row(f"{word} {machine_ids.get(word, '')}", answer) for word, answer in answers.items()
        ]
        print(table([_HEADER, *rows]))
        return _faults(answers) + _schedule(client, fleet, names[-2:] + names[:3], at)


def _news(fleet: Path, machines: list[str]) -> dict[str, dict[str, Any]]:
    """What a caller tells of each machine: its last month, its codes, its services."""
    telemetry = pa.concat_tables(
        [pq.read_table(file) for file in sorted((fleet / "telemetry").glob("*.parquet"))[-6:]]
    )
    errors = pq.read_table(fleet / "errors.parquet").to_pylist()
    services = pq.read_table(fleet / "maintenance.parquet").to_pylist()
    ids = np.array(telemetry["machine_id"].to_pylist())
    news_by_machine = {}
    for name in machines:
        rows = telemetry.filter(ids == name).sort_by("event_time").to_pylist()[-_HOURS_TOLD:]
        news_by_machine[name] = {
            "machine_id": name,
            "readings": [
                {
                    "event_time": row.pop("event_time").isoformat(),
                    "sensors": {key: row[key] for key in row if key != "machine_id"},
                }
                for row in rows
            ],
            "errors": _of(errors, name, "error_code"),
            "services": _of(services, name, "component"),
        }
    return news_by_machine


def _of(rows: list[dict[str, Any]], machine: str, column: str) -> list[dict[str, Any]]:
    return [
        {"event_time": row["event_time"].isoformat(), column: row[column]}
        for row in rows
        if row["machine_id"] == machine
    ]


def _bad(client: httpx.Client, machine: str, news: dict[str, Any]) -> dict[str, httpx.Response]:
    """What is refused."""
    late = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    sensor = {"event_time": late, "sensors": {"rpm": 1.0}}
    wrong = {**news[machine]["readings"][-1], "sensors": {"vibraton": 2.0}}
    return {
        "unknown machine": client.post("/predict", json={"machine_id": "nobody"}),
        "sensor never seen": client.post(
            "/readings", json={"machine_id": machine, "readings": [wrong]}
        ),
        "clock ahead": client.post("/readings", json={"machine_id": machine, "readings": [sensor]}),
        "with a wrong key": client.post(
            "/predict",
            json={"machine_id": machine},
            headers={"Authorization": "Bearer fw_nobody_nothing"},
        ),
    }


def _schedule(client: httpx.Client, fleet: Path, machines: list[str], at: str) -> list[str]:
    """Plans the machines that were told of, and closes the first work order."""
    sites = {
        row["machine_id"]: row for row in pq.read_table(fleet / "machines.parquet").to_pylist()
    }
    fields = ("machine_id", "plant", "line", "criticality")
    schedule_request = {
        "machines": [{name: sites[machine_id][name] for name in fields} for machine_id in machines],
        "week": {**_week(fleet), "must_serve": machines[-4:-3]},
        "at": at,
    }
    answer = client.post("/schedules", json=schedule_request)
    plan = answer.json()
    if not answer.is_success or not plan["orders"]:
        return [f"no week was planned: {answer.text[:200]}"]
    print(
        f"\nweek of {plan['week_start'][:10]} over HTTP: {len(plan['orders'])} services, "
        f"{plan['saved']:,.0f} {plan['currency']} less than none, gap {plan['gap']:.2%} "
        f"in {plan['seconds']:.1f} s"
    )
    order = plan["orders"][0]
    outcome = {
        "result": "done",
        "event_time": order["ends_at"],
        "cost": 410.0,
        "downtime_hours": 4.0,
    }
    path = f"/work_orders/{order['order_id']}/outcome"
    closed, again = (client.post(path, json=outcome) for _ in range(2))
    machine = client.get(f"/machines/{order['machine_id']}").json()
    since = machine["hours_since_service"][order["component"]]
    print(f"work order {order['order_id']} closed; {order['component']} served {since:.0f} h ago")
    fine = closed.is_success and again.json().get("repeated") is True and since == 0.0
    return [] if fine else [f"the outcome did not feed back: {closed.text[:200]}"]


def _row(label: str, answer: httpx.Response) -> tuple[str, ...]:
    body = answer.json()
    probabilities = body.get("failure_within") or {}
    median = body.get("median_hours")
    return (
        label,
        str(answer.status_code),
        body.get("decision", "-"),
        *(
            f"{probabilities[key]:.1%}" if probabilities.get(key) is not None else "-"
            for key in ("7d", "30d")
        ),
        "-" if median is None else f"{median / 24:.0f} d",
        body.get("method", "-"),
        short(body.get("reason") or body.get("detail") or ""),
    )


def _faults(answers: dict[str, httpx.Response]) -> list[str]:
    """What was not answered as it should be."""
    bodies = {word: answer.json() for word, answer in answers.items()}
    risk = {word: bodies[word]["failure_within"]["7d"] for word in ("riskiest", "safest")}
    checks = {
        "the riskiest machine is not riskier than the safest": risk["riskiest"] > risk["safest"],
        "the safest is not left alone": bodies["safest"]["decision"] == "MONITOR",
        "a temperature above its bound does not stop": bodies["hot"]["decision"] == "STOP",
        "a stuck sensor is not inspected": bodies["stuck"]["decision"] == "INSPECT",
        "an unknown machine is not a 404": answers["unknown machine"].status_code == 404,
        "a sensor never seen is not a 422": answers["sensor never seen"].status_code == 422,
        "a clock that is ahead is not a 422": answers["clock ahead"].status_code == 422,
        "a wrong key is not a 401": answers["with a wrong key"].status_code == 401,
    }
    return [fault for fault, fine in checks.items() if not fine]
