"""What is still free in a week while jobs are placed one by one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lib.maintenance.schedule.problem import Ints, Job, Problem


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
        """What is not there for this start, in words; empty where it fits."""
        hours = slice(start, start + job.duration_hours)
        shortages = []
        if (self._technicians[job.plant, job.skill][hours] < job.crew).any():
            shortages.append(f"{job.crew} {job.skill} technicians at {job.plant}")
        if job.line in self._spare and (self._spare[job.line][hours] < 1).any():
            shortages.append(f"machines of {job.line} that keep running")
        if job.service_cost > self._budget + 1e-6:
            shortages.append(f"budget of {job.service_cost:g}")
        for part, count in job.parts.items():
            if self._parts.get(part, 0) < count:
                shortages.append(f"{count} of part {part}")
        return shortages

    def take(self, job: Job, start: int) -> None:
        """Book it."""
        self._book(job, start, 1)

    def give_back(self, job: Job, start: int) -> None:
        """Undo a booking."""
        self._book(job, start, -1)

    def first_fit(self, job: Job, starts: Iterable[int]) -> int | None:
        """The first of `starts` that fits."""
        return next((start for start in starts if self.fits(job, start)), None)

    def _book(self, job: Job, start: int, sign: int) -> None:
        hours = slice(start, start + job.duration_hours)
        self._technicians[job.plant, job.skill][hours] -= sign * job.crew
        if job.line in self._spare:
            self._spare[job.line][hours] -= sign
        self._budget -= sign * job.service_cost
        for part, count in job.parts.items():
            self._parts[part] = self._parts.get(part, 0) - sign * count


def placed(problem: Problem, order: Iterable[int], by_cost: Ints | None = None) -> Ints:
    """Starts (n,) when jobs are placed in `order`, each at its first start that fits.

    Locked jobs are placed before all others.

    Args:
        problem: the week.
        order: places of the jobs that are to be served, the most urgent first.
        by_cost: (n, slots) each job's starts in the order to try them; by time if None.
    """
    ledger = CapacityTracker(problem)
    starts = np.full(len(problem.jobs), -1, dtype=np.int64)
    locked = [k for k, job in enumerate(problem.jobs) if job.locked_start is not None]
    for index in [*locked, *(k for k in order if problem.jobs[k].locked_start is None)]:
        job = problem.jobs[index]
        allowed = job.starts
        if by_cost is not None:
            allowed = by_cost[index][np.isin(by_cost[index], allowed)]
        start = ledger.first_fit(job, (int(slot) for slot in allowed))
        if start is not None:
            ledger.take(job, start)
            starts[index] = start
    return starts
