"""Solves a week to a gap, within a time limit, by HiGHS; says what to relax where no plan fits."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.maintenance.schedule.costs import NOT_THIS_WEEK, cost_of
from lib.maintenance.schedule.milp import Program, is_demanded, program
from lib.maintenance.schedule.placement import all_start_costs, no_services, placed
from lib.maintenance.schedule.problem import Floats, Ints, Problem
from lib.maintenance.schedule.solver import Progress, run

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


class InfeasibleWeekError(ValueError):
    """No plan keeps all constraints.

    Attributes:
        shortages: what is missing, and how much of it would do.
    """

    def __init__(self, shortages: tuple[Shortage, ...]) -> None:
        self.shortages = shortages
        text = (
            "; ".join(str(shortage) for shortage in shortages)
            or "the time limit ended before a plan"
        )
        super().__init__(f"no plan keeps all constraints: {text}")


@dataclass(frozen=True)
class Plan:
    """Who is served when.

    Attributes:
        starts: (n,) slot at which each job starts, -1 where it is not done this week.
        cost: expected, in money.
        bound: no plan costs less.
        saved: how much less than serving nobody; below 0 where demanded jobs cost more.
        gap: (cost - bound) over what is saved: the share of the possible saving that
            another plan might still bring. Over the cost itself it would be smaller, since most of
            that cannot be helped.
        seconds: that solving took.
        finished: whether the gap was reached; else the time limit came first.
    """

    starts: Ints
    cost: float
    bound: float
    saved: float
    gap: float
    seconds: float
    finished: bool


def solve(
    problem: Problem,
    *,
    gap: float = 0.01,
    seconds: float = 60.0,
    threads: int = 2,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Plan:
    """The cheapest plan to within `gap`, or the best one found in `seconds`.

    Args:
        problem: jobs and week.
        gap: relative, at which to stop.
        seconds: at most.
        threads: for the solver.
        seed: of the solver's random choices.
        on_progress: called with incumbent, bound and gap while it runs.

    Raises:
        InfeasibleWeekError: locked and demanded jobs do not fit, with what to relax.
    """
    began = time.perf_counter()
    model = program(problem)
    warm = _warm_start(problem)
    hint = model.values(warm) if _is_complete(problem, warm) else None
    solved = run(model, len(problem.jobs), gap, seconds, threads, seed, hint, on_progress)
    if solved.values is None:
        left = max(5.0, seconds - (time.perf_counter() - began))
        raise InfeasibleWeekError(_shortages(problem, left, threads))
    starts = model.starts(solved.values, len(problem.jobs))
    idle = cost_of(problem, no_services(problem))
    cost = cost_of(problem, starts)
    bound = min(idle + solved.bound, cost)
    reached = 0.0 if cost - bound < 1e-6 else (cost - bound) / max(abs(idle - cost), 1e-9)
    took = time.perf_counter() - began
    return Plan(starts, cost, bound, idle - cost, reached, took, reached <= gap + 1e-6)


def _warm_start(problem: Problem) -> Ints:
    """Demanded jobs first, then by what serving saves; each at its cheapest start that fits."""
    costs = all_start_costs(problem)
    saved = costs[:, -1] - costs[:, :-1].min(axis=1)
    demanded = np.array([is_demanded(job) for job in problem.jobs])
    candidates = np.flatnonzero(demanded | (saved > 0))
    order = candidates[np.lexsort((-saved[candidates], ~demanded[candidates]))]
    starts = placed(problem, order.tolist(), np.argsort(costs[:, :-1], axis=1, kind="stable"))
    return _worth_it(costs, demanded, starts)


def _worth_it(costs: Floats, demanded: np.ndarray[Any, np.dtype[np.bool_]], starts: Ints) -> Ints:
    """Drops services that cost more than none."""
    chosen = costs[np.arange(len(starts)), np.maximum(starts, 0)]
    return np.where((starts >= 0) & ~demanded & (chosen >= costs[:, -1]), -1, starts)


def _is_complete(problem: Problem, starts: Ints) -> bool:
    return all(
        start >= 0 or not is_demanded(job) for job, start in zip(problem.jobs, starts, strict=True)
    )


def _shortages(problem: Problem, seconds: float, threads: int) -> tuple[Shortage, ...]:
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
    prices = np.array([1.0 / max(1.0, float(row.values.mean())) for row in base_program.rows])
    solved = run(model, len(problem.jobs), 0.01, seconds, threads, 0, slack_prices=prices)
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
