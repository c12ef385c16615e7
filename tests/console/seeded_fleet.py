"""A plant in the records: machines with decisions over days, a planned week, and closed orders."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lib.console.source import SystemSource
from lib.maintenance.repository import StoredSchedule
from lib.maintenance.schedule.basis import Basis, pack_curves
from lib.maintenance.schedule.export import orders_of
from lib.maintenance.schedule.planned_week import plan_json
from lib.maintenance.schedule.request import WeekRequest
from lib.maintenance.schedule.solve import solve
from lib.maintenance.schedule.week_problem import Site, problem_of
from lib.records import Decision, Records
from lib.survival.curves import Curves
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions
from tests.records.review_factories import HOUR

DAY = 24 * HOUR
SCHEDULE = "week 49/north"
MACHINES = 12
MONDAY = "2026-11-30T00:00:00"
GRID = np.concatenate([np.arange(0.0, 168.0, 6.0), np.arange(168.0, 961.0, 24.0)])
_SERVICE = {
    "skill": "mechanical", "duration_hours": 4, "service_cost": 400.0, "repair_cost": 3000.0,
    "repair_hours": 14.0, "services_per_year": 2.0, "failures_per_year": 0.3,
}  # fmt: skip


def machine_ids(ids: Callable[[int], str], count: int = MACHINES) -> list[str]:
    """Ids of the plant's machines."""
    return [f"pump {ids(number)}" for number in range(1, count + 1)]


def seed_fleet(source: SystemSource, ids: Callable[[int], str], count: int = MACHINES) -> None:
    """Put a planned week into the records of the maintenance system."""
    plan_week(source, SCHEDULE, machine_ids(ids, count))


def week_request(**changes: Any) -> WeekRequest:
    """Two crews at each of two plants, few enough that they bind."""
    fields = {
        "start": MONDAY,
        "timezone": "Europe/Berlin",
        "crews": [
            {"skill": "mechanical", "shifts": {"06-14": 1}},
            {"skill": "hydraulic", "shifts": {"06-14": 1, "14-22": 1}},
        ],
        "work": {
            "bearing": {**_SERVICE, "parts": {"bearing": 1}},
            "seal": {**_SERVICE, "skill": "hydraulic", "duration_hours": 3},
        },
        "lost_per_hour": 300.0,
        "unplanned_factor": 4.0,
        "parts": {"bearing": 5},
        "budget": 5_000.0,
        **changes,
    }
    return WeekRequest.model_validate(fields)


def plan_week(
    source: SystemSource,
    schedule_id: str,
    machines: Sequence[str],
    created_at: int = NOVEMBER,
    **changes: Any,
) -> StoredSchedule:
    """A week, planned as the service plans it, with what it was computed from."""
    week = week_request(**changes)
    sites = [
        Site(machine, f"plant {number % 2}", f"line {number % 3}", 0.8)
        for number, machine in enumerate(machines)
    ]
    curves = {
        mode: _curves(len(machines), life) for mode, life in (("bearing", 900.0), ("seal", 1500.0))
    }
    overall = Curves(GRID, curves["bearing"].survival * curves["seal"].survival)
    problem, names = problem_of(week, sites, overall, curves)
    plan = solve(problem, gap=0.001, seconds=20.0, threads=1)
    schedule = StoredSchedule(
        id=schedule_id,
        week_start=round(week.begin.timestamp() * 1e6),
        created_at=created_at,
        model_version=None,
        request=week.model_dump(mode="json"),
        plan={
            **plan_json(problem, names, sites, plan, created_at),
            "other_plans": {"do nothing": plan.cost + plan.saved},
        },
    )
    orders = orders_of(schedule, problem, names, plan.starts)
    basis = pack_curves(Basis(sites, overall, curves), week.work)
    assert source.records.insert_schedule(schedule, orders, basis)
    return schedule


def _curves(count: int, life_hours: float) -> Curves:
    """Weibull lives at ages that grow from machine to machine."""
    ages = np.linspace(0.1, 1.3, count)[:, None] * life_hours
    survival = np.exp((ages / life_hours) ** 3 - ((ages + GRID) / life_hours) ** 3)
    return Curves(GRID, np.minimum.accumulate(survival, axis=1))


def decide_fleet(records: Records, ids: Callable[[int], str], count: int = MACHINES) -> None:
    """Two weeks of decisions about each machine, riskier from machine to machine and day to day."""
    rows = []
    for number, machine in enumerate(machine_ids(ids, count), 1):
        for day in range(14):
            at = NOVEMBER - 12 * HOUR - (13 - day) * DAY  # none on the day that home shows
            rows.append(machine_decision(machine, at, min(0.05 * number + 0.01 * day, 0.95)))
    keep_decisions(records, rows)


def machine_decision(machine: str, at: int, risk: float) -> Decision:
    """A decision as the service stores it."""
    hours = [0.0, 24.0, 72.0, 168.0, 720.0]
    survival = [float((1.0 - risk) ** (hour / 168.0)) for hour in hours]
    words = "temperature raises the risk: temperature_last_c is 91, usually 70"
    return decision(
        f"{machine}:{at}", system="maintenance", entities={"machine_id": machine},
        event_time=at, received_at=at + SECOND, decided_at=at + SECOND, score=risk,
        decision="SERVICE" if risk > 0.5 else "MONITOR",
        reasons=[{"what": "temperature", "words": words, "effect": 0.1}],
        features={
            "temperature_last_c": 91.0, "temperature_mean_c_24h": 88.5,
            "temperature_min_c_24h": 80.0, "temperature_max_c_24h": 93.0,
            "temperature_zscore": 3.2, "temperature_coverage_24h": 0.96,
            "vibration_last_mm_s": math.nan, "vibration_coverage_24h": 0.25,
        },
        answer={
            "reason": "fails within 168 h", "likely_mode": "bearing", "median_hours": 300.0,
            "failure_within": {"24h": risk / 6, "7d": risk, "30d": None},
            "survival": [
                {"hours": hour, "survival": value, "low": value * 0.9, "high": value**0.5}
                for hour, value in zip(hours, survival, strict=True)
            ],
            "sensor_faults": [{"sensor": "vibration", "fault": "missing", "value": None}],
        },
    )  # fmt: skip
