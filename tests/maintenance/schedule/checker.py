"""Recounts a plan hour by hour, in loops that know nothing of how plans are made."""

from __future__ import annotations

from collections import Counter

from lib.maintenance.schedule.problem import SLOTS, Job, Problem


def violations(problem: Problem, starts, *, demands: bool = True) -> list[str]:
    """Every broken promise, in words.

    Args:
        problem: the week.
        starts: of the plan.
        demands: whether leaving out a job that must be served counts.
    """
    faults = []
    people, standing, parts = Counter(), Counter(), Counter()
    spent = 0.0
    for job, start in zip(problem.jobs, (int(value) for value in starts), strict=True):
        if start < 0:
            if demands and (job.must_serve or job.locked_start is not None):
                faults.append(f"{job.machine_id} is left out")
            continue
        faults += _own(job, start)
        spent += job.service_cost
        parts.update(job.parts)
        for hour in range(start, start + job.duration_hours):
            people[job.plant, job.skill, hour] += job.crew
            standing[job.line, hour] += 1
    week = problem.week
    for (plant, skill, hour), count in people.items():
        there = week.technicians.get((plant, skill))
        if count > (0 if there is None or hour >= SLOTS else there[hour]):
            faults.append(f"{count} {skill} needed at {plant} in hour {hour}")
    for (line, hour), count in standing.items():
        size = len([job for job in problem.jobs if job.line == line])
        if line in week.line_minimum and size - count < week.line_minimum[line]:
            faults.append(f"{line} runs with {size - count} in hour {hour}")
    if spent > week.budget + 1e-6:
        faults.append(f"{spent} spent of {week.budget}")
    faults += [
        f"{count} of {part}" for part, count in parts.items() if count > week.parts.get(part, 0)
    ]
    return faults


def _own(job: Job, start: int) -> list[str]:
    faults = []
    if start + job.duration_hours > SLOTS:
        faults.append(f"{job.machine_id} ends after the week")
    if any(hour in job.forbidden for hour in range(start, start + job.duration_hours)):
        faults.append(f"{job.machine_id} stands in a forbidden hour")
    if job.locked_out or (job.locked_start is not None and job.locked_start != start):
        faults.append(f"{job.machine_id} is locked elsewhere")
    return faults


def expected_cost(problem: Problem, starts) -> float:
    """The cost of a plan, hour by hour and failure by failure."""
    total = 0.0
    for job, start in zip(problem.jobs, (int(value) for value in starts), strict=True):
        weights = [1.0] * SLOTS if problem.week.production is None else problem.week.production
        until = SLOTS if start < 0 else start
        for hour in range(until):
            fails = job.survival[hour] - job.survival[hour + 1]
            total += fails * (job.failure_cost + (SLOTS - hour - 1) * job.cycle_cost_per_hour)
        lives = job.survival[until]
        hours = range(start, start + job.duration_hours)
        if start < 0:
            total += lives * value_of_age(job)
            continue
        stands = sum(weights[hour] for hour in hours)
        total += lives * (job.service_cost + stands * job.downtime_cost_per_hour)
        ahead = SLOTS - start - job.duration_hours
        total += lives * ahead * job.cycle_cost_per_hour
    return float(total)


def value_of_age(job: Job) -> float:
    """The least that serving at the week's end, or at any later hour, costs above a new machine."""
    due = job.service_cost + job.duration_hours * job.downtime_cost_per_hour
    if job.survival[-1] == 0:
        return due
    best, cost, hour, alive = due, 0.0, 0.0, 1.0
    for later, survival in zip(job.later_hours, job.later_survival / job.survival[-1], strict=True):
        cost += (alive - survival) * job.failure_cost
        cost -= (later - hour) * (alive + survival) / 2 * job.cycle_cost_per_hour
        best, hour, alive = min(best, cost + survival * due), later, survival
    return max(0.0, best)
