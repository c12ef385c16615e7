"""Other ways to plan a week, and what each would have cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from lib.maintenance.schedule.capacity import placed
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, as_it_came, parts_of, start_costs
from lib.maintenance.schedule.problem import Floats, Ints, Problem


def no_services(problem: Problem) -> Ints:
    """Nobody is served; breaks locks and duties."""
    return np.full(len(problem.jobs), NOT_THIS_WEEK, dtype=np.int64)


def fixed_interval(
    problem: Problem, hours_since_service: npt.ArrayLike, interval_hours: float
) -> Ints:
    """Who was last served longer ago than the interval, the longest ago first."""
    since = np.nan_to_num(np.asarray(hours_since_service, dtype=np.float64), nan=np.inf)
    due = np.flatnonzero(since >= interval_hours)
    return placed(problem, due[np.argsort(-since[due], kind="stable")].tolist())


def greedy(problem: Problem) -> Ints:
    """The likeliest to fail first, each at the first hour that fits, while serving saves."""
    costs = np.stack([start_costs(job, problem.week) for job in problem.jobs])
    risk = np.array([1.0 - job.survival[-1] for job in problem.jobs])
    demanded = np.array([job.must_serve for job in problem.jobs])
    worth = np.flatnonzero(demanded | (costs[:, :-1].min(axis=1) < costs[:, -1]))
    order = worth[np.lexsort((-risk[worth], ~demanded[worth]))]
    return placed(problem, order.tolist())


def assignment(problem: Problem) -> Ints:
    """One machine an hour by the Hungarian method, blind to technicians, budget, parts and lines.

    At most as many machines as the week has hours; whoever costs less when left out is.
    """
    costs = np.stack([start_costs(job, problem.week) for job in problem.jobs])
    gains = np.minimum(costs[:, :-1] - costs[:, -1:], 0.0)
    jobs, slots = linear_sum_assignment(gains)
    starts = no_services(problem)
    has_gain = gains[jobs, slots] < 0.0
    starts[jobs[has_gain]] = slots[has_gain]
    return starts


def replayed(problem: Problem, starts: npt.ArrayLike, failure_hours: npt.ArrayLike) -> Floats:
    """(n, 4) what each machine then cost: service, downtime, failure and hours ahead.

    Args:
        problem: the week as it was planned.
        starts: (n,) of the plan.
        failure_hours: (n,) when each would have failed, were it not served; inf: not this week.
    """
    truth = as_it_came(problem, failure_hours)
    rows = []
    for job, start in zip(truth.jobs, np.asarray(starts), strict=True):
        parts = parts_of(job, truth.week, int(start))
        rows.append([parts.service, parts.downtime, parts.failure, parts.ahead])
    return np.array(rows)
