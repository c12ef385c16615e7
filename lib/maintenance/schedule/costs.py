"""What a start costs, and what it costs not to serve this week."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lib.maintenance.schedule.problem import Floats, Job, Problem, Week

NOT_THIS_WEEK = -1


class Parts(NamedTuple):
    """Expected cost of one job by what it is spent on; each in money.

    Attributes:
        service: labour and parts, as likely as the machine lives to see it.
        downtime: production lost while it is served, weighted by the hour.
        failure: of a failure before the service, or within the week without one.
        ahead: hours of a new life that are spent before the week ends, at the long-run cost; and
            what a machine that is not served will cost more than a new one.
    """

    service: float
    downtime: float
    failure: float
    ahead: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)


def start_costs(job: Job, week: Week) -> Floats:
    """(slots + 1,) expected cost of each start; last, of not serving; inf where it does not fit.

    Up to its start a machine may fail, which costs a failure and saves the service. Whoever is
    served or repaired starts a new life, and every hour of it within the week is charged at the
    long-run cost per hour; whoever is not is charged what it costs more than a new machine from
    then on, see `value_ahead`. These are relative values of Howard, Dynamic Programming and Markov
    Processes (1960): without them not serving would always win.
    """
    return np.asarray(_parts(job, week).sum(axis=0), dtype=np.float64)


def value_ahead(job: Job) -> float:
    """What a machine that is alive and not served at the week's end costs more than a new one.

    It may be served at once, or run on for the best of `later_hours` and be served then, if it does
    not fail first; running on is credited at the long-run cost. 0 for a new machine, and at most a
    service and its downtime.
    """
    due = job.service_cost + job.duration_hours * job.downtime_cost_per_hour
    alive = float(job.survival[-1])
    if not len(job.later_hours) or alive <= 0.0:
        return due
    hours = np.append(0.0, job.later_hours)
    survival = np.append(alive, job.later_survival) / alive
    lived = np.append(0.0, np.cumsum(np.diff(hours) * (survival[:-1] + survival[1:]) / 2.0))
    costs = (1.0 - survival) * job.failure_cost + survival * due - job.cycle_cost_per_hour * lived
    return float(max(0.0, costs.min()))


def parts_of(job: Job, week: Week, start: int) -> Parts:
    """The same for one start, or `NOT_THIS_WEEK`, by what it is spent on."""
    column = job.slots if start == NOT_THIS_WEEK else start
    return Parts(*(float(row[column]) for row in _parts(job, week)))


def cost_of(problem: Problem, starts: npt.ArrayLike) -> float:
    """Expected cost of a whole plan: starts (n,), `NOT_THIS_WEEK` where a machine is not served."""
    return sum(
        parts_of(job, problem.week, int(start)).total
        for job, start in zip(problem.jobs, np.asarray(starts), strict=True)
    )


def _parts(job: Job, week: Week) -> Floats:
    """(4, slots + 1): service, downtime, failure, ahead."""
    duration, alive, slots = job.duration_hours, job.survival, job.slots
    first = np.arange(slots + 1)
    grown = np.append(0.0, np.cumsum(week.weights))
    end = np.minimum(first + duration, slots)
    stands = (grown[end] - grown[first]) * job.downtime_cost_per_hour
    fits = first + duration <= slots
    fits[slots] = True
    remaining = np.maximum(slots - first - duration, 0.0)
    # a failure in hour u is repaired, and the rest of the week is of the new life
    died = -np.diff(alive)
    after_failure = np.append(0.0, np.cumsum(died * (slots - np.arange(slots) - 1.0)))
    parts = np.stack(
        [
            alive * job.service_cost,
            alive * stands,
            (1.0 - alive) * job.failure_cost,
            (alive * remaining + after_failure) * job.cycle_cost_per_hour,
        ]
    )
    parts[:2, slots] = 0.0
    parts[3, slots] = after_failure[-1] * job.cycle_cost_per_hour + alive[-1] * value_ahead(job)
    parts[0, ~fits] = np.inf
    return parts
