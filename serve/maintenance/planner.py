"""Weeks planned, in a deployment of their own: a solver takes a core for seconds."""

from dataclasses import asdict
from typing import Any

import numpy as np

from lib.maintenance.repository import StoredSchedule, WorkOrder
from lib.maintenance.schedule.basis import Basis, pack_curves
from lib.maintenance.schedule.costs import cost_of
from lib.maintenance.schedule.export import orders_of
from lib.maintenance.schedule.placement import other_plans
from lib.maintenance.schedule.planned_week import UnchangeableError, plan_json, read_week
from lib.maintenance.schedule.problem import ScheduleError
from lib.maintenance.schedule.request import WeekRequest
from lib.maintenance.schedule.revision import Revision, solve_again
from lib.maintenance.schedule.solve import InfeasibleWeekError, solve
from lib.maintenance.schedule.week_problem import Site, problem_of
from lib.survival.curves import Curves
from serve.framework.offload import Payload


def solve_plan(payload: Payload) -> Payload:
    """A week solved: `schedule` and `orders` as they are stored, or why there is none.

    Args:
        payload: `week` (see `WeekRequest`), `sites`, `grid`, `whole` and `modes` (curves as
            float64), `gap`, `seconds`, `id`, `created_at`, `model_version`; to plan the rest of a
            stored week again `stored`, `orders`, `basis`, `revision`, `gap`, `seconds`.

    Returns:
        `schedule`, `orders` and `basis`, or `update` of a stored week; or `refused` (`kind`, `text`
        and `shortages`), where the week cannot be planned
        or changed.
    """
    try:
        return _again(payload) if "stored" in payload else _fresh(payload)
    except InfeasibleWeekError as error:
        shortages = [str(shortage) for shortage in error.shortages]
        return {"refused": {"kind": "infeasible-week", "text": str(error), "shortages": shortages}}
    except ScheduleError as error:
        kind = "not-changeable" if isinstance(error, UnchangeableError) else "invalid-field"
        return {"refused": {"kind": kind, "text": str(error), "shortages": []}}


def _again(payload: Payload) -> Payload:
    schedule = StoredSchedule(**payload["stored"])
    orders = [WorkOrder(**order) for order in payload["orders"]]
    week = read_week(schedule, orders, payload["basis"])
    revision = Revision(**payload["revision"])
    return {"update": asdict(solve_again(week, revision, payload["gap"], payload["seconds"]))}


def _fresh(payload: Payload) -> Payload:
    week = WeekRequest.model_validate(payload["week"])
    sites = [Site(**site) for site in payload["sites"]]
    grid = np.array(payload["grid"], dtype=np.float64)
    modes = {name: _curves(grid, values) for name, values in payload["modes"].items()}
    basis = Basis(sites, _curves(grid, payload["whole"]), modes)
    problem, names = problem_of(week, sites, basis.machine_curves, modes)
    plan = solve(problem, gap=payload["gap"], seconds=payload["seconds"], threads=1)
    schedule = StoredSchedule(
        id=payload["id"],
        week_start=round(week.begin.timestamp() * 1e6),
        created_at=payload["created_at"],
        model_version=payload["model_version"],
        request=payload["week"],
        plan={
            **plan_json(problem, names, sites, plan, payload["created_at"]),
            "other_plans": {
                name: cost_of(problem, starts) for name, starts in other_plans(problem).items()
            },
        },
    )
    orders = orders_of(schedule, problem, names, plan.starts)
    return {
        "schedule": asdict(schedule),
        "orders": [asdict(order) for order in orders],
        "basis": pack_curves(basis, week.work),
    }


def _curves(grid: Any, values: bytes) -> Curves:
    return Curves(grid, np.frombuffer(values, dtype=np.float64).reshape(-1, len(grid)))
