"""Why no plan fits, and what to relax by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.maintenance.schedule.costs import NOT_THIS_WEEK
from lib.maintenance.schedule.milp import Program, is_demanded, program
from lib.maintenance.schedule.problem import Problem
from lib.maintenance.schedule.solver import Slack, run

_LEFT_OUT = 1e6


@dataclass(frozen=True)
class Shortage:
    """A constraint that cannot be kept.

    Attributes:
        kind: `technicians`, `line`, `budget`, `part`, or `serve` for a job without any start.
        name: what it is about.
        amount: how much more would do.
        slots: hours that it is about; empty for the whole week.
    """

    kind: str
    name: str
    amount: float
    slots: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.kind == "serve":
            return f"{self.name} must be served but has no start: its hours are all forbidden"
        hours = f" in hours {_spans(self.slots)}" if self.slots else ""
        return f"{self.name}: {self.amount:g} more needed{hours}"


def shortages(problem: Problem, seconds: float, threads: int) -> tuple[Shortage, ...]:
    """The smallest breach of constraints that lets every locked and demanded job be done.

    Jobs that nobody demands are left out of the question: without them as much fits as can. One
    unit of a constraint is priced by its own size, so that no unit decides.
    """
    demanded = [job for job in problem.jobs if is_demanded(job)]
    unplaced = tuple(
        Shortage("serve", job.machine_id, 1.0) for job in demanded if not len(job.starts)
    )
    if unplaced or not demanded:
        return unplaced
    base_program = program(problem, forced=False)
    kept = np.array([is_demanded(problem.jobs[job]) for job in base_program.job])
    cost = np.where(kept & (base_program.start == NOT_THIS_WEEK), _LEFT_OUT, 0.0)
    cost[~kept & (base_program.start != NOT_THIS_WEEK)] = _LEFT_OUT
    model = Program(base_program.job, base_program.start, cost, base_program.rows)
    slack = Slack(
        np.arange(len(base_program.rows)),
        np.array([1.0 / max(1.0, float(row.values.mean())) for row in base_program.rows]),
    )
    solved = run(model, len(problem.jobs), 0.01, seconds, threads, 0, slack=slack)
    if solved.values is None:
        return ()
    return _collected(base_program, solved.values[len(base_program.job) :])


def _collected(model: Program, breaches: np.ndarray) -> tuple[Shortage, ...]:
    """One shortage for each constraint, its hours together."""
    amounts: dict[tuple[str, str], float] = {}
    slots: dict[tuple[str, str], list[int]] = {}
    for row, breach in zip(model.rows, breaches, strict=True):
        if breach > 1e-6:
            key = (row.kind, row.name)
            amounts[key] = max(amounts.get(key, 0.0), round(float(breach), 6))
            slots.setdefault(key, []).extend([row.slot] if row.slot >= 0 else [])
    return tuple(
        Shortage(kind, name, amount, tuple(slots[kind, name]))
        for (kind, name), amount in amounts.items()
    )


def _spans(slots: tuple[int, ...]) -> str:
    """3, 4, 5, 9 as 3-5, 9."""
    spans: list[list[int]] = []
    for slot in slots:
        if spans and slot == spans[-1][1] + 1:
            spans[-1][1] = slot
        else:
            spans.append([slot, slot])
    return ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in spans)
