"""What binds a plan: people, lines, budget, parts and standstills of which nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.maintenance.schedule.costs import NOT_THIS_WEEK
from lib.maintenance.schedule.placement import CapacityTracker, tracker_of
from lib.maintenance.schedule.problem import Floats, Ints, Problem
from lib.maintenance.schedule.week_problem import Named
from lib.records.models import Json

_MOST_LEFT_OUT = 20
_LEAST = 1e-6


@dataclass(frozen=True)
class BindingConstraint:
    """A constraint without anything left.

    Attributes:
        kind: `technicians`, `line`, `budget`, `part` or `window`.
        name: what it is about, in words.
        limit: how much there is; of a window how many services it moves or prevents.
        slots: hours in which nothing is left, ascending; empty for the whole week.
    """

    kind: str
    name: str
    limit: float
    slots: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The same for the records, hours as spans."""
        spans: list[Json] = [list(span) for span in _spans(self.slots)]
        return {"kind": self.kind, "name": self.name, "limit": self.limit, "spans": spans}


@dataclass(frozen=True)
class LeftOutService:
    """A service that would save money and is not in the plan.

    Attributes:
        name: machine and component.
        saving: expected, at its cheapest start.
        lacking: what is not left for that, in words.
    """

    name: Named
    saving: float
    lacking: tuple[str, ...]


def binding(problem: Problem, starts: Ints, costs: Floats) -> list[BindingConstraint]:
    """Constraints of which a plan leaves nothing.

    Args:
        problem: the week.
        starts: (n,) of the plan.
        costs: (n, slots + 1) of `all_start_costs`.
    """
    tracker = tracker_of(problem, starts)
    profitable = _profitable(problem, costs, starts)
    return [
        *_technicians(problem, tracker),
        *_lines(problem, tracker),
        *_stock(problem, tracker, profitable),
        *_windows(problem, costs),
    ]


def left_out(
    problem: Problem, names: Sequence[Named], starts: Ints, costs: Floats
) -> list[LeftOutService]:
    """Services that would save most and are not in a plan, at most twenty.

    Args:
        problem: the week.
        names: (n,) whose jobs they are.
        starts: (n,) of the plan.
        costs: (n, slots + 1) of `all_start_costs`.
    """
    tracker = tracker_of(problem, starts)
    services = []
    for index in _profitable(problem, costs, starts):
        job = problem.jobs[index]
        cheapest = int(job.starts[costs[index][job.starts].argmin()])
        saving = float(costs[index][-1] - costs[index][cheapest])
        services.append(LeftOutService(names[index], saving, tuple(tracker.lacking(job, cheapest))))
    services.sort(key=lambda service: -service.saving)
    return services[:_MOST_LEFT_OUT]


def _profitable(problem: Problem, costs: Floats, starts: Ints) -> list[int]:
    """Numbers of the jobs that are not served, may be, and would save."""
    profitable = []
    for index in np.flatnonzero(starts == NOT_THIS_WEEK).tolist():
        free = problem.jobs[index].starts
        if len(free) and costs[index][free].min() < costs[index][-1] - _LEAST:
            profitable.append(index)
    return profitable


def _technicians(problem: Problem, tracker: CapacityTracker) -> list[BindingConstraint]:
    crews: dict[tuple[str, str], int] = {}
    for job in problem.jobs:
        pool = (job.plant, job.skill)
        crews[pool] = min(job.crew, crews.get(pool, job.crew))
    constraints = []
    for (plant, skill), crew in sorted(crews.items()):
        there, left = problem.week.there(plant, skill), tracker.technicians_left(plant, skill)
        slots = np.flatnonzero((left < crew) & (left < there)).tolist()
        if slots:
            name = f"{skill} technicians at {plant or 'no plant'}"
            most = float(there[slots].max())
            constraints.append(BindingConstraint("technicians", name, most, tuple(slots)))
    return constraints


def _lines(problem: Problem, tracker: CapacityTracker) -> list[BindingConstraint]:
    constraints = []
    for line, left in sorted(tracker.spare_machines().items()):
        spare = problem.line_size(line) - problem.week.line_minimum[line]
        slots = np.flatnonzero((left < 1) & (left < spare)).tolist()
        if slots:
            name = f"machines of {line} that may stand at once"
            constraints.append(BindingConstraint("line", name, float(spare), tuple(slots)))
    return constraints


def _stock(
    problem: Problem, tracker: CapacityTracker, profitable: Sequence[int]
) -> list[BindingConstraint]:
    """Budget and parts that a profitable service would need more of."""
    jobs, week = [problem.jobs[index] for index in profitable], problem.week
    constraints = []
    if any(job.service_cost > tracker.budget_left() + _LEAST for job in jobs):
        constraints.append(BindingConstraint("budget", "budget", week.budget))
    needed = {
        part
        for job in jobs
        for part, count in job.parts.items()
        if tracker.parts_left(part) < count
    }
    constraints += [
        BindingConstraint("part", f"part {part}", float(week.parts.get(part, 0)))
        for part in sorted(needed)
    ]
    return constraints


def _windows(problem: Problem, costs: Floats) -> list[BindingConstraint]:
    """Services whose cheapest hour is one in which the machine may not stand."""
    kept = 0
    for job, cost in zip(problem.jobs, costs, strict=True):
        if job.forbidden and job.locked_start is None and not job.locked_out:
            free = job.starts
            best = cost[free].min() if len(free) else np.inf
            kept += bool(min(cost[:-1].min(), cost[-1]) < min(best, cost[-1]) - _LEAST)
    if not kept:
        return []
    return [BindingConstraint("window", "machines that may not stand at their best hour", kept)]


def _spans(slots: Sequence[int]) -> list[tuple[int, int]]:
    """3, 4, 5, 9 as (3, 6), (9, 10): from the begin of the first to the end of the last."""
    spans: list[tuple[int, int]] = []
    for slot in slots:
        if spans and slot == spans[-1][1]:
            spans[-1] = (spans[-1][0], slot + 1)
        else:
            spans.append((slot, slot + 1))
    return spans
