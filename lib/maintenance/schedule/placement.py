"""Plans made without a solver: jobs placed one by one while there is room, and simpler ways."""

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from lib.maintenance.schedule.costs import NOT_THIS_WEEK, start_costs
from lib.maintenance.schedule.problem import Floats, Ints, Job, Problem


class CapacityTracker:
    """Technicians by hour, machines of each line, budget and parts that are left."""

    def __init__(self, problem: Problem) -> None:
        week = problem.week
        self._technicians = {
            (job.plant, job.skill): week.there(job.plant, job.skill).copy() for job in problem.jobs
        }
        self._spare = {
            line: np.full(week.slots, problem.line_size(line) - minimum, dtype=np.int64)
            for line, minimum in week.line_minimum.items()
        }
        self._budget, self._parts = week.budget, dict(week.parts)

    def fits(self, job: Job, start: int) -> bool:
        """Whether it can start there with what is left."""
        return not self.lacking(job, start)

    def lacking(self, job: Job, start: int) -> list[str]:
        """What is not left for this start, in words; empty where it fits."""
        hours = slice(start, start + job.duration_hours)
        shortages = []
        if (self._technicians[job.plant, job.skill][hours] < job.crew).any():
            shortages.append(f"{job.crew} {job.skill} technicians at {job.plant or 'no plant'}")
        if job.line in self._spare and (self._spare[job.line][hours] < 1).any():
            shortages.append(f"machines of {job.line} that keep running")
        if job.service_cost > self._budget + 1e-6:
            shortages.append(f"budget of {job.service_cost:g}")
        for part, count in job.parts.items():
            if self._parts.get(part, 0) < count:
                shortages.append(f"{count} of part {part}")
        return shortages

    def technicians_left(self, plant: str, skill: str) -> Ints:
        """(slots,) technicians whom no job has."""
        return self._technicians[plant, skill]

    def spare_machines(self) -> Mapping[str, Ints]:
        """(slots,) machines by line that may still stand, for lines with a minimum."""
        return self._spare

    def budget_left(self) -> float:
        """Money that no job has."""
        return self._budget

    def parts_left(self, part: str) -> int:
        """Parts that no job has."""
        return self._parts.get(part, 0)

    def take(self, job: Job, start: int) -> None:
        """Book it."""
        hours = slice(start, start + job.duration_hours)
        self._technicians[job.plant, job.skill][hours] -= job.crew
        if job.line in self._spare:
            self._spare[job.line][hours] -= 1
        self._budget -= job.service_cost
        for part, count in job.parts.items():
            self._parts[part] = self._parts.get(part, 0) - count


def tracker_of(problem: Problem, starts: Ints, without: int | None = None) -> CapacityTracker:
    """What a plan leaves.

    Args:
        problem: the week.
        starts: (n,) of the plan.
        without: number of a job that is taken to be not served.
    """
    tracker = CapacityTracker(problem)
    for index, (job, start) in enumerate(zip(problem.jobs, starts.tolist(), strict=True)):
        if start != NOT_THIS_WEEK and index != without:
            tracker.take(job, start)
    return tracker


def placed(problem: Problem, order: Iterable[int], by_cost: Ints | None = None) -> Ints:
    """Starts (n,) when jobs are placed in `order`, each at its first start that fits.

    Locked jobs are placed before all others.

    Args:
        problem: the week.
        order: places of the jobs that are to be served, the most urgent first.
        by_cost: (n, slots) each job's starts in the order to try them; by time if None.
    """
    ledger = CapacityTracker(problem)
    starts = no_services(problem)
    locked = [k for k, job in enumerate(problem.jobs) if job.locked_start is not None]
    for index in [*locked, *(k for k in order if problem.jobs[k].locked_start is None)]:
        job = problem.jobs[index]
        allowed = job.starts
        if by_cost is not None:
            allowed = by_cost[index][np.isin(by_cost[index], allowed)]
        start = next((int(slot) for slot in allowed if ledger.fits(job, int(slot))), NOT_THIS_WEEK)
        if start != NOT_THIS_WEEK:
            ledger.take(job, start)
            starts[index] = start
    return starts


def all_start_costs(problem: Problem) -> Floats:
    """(n, slots + 1) expected cost of each start of each job; see `start_costs`."""
    return np.stack([start_costs(job, problem.week) for job in problem.jobs])


def other_plans(problem: Problem) -> dict[str, Ints]:
    """Starts (n,) by simpler ways to plan the week, by name, for comparison."""
    return {
        "do nothing": no_services(problem),
        "greedy": greedy(problem),
        "plain assignment, blind to people": assignment(problem),
    }


def no_services(problem: Problem) -> Ints:
    """Nobody is served; breaks locks and duties."""
    return np.full(len(problem.jobs), NOT_THIS_WEEK, dtype=np.int64)


def greedy(problem: Problem) -> Ints:
    """The likeliest to fail first, each at the first hour that fits, while serving saves."""
    costs = all_start_costs(problem)
    risk = np.array([1.0 - job.survival[-1] for job in problem.jobs])
    demanded = np.array([job.must_serve for job in problem.jobs])
    worth = np.flatnonzero(demanded | (costs[:, :-1].min(axis=1) < costs[:, -1]))
    order = worth[np.lexsort((-risk[worth], ~demanded[worth]))]
    return placed(problem, order.tolist())


def assignment(problem: Problem) -> Ints:
    """One machine an hour by the Hungarian method, blind to technicians, budget, parts and lines.

    At most as many machines as the week has hours; whoever costs less when left out is.
    """
    costs = all_start_costs(problem)
    gains = np.minimum(costs[:, :-1] - costs[:, -1:], 0.0)
    jobs, slots = linear_sum_assignment(gains)
    starts = no_services(problem)
    has_gain = gains[jobs, slots] < 0.0
    starts[jobs[has_gain]] = slots[has_gain]
    return starts
