"""Plan of a week: which machines are served, when and by whom."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256

from jobs import ingestion
from jobs.framework.progress import progress
from jobs.maintenance.schedule import ScheduleConfig
from jobs.publishing import store_report
from lib.contract import ContractError
from lib.declaration import load_declaration, read_yaml_text
from lib.maintenance.contracts import MACHINES
from lib.maintenance.model.scores import curves_of_scores
from lib.maintenance.repository import StoredSchedule, WorkOrder, WorkOrderRepository
from lib.maintenance.schedule.basis import Basis, pack_curves
from lib.maintenance.schedule.export import calendar, orders_of, table
from lib.maintenance.schedule.placement import other_plans
from lib.maintenance.schedule.planned_week import plan_json
from lib.maintenance.schedule.problem import Problem
from lib.maintenance.schedule.report import schedule_report
from lib.maintenance.schedule.request import WeekRequest
from lib.maintenance.schedule.solve import Plan, solve
from lib.maintenance.schedule.solver import Progress
from lib.maintenance.schedule.week_problem import Named, Site, from_week_start, problem_of
from lib.records.models import Json
from lib.storage import Storage, open_dataset, open_storage
from lib.survival.curves import Curves


@dataclass(frozen=True)
class _Scores:
    """What was scored, and when."""

    machines: list[str]
    overall_curves: Curves
    by_mode: dict[str, Curves]
    version: str
    at_us: int


def plan_week(config: ScheduleConfig) -> str:
    """Plan and write; returns the folder or URI of the plan."""
    request = _request(config.week)
    scores = _scores(config.scores)
    sites = _sites(config, scores.machines)
    by_mode = {
        name: from_week_start(request, scores.at_us, curves)
        for name, curves in scores.by_mode.items()
    }
    overall_curves = from_week_start(request, scores.at_us, scores.overall_curves)
    problem, names = problem_of(request, sites, overall_curves, by_mode)
    plan = _solved(config, problem)
    stored = _schedule(config, request, plan, scores, sites)
    fresh = config.records is None or _kept(
        config.records,
        replace(
            stored,
            plan={**plan_json(problem, names, sites, plan, stored.created_at), "other_plans": {}},
        ),
        orders_of(stored, problem, names, plan.starts),
        pack_curves(Basis(sites, overall_curves, by_mode), request.work),
    )
    output = open_storage(config.output)
    _write(config, output, request, problem, plan, stored)
    print(_closing_lines(config, output, names, plan, request, stored))
    if not fresh:
        print("           it was kept before with the same request; its work orders stay")
    return output.address()


def _request(path: str) -> WeekRequest:
    origin = f"--week: {path}"
    text = read_yaml_text(path, origin, ContractError)
    return load_declaration(text, WeekRequest, origin, ContractError)


def _scores(folder: str) -> _Scores:
    storage = open_storage(folder)
    note = json.loads(storage.read("scores.json") or b"{}")
    if not note:
        raise ContractError(
            f"--scores: {folder}: expected the output of jobs.maintenance.score, finished"
        )
    rows = open_dataset(storage, "data").to_table().sort_by("machine_id")
    overall_curves, by_mode = curves_of_scores(rows, note["grid_hours"])
    at_us = round(datetime.fromisoformat(note["scored_at"]).timestamp() * 1e6)
    machines = rows["machine_id"].to_pylist()
    return _Scores(machines, overall_curves, by_mode, note["model_version"], at_us)


def _sites(config: ScheduleConfig, machines: list[str]) -> list[Site]:
    if config.machines is None:
        return [Site(machine_id) for machine_id in machines]
    mapping = ingestion.mapping_for(MACHINES, config.mapping_machines, config.machines)
    quarantine = open_storage(config.output).address("quarantine")
    listed = ingestion.deduplicate(
        ingestion.read_whole(mapping, config.machines), mapping.contract, "machine_id", quarantine
    )
    rows = {row["machine_id"]: row for row in listed.to_pylist()}
    missing = [machine_id for machine_id in machines if machine_id not in rows]
    if missing:
        raise ContractError(
            f"--machines: {len(missing)} of {len(machines)} scored machines are not listed, for "
            f"instance {missing[0]!r}"
        )
    if unscored := sorted({*rows} - {*machines}):
        print(
            f"{len(unscored):,} listed machines have no score and are not planned, for instance "
            f"{unscored[0]!r}"
        )
    return [
        Site(
            machine_id,
            rows[machine_id]["plant"] or "",
            rows[machine_id]["line"] or "",
            1.0 if rows[machine_id]["criticality"] is None else rows[machine_id]["criticality"],
        )
        for machine_id in machines
    ]


def _solved(config: ScheduleConfig, problem: Problem) -> Plan:
    closed = 0

    with progress(100, "gap closed", "%") as done:

        def show(solved: Progress) -> None:
            nonlocal closed
            now = round(100.0 * max(0.0, 1.0 - min(solved.gap, 1.0)))
            done(now - closed)
            closed = now

        return solve(
            problem,
            gap=config.gap,
            seconds=config.seconds,
            threads=config.threads,
            on_progress=show,
        )


def _kept(
    records: str, stored: StoredSchedule, orders: list[WorkOrder], basis: dict[str, Json]
) -> bool:
    """Whether the schedule was new to the database."""
    book = WorkOrderRepository(records)
    try:
        book.migrate()
        return book.insert_schedule(stored, orders, basis)
    finally:
        book.close()


def _schedule(
    config: ScheduleConfig,
    request: WeekRequest,
    plan: Plan,
    scores: _Scores,
    sites: list[Site],
) -> StoredSchedule:
    """The schedule under an id of what it was made from: the same job again names the same one."""
    now = time.time_ns() // 1000
    inputs = [
        *(request.model_dump(mode="json"), scores.version, scores.at_us),
        *([asdict(site) for site in sites], config.gap, config.seconds),
    ]
    digest = sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]
    return StoredSchedule(
        id=f"{request.begin:%Y%m%d}-{digest}",
        week_start=round(request.begin.timestamp() * 1e6),
        created_at=now,
        model_version=scores.version,
        request=request.model_dump(mode="json"),
        plan={**asdict(plan), "starts": plan.starts.tolist()},
    )


def _write(
    config: ScheduleConfig,
    output: Storage,
    request: WeekRequest,
    problem: Problem,
    plan: Plan,
    stored: StoredSchedule,
) -> None:
    others = other_plans(problem) if config.compare else {}
    page = schedule_report(problem, plan, others, request.currency)
    stamp = datetime.fromtimestamp(stored.created_at / 1e6, UTC)
    output.write("plan.csv", table(problem, plan.starts))
    output.write("plan.ics", calendar(problem, plan.starts, stamp))
    store_report(page, output)
    output.write("plan.json", json.dumps(asdict(stored), indent=2).encode())


def _closing_lines(
    config: ScheduleConfig,
    output: Storage,
    names: list[Named],
    plan: Plan,
    request: WeekRequest,
    stored: StoredSchedule,
) -> str:
    served = int((plan.starts >= 0).sum())
    machines = len({name.machine_id for name in names})
    state = "" if plan.finished else " (time limit)"
    return "\n".join(
        [
            f"{served} services for {machines} machines, week of {request.begin:%Y-%m-%d}: "
            f"expected cost {plan.cost:,.0f} {request.currency}, {plan.saved:,.0f} less than none; "
            f"gap {plan.gap:.2%} in {plan.seconds:.1f} s{state}",
            f"schedule:  {stored.id}"
            + (f" in {config.records.split('@')[-1]}" if config.records else ", not kept"),
            *(
                f"{name.rpartition('.')[2] + ':':10} {output.shown(name)}"
                for name in ("plan.csv", "plan.ics", "report.html")
            ),
        ]
    )
