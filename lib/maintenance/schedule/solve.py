"""Solves a week to a gap, within a time limit, by HiGHS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.maintenance.schedule.capacity import placed
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, cost_of, start_costs
from lib.maintenance.schedule.infeasible import Shortage, shortages
from lib.maintenance.schedule.milp import is_demanded, program
from lib.maintenance.schedule.problem import Floats, Ints, Problem
from lib.maintenance.schedule.solver import Progress, run


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
        raise InfeasibleWeekError(shortages(problem, left, threads))
    starts = model.starts(solved.values, len(problem.jobs))
    idle = cost_of(problem, np.full(len(starts), NOT_THIS_WEEK))
    cost = cost_of(problem, starts)
    bound = min(idle + solved.bound, cost)
    reached = 0.0 if cost - bound < 1e-6 else (cost - bound) / max(abs(idle - cost), 1e-9)
    took = time.perf_counter() - began
    return Plan(starts, cost, bound, idle - cost, reached, took, reached <= gap + 1e-6)


def _warm_start(problem: Problem) -> Ints:
    """Demanded jobs first, then by what serving saves; each at its cheapest start that fits."""
    costs = np.stack([start_costs(job, problem.week) for job in problem.jobs])
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
