"""A week that was planned: as it is stored, and as it is read again to be changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.repository import StoredSchedule, WorkOrder, WorkOrderRepository
from lib.maintenance.schedule.basis import pack_sites, unpack_basis
from lib.maintenance.schedule.binding import LeftOutService, binding, left_out
from lib.maintenance.schedule.costs import NOT_THIS_WEEK
from lib.maintenance.schedule.export import calendar, table
from lib.maintenance.schedule.placement import all_start_costs
from lib.maintenance.schedule.problem import Ints, Problem, ScheduleError
from lib.maintenance.schedule.request import WeekRequest
from lib.maintenance.schedule.solve import Plan
from lib.maintenance.schedule.week_problem import Named, Site, problem_of
from lib.records.models import Json


class UnchangeableError(ScheduleError):
    """The schedule, or the service, can no longer be changed."""


@dataclass(frozen=True)
class PlannedWeek:
    """A stored schedule with the problem that it solves.

    Attributes:
        schedule: as stored.
        request: the week, with the locks of people.
        problem: jobs and week.
        names: (n,) whose jobs they are.
        starts: (n,) of the plan.
        closed: numbers of jobs whose work order is closed.
    """

    schedule: StoredSchedule
    request: WeekRequest
    problem: Problem
    names: Sequence[Named]
    starts: Ints
    closed: frozenset[int]

    def number_of(self, name: Named) -> int:
        """Number of a job.

        Raises:
            ScheduleError: the machine is not planned, or not this component of it.
        """
        if name not in self.names:
            raise ScheduleError(
                "machine_id: expected a machine and component of this schedule, got "
                f"'{name.machine_id}' and '{name.component}'"
            )
        return self.names.index(name)

    def slot_at(self, now: int) -> int:
        """The first slot that begins at a time (microseconds UTC) or later; below 0 before."""
        return -((self.schedule.week_start - now) // HOUR_US)

    def time_of(self, start: int) -> int | None:
        """When a slot begins, microseconds since 1970 UTC; None for `NOT_THIS_WEEK`."""
        return None if start == NOT_THIS_WEEK else self.schedule.week_start + start * HOUR_US


def load_week(repository: WorkOrderRepository, schedule_id: str) -> PlannedWeek:
    """Read a schedule and what it was computed from.

    Raises:
        UnknownOrderError: there is none of that id.
        UnchangeableError: what it was computed from was not stored, or is not of these machines.
    """
    schedule, orders = repository.find_schedule(schedule_id)
    basis = repository.find_basis(schedule_id)
    return read_week(schedule, orders, basis)


def read_week(schedule: StoredSchedule, orders: Sequence[WorkOrder], packed: Any) -> PlannedWeek:
    """See `load_week`; `packed` is of `pack_curves`, None where it was not stored."""
    sites: Any = schedule.plan.get("sites")
    if packed is None or sites is None:
        raise UnchangeableError(
            f"schedule '{schedule.id}' was stored without the curves that it was planned by, so a "
            "change of it has no cost; plan the week again"
        )
    request = WeekRequest.model_validate(schedule.request)
    try:
        basis = unpack_basis(packed, sites)
        problem, names = problem_of(request, basis.sites, basis.machine_curves, basis.by_mode)
    except ScheduleError as error:
        raise UnchangeableError(f"schedule '{schedule.id}': {error}") from error
    stored: Any = schedule.plan["starts"]
    starts = np.array(stored, dtype=np.int64)
    if starts.shape != (len(names),):
        raise UnchangeableError(f"schedule '{schedule.id}' is not of the machines that it names")
    numbers = {order_id(schedule.id, index): index for index in range(len(names))}
    closed = {numbers[order.id] for order in orders if order.closed_at and order.id in numbers}
    return PlannedWeek(schedule, request, problem, names, starts, frozenset(closed))


def order_id(schedule_id: str, number: int) -> str:
    """Id of the work order of a job of a schedule."""
    return f"{schedule_id}-{number}"


def plan_json(
    problem: Problem, names: Sequence[Named], sites: Sequence[Site], plan: Plan, created_at: int
) -> dict[str, Json]:
    """A plan as it is stored.

    Args:
        problem: the week.
        names: (n,) whose jobs they are.
        sites: machines.
        plan: of `solve`.
        created_at: when it was made, microseconds since 1970 UTC.
    """
    numbers = {name: value for name, value in asdict(plan).items() if name != "starts"}
    shown = shown_json(problem, names, plan.starts, created_at, revision=0)
    return {**numbers, **shown, "sites": pack_sites(sites)}


def shown_json(
    problem: Problem, names: Sequence[Named], starts: Ints, at: int, revision: int
) -> dict[str, Json]:
    """What of a stored plan follows from its starts (n,): exports, and what binds."""
    stamp = datetime.fromtimestamp(at / 1e6, UTC)
    costs = all_start_costs(problem)
    return {
        "starts": starts.tolist(),
        "revision": revision,
        "csv": table(problem, starts).decode(),
        "ics": calendar(problem, starts, stamp, revision).decode(),
        "binding": [each.to_json() for each in binding(problem, starts, costs)],
        "left_out": [_left_out(each) for each in left_out(problem, names, starts, costs)],
    }


def free_problem(week: PlannedWeek, now: int) -> Problem:
    """The week's problem from a time (microseconds UTC) on.

    Services that are closed or have begun stay where they are, also those that were not done: their
    orders are closed. Nothing else may begin in the past.
    """
    first = week.slot_at(now)
    past = frozenset(range(min(max(first, 0), week.problem.week.slots)))
    jobs = []
    for index, (job, start) in enumerate(zip(week.problem.jobs, week.starts.tolist(), strict=True)):
        is_fixed = index in week.closed or NOT_THIS_WEEK < start < first
        if is_fixed and start != NOT_THIS_WEEK:
            jobs.append(replace(job, locked_start=start, locked_out=False))
        elif past and job.locked_start is None:
            jobs.append(replace(job, forbidden=job.forbidden | past))
        else:
            jobs.append(job)
    return Problem(jobs, week.problem.week)


def _left_out(service: LeftOutService) -> dict[str, Json]:
    return {
        "machine_id": service.name.machine_id,
        "component": service.name.component,
        "saving": service.saving,
        "lacking": list(service.lacking),
    }
