"""The maintenance part of the demonstration: train, score, plan a week, deploy, predict, learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from cluster.demo_pipeline import DemoJob
from cluster.demo_steps import Answer, Columns, Step, fields, holds, refused, success
from cluster.demo_system import Application, System
from lib.maintenance.machine_kind import KIND_FILE
from lib.maintenance.simulation.config import COMPONENTS, FleetConfig

_WEEKS = 44
_HOURS_TOLD = 744
_SKILLS = {"bearing": "mechanical", "seal": "hydraulic", "motor": "electrical"}
_TABLES = ("errors", "maintenance", "failures", "machines")


_COLUMNS: Columns = {
    "HTTP": "{http}",
    "decision": "{decision}",
    "7 d": "{failure_within[7d]:.1%}",
    "30 d": "{failure_within[30d]:.1%}",
    "median": lambda answer: f"{answer['median_hours'] / 24:.0f} d",
    "by": "{method}",
}
_SOURCES = " ".join(
    [
        "--telemetry={folder}/fleet/telemetry --mapping-telemetry={folder}/fleet/telemetry.yaml",
        *(f"--{name}={{folder}}/fleet/{name}.parquet" for name in _TABLES),
    ]
)
_JOBS = (
    DemoJob(
        "simulate",
        "simulating machines",
        2,
        """simulate --output={folder}/fleet --machines={machines} --plants=4 --weeks={weeks}
        --share-of-life=0.95""",
    ),
    DemoJob(
        "features",
        "making rows on Ray Data",
        15,
        f"features {_SOURCES} --kind={{kind}} --output={{folder}}/features",
    ),
    DemoJob(
        "train",
        "training: folds, Cox and network in the driver, as rows are few",
        60,
        """train --features={folder}/features --output={folder}/training
        --registry={folder}/registry --alias=champion --quick --simulated --source={source}
        --engine=process""",
    ),
    DemoJob(
        "score",
        "scoring every machine on Ray Data",
        15,
        f"score {_SOURCES} --output={{folder}}/scores --registry={{folder}}/registry",
    ),
    DemoJob(
        "schedule",
        "planning the week",
        1,
        """schedule --scores={folder}/scores --week={folder}/week.yaml
        --machines={folder}/fleet/machines.parquet --output={folder}/plan""",
    ),
)
_SETTINGS = """
    machine_store=sqlite:///{folder}/machines.sqlite front={replica} planner={replica}"""


def prepare(system: System, machines: int) -> None:
    """Trains, scores and plans on a Ray head that runs; files go to the system's folder."""
    values = {"machines": machines, "weeks": _WEEKS, "source": "simulated fleet"}
    submission = system.submit(_JOBS, kind=KIND_FILE, **values)
    submission.wait("simulate")
    # long before the plan, which reads it
    week = yaml.safe_dump(_week(system.folder / "fleet"), sort_keys=False)
    (system.folder / "week.yaml").write_text(week)
    submission.wait()


def show(system: System) -> Application:
    """Deploys what was prepared and talks to it."""
    app = system.deploy(_SETTINGS)
    fleet = system.folder / "fleet"
    names = system.scores().sort_by("failure_within_7d")["machine_id"].to_pylist()
    names = [*names[-2:], *names[:3]]
    news = _news(fleet, names)
    at = (FleetConfig().start + timedelta(weeks=_WEEKS)).isoformat()
    system.runner.run([_readings(app, news)])
    requests = _requests(app, names, news, at)
    system.runner.tabulate(f"asking {app.url}/predict", requests, "machine", _COLUMNS)
    system.runner.run(_work_orders(app, fleet, names, at))
    system.close(app, "plan      {path}/plan/report.html, plan.csv, plan.ics")
    return app


def _readings(app: Application, news: dict[str, dict[str, Any]]) -> Step:
    """A month of readings; the fourth machine gets too hot, a sensor of the fifth is stuck."""
    *_, hot, stuck = news.values()
    hot["readings"][-1]["sensors"]["temperature"] = 131.0
    for reading in stuck["readings"][-9:]:
        reading["sensors"]["vibration"] = 2.0
    return Step(
        f"telling {app.url}/readings a month of readings",
        lambda: app.post("/readings", list(news.values())),
        success,
    )


def _requests(app: Application, names: list[str], news: dict[str, Any], at: str) -> Iterator[Step]:
    """Machines as the nightly job scored them, machines of rules, and what is refused."""
    second, riskiest, safest, hot, stuck = names
    high = f"riskiest {riskiest}"

    def predict(name: str, machine: str, expect: Callable[[Answer], str]) -> Step:
        return app.ask(name, "/predict", {"machine_id": machine, "at": at}, expect)

    yield predict(high, riskiest, success)
    yield predict(f"second {second}", second, success)
    alone = holds(
        lambda answer: (
            answer["decision"] == "MONITOR"
            and answer["failure_within"]["7d"] < app.answers[high]["failure_within"]["7d"]
        ),
        "is not left alone, or is as risky as the riskiest",
    )
    yield predict(f"safest {safest}", safest, alone)
    yield predict(f"hot {hot}", hot, fields(decision="STOP"))
    yield predict(f"stuck {stuck}", stuck, fields(decision="INSPECT"))
    unknown = {"machine_id": "nobody"}
    yield app.ask("unknown machine", "/predict", unknown, fields(http=404))
    late = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    for name, reading in {
        "sensor never seen": {**news[safest]["readings"][-1], "sensors": {"vibraton": 2.0}},
        "clock ahead": {"event_time": late, "sensors": {"rpm": 1.0}},
    }.items():
        body = {"machine_id": safest, "readings": [reading]}
        yield app.ask(name, "/readings", body, refused)
    yield app.wrong_key("/predict", {"machine_id": safest})


def _work_orders(app: Application, fleet: Path, names: list[str], at: str) -> Iterator[Step]:
    """Plans the machines that were told of, and closes the first work order."""
    rows = pq.read_table(fleet / "machines.parquet").to_pylist()
    sites = {row["machine_id"]: row for row in rows}
    columns = ("machine_id", "plant", "line", "criticality")
    body = {
        "machines": [{column: sites[name][column] for column in columns} for name in names],
        "week": {**_week(fleet), "must_serve": names[1:2]},
        "at": at,
    }
    name = "planning the week over HTTP"
    planned = holds(lambda plan: bool(plan["orders"]), "no week was planned")
    yield app.ask(name, "/schedules", body, planned, _schedule)
    order = app.answers[name]["orders"][0]
    outcome = {"result": "done", "event_time": order["ends_at"]}
    outcome |= {"cost": 410.0, "downtime_hours": 4.0}
    path, part = f"/work_orders/{order['order_id']}/outcome", order["component"]
    yield app.ask(f"closing work order {order['order_id']}", path, outcome, success)
    yield app.ask("closing it again", path, outcome, fields(repeated=True))
    yield Step(
        "reading when the machine was served",
        lambda: app.get(f"/machines/{order['machine_id']}")["hours_since_service"],
        holds(lambda hours: hours[part] == 0.0, "the outcome did not feed back"),
        lambda hours: f"{part} served {hours[part]:.0f} h ago",
    )


def _schedule(plan: Answer) -> str:
    return (
        f"week of {plan['week_start'][:10]}: {len(plan['orders'])} services, "
        f"{plan['saved']:,.0f} {plan['currency']} less than none, gap {plan['gap']:.2%} "
        f"in {plan['seconds']:.1f} s"
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
