"""A week's schedule, solved and compared: python -m tests.benchmarks.maintenance_schedule

Simulated weeks (Weibull lives, ages as service by calendar leaves them). Every plan is recounted by
the tests' own checker. Costs are expected ones, and those of replays over drawn failures, where a
plan with perfect information is the floor.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from lib.evaluation import bootstrap_interval
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, cost_of, parts_of
from lib.maintenance.schedule.placement import assignment, greedy, no_services, placed
from lib.maintenance.schedule.problem import Problem
from lib.maintenance.schedule.solve import solve
from tests.benchmarks.result import print_result
from tests.maintenance.schedule.checker import violations
from tests.maintenance.schedule.weeks import SimulatedWeek, simulated_week

SIZES = (50, 150, 500)
INTERVAL_HOURS = 2000.0


def main() -> None:
    """Solve each size, compare at the largest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, help="this many alone; else 50, 150 and 500")
    parser.add_argument("--seconds", type=float, default=60.0, help="limit for each solve")
    parser.add_argument("--gap", type=float, default=0.01, help="relative, at which to stop")
    parser.add_argument("--replays", type=int, default=20, help="draws of failures")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    sizes = (options.machines,) if options.machines else SIZES
    print("machines  seconds  gap      columns of the plan served  violations  (simulated weeks)")
    solve_figures = {}
    for machines in sizes:
        week = simulated_week(machines, options.seed)
        plan = solve(week.problem, gap=options.gap, seconds=options.seconds)
        broken = len(violations(week.problem, plan.starts))
        served = int((plan.starts != NOT_THIS_WEEK).sum())
        print(f"{machines:8d} {plan.seconds:8.2f}  {plan.gap:.5f} {served:26d} {broken:11d}")
        solve_figures[machines] = {"seconds": round(plan.seconds, 3), "gap": round(plan.gap, 5)}
    plans = policies(week, plan.starts)
    costs, broken_by = compared(week, plans, options)
    print_result(
        machines,
        time.perf_counter() - start,
        machines=machines,
        solve_seconds=round(plan.seconds, 3),
        gap=round(plan.gap, 5),
        sizes=solve_figures,
        **costs,
        violations=broken_by,
    )


def policies(week: SimulatedWeek, ours: np.ndarray) -> dict[str, np.ndarray]:
    """Starts by each way of planning that does not know the future."""
    return {
        "ours": ours,
        "nothing": no_services(week.problem),
        "fixed_interval": fixed_interval(week.problem, week.age_hours, INTERVAL_HOURS),
        "greedy": greedy(week.problem),
        "assignment": assignment(week.problem),
    }


def compared(
    week: SimulatedWeek, plans: dict[str, np.ndarray], options: argparse.Namespace
) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Expected cost, replayed cost with its interval over machines, and broken promises."""
    problem = week.problem
    broken = {name: len(violations(problem, starts)) for name, starts in plans.items()}
    rows = {name: np.zeros((len(problem.jobs), 4)) for name in (*plans, "perfect")}
    failed = dict.fromkeys(rows, 0.0)
    for draw in range(options.replays):
        hours = week.failures(1000 + draw)
        schedules = {**plans, "perfect": clairvoyant(problem, hours, options)}
        for name, starts in schedules.items():
            costs = replayed(problem, starts, hours)
            rows[name] += costs / options.replays
            failed[name] += float((costs[:, 2] > 0).sum()) / options.replays
        broken["perfect"] = len(violations(problem, schedules["perfect"]))
    machines = np.arange(len(problem.jobs))
    print("\nplan            expected   replayed (95% by machines)       failures  violations")
    cost, low, high = {}, {}, {}
    for name, costs in rows.items():
        totals = costs.sum(axis=1)
        interval = bootstrap_interval(lambda some, t=totals: float(t[some].sum()), machines, seed=1)
        cost[name], low[name], high[name] = (
            round(value) for value in (interval.value, interval.low, interval.high)
        )
        expected = f"{cost_of(problem, plans[name]):12,.0f}" if name in plans else " " * 12
        print(
            f"{name:14s}{expected} {cost[name]:10,} ({low[name]:,} to {high[name]:,})"
            f" {failed[name]:8.2f} {broken[name]:8d}"
        )
    failures = {name: round(count, 2) for name, count in failed.items()}
    dearer = paired(rows)
    return {
        "cost": cost,
        "cost_low": low,
        "cost_high": high,
        "dearer_than_ours": dearer,
        "failures": failures,
    }, broken


def paired(rows: dict[str, np.ndarray]) -> dict[str, list[int]]:
    """How much dearer than ours each plan was in the replays, with the interval over machines."""
    machines = np.arange(len(rows["ours"]))
    differences = {}
    print("\ndearer than ours (95% by machines, which are paired)")
    for name, costs in rows.items():
        if name == "ours":
            continue
        away = (costs - rows["ours"]).sum(axis=1)
        interval = bootstrap_interval(lambda some, a=away: float(a[some].sum()), machines, seed=1)
        differences[name] = [
            round(value) for value in (interval.value, interval.low, interval.high)
        ]
        print(
            f"{name:14s}{differences[name][0]:12,} ({differences[name][1]:,} to "
            f"{differences[name][2]:,})"
        )
    return differences


def clairvoyant(problem: Problem, hours: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """The plan of who knows when each machine would fail."""
    truth = as_it_came(problem, hours)
    return solve(truth, gap=options.gap, seconds=options.seconds).starts


def fixed_interval(problem: Problem, since: np.ndarray, interval_hours: float) -> np.ndarray:
    """Who was last served longer ago than the interval, the longest ago first."""
    due = np.flatnonzero(since >= interval_hours)
    return placed(problem, due[np.argsort(-since[due], kind="stable")].tolist())


def replayed(problem: Problem, starts: np.ndarray, failure_hours: np.ndarray) -> np.ndarray:
    """(n, 4) what each machine then cost: service, downtime, failure and hours ahead."""
    truth = as_it_came(problem, failure_hours)
    return np.array(
        [
            parts_of(job, truth.week, int(start))
            for job, start in zip(truth.jobs, starts, strict=True)
        ]
    )


def as_it_came(problem: Problem, failure_hours: np.ndarray) -> Problem:
    """The same week with certainty in place of chances: who fails when, inf for not this week.

    What comes after the week stays a matter of chance, given how the week ends.
    """
    edges = np.arange(problem.week.slots + 1, dtype=np.float64)
    jobs = []
    for job, fails in zip(problem.jobs, failure_hours, strict=True):
        survival = np.where(edges >= max(fails, 1.0), 0.0, 1.0)
        later = job.later_survival / max(float(job.survival[-1]), 1e-300) * survival[-1]
        jobs.append(replace(job, survival=survival, later_survival=later))
    return Problem(jobs, problem.week)


if __name__ == "__main__":
    main()
