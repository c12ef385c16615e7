"""The week as a mixed-integer linear program, in the arrays that HiGHS takes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.maintenance.schedule.costs import NOT_THIS_WEEK, start_costs
from lib.maintenance.schedule.problem import Floats, Ints, Job, Problem


@dataclass(frozen=True)
class Row:
    """One constraint: the sum over its columns is at most `bound`.

    Attributes:
        kind: `technicians`, `line`, `budget`, `part`, or `serve`.
        name: what it is about, in words.
        slot: the hour, -1 where it is about the whole week.
        bound: of the sum.
        columns, values: (k,) what is summed.
    """

    kind: str
    name: str
    slot: int
    bound: float
    columns: Ints
    values: Floats


@dataclass(frozen=True)
class Program:
    """Columns are (job, start) pairs; each job has one start or `NOT_THIS_WEEK`.

    Attributes:
        job, start: (c,) of each column.
        cost: (c,) expected, less that of not serving: below 0 saves.
        rows: constraints on what is shared.
    """

    job: Ints
    start: Ints
    cost: Floats
    rows: tuple[Row, ...]

    def starts(self, values: npt.ArrayLike, jobs: int) -> Ints:
        """Starts (jobs,) of a solution's columns."""
        starts = np.full(jobs, NOT_THIS_WEEK, dtype=np.int64)
        chosen = np.flatnonzero(np.asarray(values) > 0.5)
        starts[self.job[chosen]] = self.start[chosen]
        return starts

    def values(self, starts: Ints) -> Floats:
        """Columns of a plan."""
        return np.asarray(self.start == starts[self.job], dtype=np.float64)


def program(problem: Problem, *, forced: bool = True) -> Program:
    """All columns that could be worth it, and every constraint that could bind.

    A start that costs more than not serving is left out, unless safety or a lock demands the job.

    Args:
        problem: jobs and week.
        forced: whether jobs that must be served may not be left out; else that is a column, too.
    """
    jobs, starts, costs = [], [], []
    for index, job in enumerate(problem.jobs):
        job_starts, cost = _columns(job, start_costs(job, problem.week), forced)
        jobs.append(np.full(len(job_starts), index))
        starts.append(job_starts)
        costs.append(cost)
    job_of, start_of = np.concatenate(jobs), np.concatenate(starts)
    rows = [*_technicians(problem, job_of, start_of), *_lines(problem, job_of, start_of)]
    rows += _totals(problem, job_of, start_of)
    return Program(job_of, start_of, np.concatenate(costs), tuple(rows))


def is_demanded(job: Job) -> bool:
    """Whether it may not be left out."""
    return job.must_serve or job.locked_start is not None


def _columns(job: Job, cost: Floats, forced: bool) -> tuple[Ints, Floats]:
    starts = job.starts
    demanded = is_demanded(job)
    if not demanded:
        starts = starts[cost[starts] < cost[-1]]
    costs = cost[starts] - cost[-1]
    if not (demanded and forced):
        starts, costs = np.append(starts, NOT_THIS_WEEK), np.append(costs, 0.0)
    return starts.astype(np.int64), costs


def _hours(problem: Problem, job_of: Ints, start_of: Ints, column_ids: Ints) -> tuple[Ints, Ints]:
    """Every (column, slot) in which the columns `column_ids` keep a machine standing."""
    spans = np.array(
        [problem.jobs[index].duration_hours for index in job_of[column_ids]], dtype=np.int64
    )
    columns = np.repeat(column_ids, spans)
    first = np.repeat(start_of[column_ids], spans)
    within = np.arange(len(columns)) - np.repeat(np.cumsum(spans) - spans, spans)
    return columns, first + within


def _by_slot(
    kind: str, name: str, columns: Ints, slots: Ints, values: Floats, bounds: Ints
) -> list[Row]:
    order = np.argsort(slots, kind="stable")
    columns, slots, values = columns[order], slots[order], values[order]
    edges = np.searchsorted(slots, np.arange(len(bounds) + 1))
    rows = []
    for slot in range(len(bounds)):
        part = slice(edges[slot], edges[slot + 1])
        # a constraint that all columns together keep binds nobody
        if values[part].sum() > bounds[slot]:
            rows.append(Row(kind, name, slot, float(bounds[slot]), columns[part], values[part]))
    return rows


def _technicians(problem: Problem, job_of: Ints, start_of: Ints) -> list[Row]:
    served = np.flatnonzero(start_of != NOT_THIS_WEEK)
    pools = np.array([f"{job.plant}\0{job.skill}" for job in problem.jobs])
    crews = np.array([job.crew for job in problem.jobs], dtype=np.float64)
    rows: list[Row] = []
    for pool in np.unique(pools):
        plant, skill = pool.split("\0")
        pool_columns = served[pools[job_of[served]] == pool]
        columns, slots = _hours(problem, job_of, start_of, pool_columns)
        there = problem.week.there(plant, skill)
        name = f"{skill} technicians at {plant}"
        rows += _by_slot("technicians", name, columns, slots, crews[job_of[columns]], there)
    return rows


def _lines(problem: Problem, job_of: Ints, start_of: Ints) -> list[Row]:
    served = np.flatnonzero(start_of != NOT_THIS_WEEK)
    lines = np.array([job.line for job in problem.jobs])
    rows: list[Row] = []
    for line, minimum in problem.week.line_minimum.items():
        line_columns = served[lines[job_of[served]] == line]
        columns, slots = _hours(problem, job_of, start_of, line_columns)
        spare = np.full(problem.week.slots, problem.line_size(line) - minimum)
        name = f"machines of {line} that keep running"
        rows += _by_slot("line", name, columns, slots, np.ones(len(columns)), spare)
    return rows


def _totals(problem: Problem, job_of: Ints, start_of: Ints) -> list[Row]:
    served = np.flatnonzero(start_of != NOT_THIS_WEEK)
    rows = []
    if np.isfinite(problem.week.budget):
        cost = np.array([job.service_cost for job in problem.jobs])[job_of[served]]
        rows.append(Row("budget", "budget", -1, problem.week.budget, served, cost))
    for part in sorted({part for job in problem.jobs for part in job.parts}):
        counts = np.array([job.parts.get(part, 0) for job in problem.jobs], dtype=np.float64)
        uses = served[counts[job_of[served]] > 0]
        bound = float(problem.week.parts.get(part, 0))
        rows.append(Row("part", f"part {part}", -1, bound, uses, counts[job_of[uses]]))
    return rows
