"""From survival curves to the jobs that a week's schedule chooses among."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.maintenance.history import Floats
from lib.maintenance.schedule.problem import SLOTS, Job
from lib.survival.curves import Curves

LATER_STEP_HOURS = 24.0


@dataclass(frozen=True)
class MachineTask:
    """What a service is and what a failure costs, for one machine's component.

    Args:
        name: of the job, one a week: the machine, or machine and component.
        plant, line, skill: see `Job`.
        duration_hours: of the service.
        service_cost: labour and parts, in money.
        repair_cost: labour and parts after a failure.
        repair_hours: how long a failure keeps it standing.
        lost_per_hour: production lost for each hour that it stands as planned.
        lost_per_unplanned_hour: the same after a failure, when nobody was ready for it.
        cycle_cost_per_hour: see `cycle_cost`.
    """

    name: str
    plant: str
    line: str
    skill: str
    duration_hours: int
    service_cost: float
    repair_cost: float
    repair_hours: float
    lost_per_hour: float
    lost_per_unplanned_hour: float
    cycle_cost_per_hour: float


def jobs(
    work: Sequence[MachineTask], curves: Curves, risk_bound: float = 1.0, slots: int = SLOTS
) -> list[Job]:
    """One job for each of `work`, by the curves of the same rows, in hours from the week's start.

    Args:
        work: what is to be done.
        curves: hours from the week's start; what lies beyond their last time is not used.
        risk_bound: who fails within the week with at least this chance must be served.
        slots: hours of the week.
    """
    week = curves.at(np.arange(slots + 1.0))
    later = np.arange(LATER_STEP_HOURS, curves.times[-1] - slots + 1.0, LATER_STEP_HOURS)
    beyond = curves.at(slots + later)
    return [_job(task, week[row], later, beyond[row], risk_bound) for row, task in enumerate(work)]


def _job(task: MachineTask, week: Floats, later: Floats, beyond: Floats, risk_bound: float) -> Job:
    return Job(
        machine_id=task.name,
        plant=task.plant,
        line=task.line,
        skill=task.skill,
        crew=1,
        duration_hours=task.duration_hours,
        survival=np.minimum.accumulate(week),
        service_cost=task.service_cost,
        failure_cost=task.repair_cost + task.repair_hours * task.lost_per_unplanned_hour,
        downtime_cost_per_hour=task.lost_per_hour,
        cycle_cost_per_hour=task.cycle_cost_per_hour,
        later_hours=later,
        later_survival=np.minimum.accumulate(np.append(week[-1], beyond))[1:],
        must_serve=bool(1.0 - week[-1] >= risk_bound),
    )
