"""Weeks planned, in a deployment of their own: a solver takes a core for seconds."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lib.maintenance.repository import StoredSchedule
from lib.maintenance.schedule.costs import cost_of
from lib.maintenance.schedule.export import calendar, orders_of, table
from lib.maintenance.schedule.placement import other_plans
from lib.maintenance.schedule.problem import ScheduleError
from lib.maintenance.schedule.request import WeekRequest
from lib.maintenance.schedule.solve import InfeasibleWeekError, solve
from lib.maintenance.schedule.week_problem import Site, problem_of
from lib.survival.curves import Curves
from serve.framework.offload import Payload


def solve_plan(payload: Payload) -> Payload:
    """A week solved: `schedule` and `orders` as they are stored, or why there is none.

    Args:
        payload: `week` (see `WeekRequest`), `sites`, `grid`, `whole` and `modes` (curves as
            float64), `gap`, `seconds`, `id`, `created_at`, `model_version`.

    Returns:
        also `refused` (`kind`, `text` and `shortages`), where the week cannot be planned.
    """
    week = WeekRequest.model_validate(payload["week"])
    sites = [Site(**site) for site in payload["sites"]]
    grid = np.array(payload["grid"], dtype=np.float64)
    overall_curves, modes = _curves(grid, payload["whole"]), payload["modes"]
    by_mode = {name: _curves(grid, values) for name, values in modes.items()}
    try:
        problem, names = problem_of(week, sites, overall_curves, by_mode)
        plan = solve(problem, gap=payload["gap"], seconds=payload["seconds"], threads=1)
    except ScheduleError as error:
        return {"refused": {"kind": "invalid-field", "text": str(error), "shortages": []}}
    except InfeasibleWeekError as error:
        shortages = [str(shortage) for shortage in error.shortages]
        return {"refused": {"kind": "infeasible-week", "text": str(error), "shortages": shortages}}
    stamp = datetime.fromtimestamp(payload["created_at"] / 1e6, UTC)
    schedule = StoredSchedule(
        id=payload["id"],
        week_start=round(week.begin.timestamp() * 1e6),
        created_at=payload["created_at"],
        model_version=payload["model_version"],
        request=payload["week"],
        plan={
            **{name: value for name, value in asdict(plan).items() if name != "starts"},
            "starts": plan.starts.tolist(),
            "other_plans": {
                name: cost_of(problem, starts) for name, starts in other_plans(problem).items()
            },
            "csv": table(problem, plan.starts).decode(),
            "ics": calendar(problem, plan.starts, stamp).decode(),
        },
    )
    orders = orders_of(schedule, problem, names, plan)
    return {"schedule": asdict(schedule), "orders": [asdict(order) for order in orders]}


def _curves(grid: Any, values: bytes) -> Curves:
    return Curves(grid, np.frombuffer(values, dtype=np.float64).reshape(-1, len(grid)))
