"""A week's plan as a page: who stands when, what it costs, and what other plans would."""

from collections.abc import Mapping
from datetime import UTC, timedelta

import numpy as np
import numpy.typing as npt

from lib.maintenance.schedule.costs import NOT_THIS_WEEK, cost_of, parts_of
from lib.maintenance.schedule.local_week import hours_later
from lib.maintenance.schedule.problem import Problem, Week
from lib.maintenance.schedule.solve import Plan
from lib.report import (
    Axis,
    Block,
    Cell,
    KeyFigure,
    KeyFigures,
    Note,
    Report,
    Section,
    Span,
    Table,
    span_plot,
)

_MOST_ROWS = 60


def schedule_report(
    problem: Problem, plan: Plan, others: Mapping[str, npt.ArrayLike], currency: str = "USD"
) -> Report:
    """The page of a plan.

    Args:
        problem: the week.
        plan: of `solve`.
        others: starts (n,) of other ways to plan the same week, by name.
        currency: of all costs.
    """
    served = np.flatnonzero(plan.starts != NOT_THIS_WEEK)
    monday = problem.week.start
    return Report(
        title="Maintenance schedule",
        subtitle=f"{len(problem.jobs)} possible jobs, week of {monday:%Y-%m-%d %H:%M %Z}",
        sections=(
            Section("The week", _week(problem, plan, served, currency)),
            Section("The jobs", (_jobs(problem, plan, served),)),
            Section("Other plans", (_others(problem, plan, others),)),
        ),
        facts={
            "jobs": len(problem.jobs),
            "served": len(served),
            "cost": plan.cost,
            "saved": plan.saved,
            "gap": plan.gap,
            "seconds": plan.seconds,
            "finished": plan.finished,
            "currency": currency,
            "others": {name: cost_of(problem, starts) for name, starts in others.items()},
        },
    )


def _week(
    problem: Problem, plan: Plan, served: npt.NDArray[np.int64], currency: str
) -> tuple[Block, ...]:
    spent = sum(problem.jobs[index].service_cost for index in served)
    budget = problem.week.budget
    figures = KeyFigures(
        (
            KeyFigure("services", str(len(served)), f"of {len(problem.jobs)} possible"),
            KeyFigure(f"saved, {currency}", f"{plan.saved:,.0f}", "against no services"),
            KeyFigure(
                f"service cost, {currency}",
                f"{spent:,.0f}",
                f"budget {budget:,.0f}" if np.isfinite(budget) else "no budget given",
            ),
            KeyFigure("gap", f"{plan.gap:.2%}", "share of the saving that may be missed"),
            KeyFigure("solved in", f"{plan.seconds:.1f} s", "" if plan.finished else "time limit"),
        )
    )
    if not len(served):
        return (
            figures,
            Note("No machine is serviced this week: no service saves more than it costs."),
        )
    earliest = served[np.argsort(plan.starts[served], kind="stable")][:_MOST_ROWS]
    spans = [
        Span(
            problem.jobs[index].machine_id,
            float(plan.starts[index]),
            float(problem.jobs[index].duration_hours),
            problem.jobs[index].skill,
        )
        for index in earliest
    ]
    ticks = _midnights(problem.week)
    rest = (
        f"; {len(served) - len(earliest)} more start later" if len(earliest) < len(served) else ""
    )
    chart = span_plot(
        "Machines in service by time",
        spans,
        Axis("day of the week, in the zone of its start"),
        ticks=ticks,
        caption=f"{len(earliest)} jobs by start, coloured by skill{rest}",
    )
    return (figures, chart)


def _midnights(week: Week) -> dict[float, str]:
    """Slot at which each day begins, and its name."""
    days = [week.start + timedelta(days=day) for day in range(8)]
    start = week.start.astimezone(UTC)
    return {(day.astimezone(UTC) - start) / timedelta(hours=1): f"{day:%a %d}" for day in days}


def _jobs(problem: Problem, plan: Plan, served: npt.NDArray[np.int64]) -> Table:
    """The jobs that save most, with what they and waiting cost."""
    rows: list[tuple[float, tuple[Cell, ...]]] = []
    for index in served:
        job, start = problem.jobs[index], int(plan.starts[index])
        now = parts_of(job, problem.week, start)
        waiting = parts_of(job, problem.week, NOT_THIS_WEEK).total
        begins = hours_later(problem.week.start, start)
        cells: tuple[Cell, ...] = (
            *(job.machine_id, job.plant, job.skill, f"{begins:%a %H:%M}", job.duration_hours),
            1.0 - float(job.survival[-1]),
            *map(round, now),
            round(waiting),
            round(waiting - now.total),
        )
        rows.append((waiting - now.total, cells))
    rows.sort(key=lambda row: -row[0])
    return Table(
        header=(
            *("machine", "plant", "skill", "start", "hours", "fails this week"),
            *("service", "downtime", "failure", "ahead", "not served", "saved"),
        ),
        rows=tuple(cells for _, cells in rows[:_MOST_ROWS]),
        digits=3,
        caption="Expected costs. Failure: cost of a failure before the service begins. Ahead: "
        "value of the new component's life used up by the end of the week, at the long-run cost.",
    )


def _others(problem: Problem, plan: Plan, others: Mapping[str, npt.ArrayLike]) -> Table:
    rows: list[tuple[Cell, ...]] = [("this plan", int((plan.starts >= 0).sum()), round(plan.cost))]
    for name, starts in others.items():
        cost = cost_of(problem, starts)
        rows.append((name, int((np.asarray(starts) >= 0).sum()), round(cost)))
    return Table(
        header=("plan", "services", "expected cost"),
        rows=tuple(rows),
        emphasis=0,
        caption=f"No plan that keeps all constraints costs less than {plan.bound:,.0f}. The week "
        f"has {problem.week.slots} hours.",
    )
