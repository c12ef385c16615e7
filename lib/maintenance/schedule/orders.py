"""A plan as work orders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.repository import StoredSchedule, WorkOrder
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, parts_of
from lib.maintenance.schedule.problem import Problem
from lib.maintenance.schedule.request import WHOLE
from lib.maintenance.schedule.solve import Plan
from lib.maintenance.schedule.week_problem import Named


def orders_of(
    schedule: StoredSchedule, problem: Problem, names: Sequence[Named], plan: Plan
) -> list[WorkOrder]:
    """One order for each service of the plan, by start."""
    orders = []
    for index in np.argsort(plan.starts, kind="stable").tolist():
        start = int(plan.starts[index])
        if start == NOT_THIS_WEEK:
            continue
        job, name = problem.jobs[index], names[index]
        costs = parts_of(job, problem.week, start)
        waiting = parts_of(job, problem.week, NOT_THIS_WEEK).total
        begins = schedule.week_start + start * HOUR_US
        orders.append(
            WorkOrder(
                id=f"{schedule.id}-{index}",
                schedule_id=schedule.id,
                machine_id=name.machine_id,
                component=None if name.component == WHOLE else name.component,
                plant=job.plant,
                line=job.line,
                skill=job.skill,
                starts_at=begins,
                ends_at=begins + job.duration_hours * HOUR_US,
                expected={
                    "failure_this_week": 1.0 - float(job.survival[-1]),
                    "cost": costs.total,
                    "saved": waiting - costs.total,
                },
                created_at=schedule.created_at,
            )
        )
    return orders
