"""One job moved, dropped or added by people: what it changes, and what it would break."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.maintenance.schedule.capacity import CapacityTracker
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, Parts, parts_of
from lib.maintenance.schedule.problem import Ints, Problem, ScheduleError


@dataclass(frozen=True)
class Change:
    """What a change comes to.

    Attributes:
        starts: (n,) of the changed plan.
        before, after: expected cost of that job's old and new start.
        broken: constraints that the new start would break, in words; empty where it fits.
    """

    starts: Ints
    before: Parts
    after: Parts
    broken: tuple[str, ...]

    @property
    def cost(self) -> float:
        """How much dearer the plan becomes; below 0 is cheaper."""
        return self.after.total - self.before.total


def change(problem: Problem, starts: npt.ArrayLike, machine_id: str, start: int) -> Change:
    """Give one machine another start, or `NOT_THIS_WEEK`; the others stay.

    Raises:
        ScheduleError: the machine has no job, or its job does not end within the week.
    """
    index = problem.place(machine_id)
    job, old = problem.jobs[index], np.array(starts, dtype=np.int64)
    if start != NOT_THIS_WEEK and not 0 <= start <= job.slots - job.duration_hours:
        raise ScheduleError(
            f"start of '{machine_id}': expected a slot from 0 to "
            f"{job.slots - job.duration_hours}, or {NOT_THIS_WEEK} for not this week, got {start}"
        )
    new = old.copy()
    new[index] = start
    return Change(
        new,
        parts_of(job, problem.week, int(old[index])),
        parts_of(job, problem.week, start),
        tuple(_broken(problem, old, index, start)),
    )


def _broken(problem: Problem, starts: Ints, index: int, start: int) -> list[str]:
    job = problem.jobs[index]
    if start == NOT_THIS_WEEK:
        return ["it must be served this week"] if job.must_serve else []
    ledger = CapacityTracker(problem)
    for other, begun in enumerate(starts):
        if other != index and begun != NOT_THIS_WEEK:
            ledger.take(problem.jobs[other], int(begun))
    stands = range(start, start + job.duration_hours)
    reasons = [f"not enough: {resource}" for resource in ledger.lacking(job, start)]
    if job.forbidden.intersection(stands):
        reasons.append("it may not stand in these hours")
    return reasons
