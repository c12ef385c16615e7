"""A service of a planned week that somebody looks at, and what a change of it would cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.console.source import SystemSource
from lib.console.week_times import WeekTimes
from lib.maintenance.repository import StoredSchedule, WorkOrder
from lib.maintenance.schedule.change import Change, ChangeAction, change_service, lowest_cost_start
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, Parts, parts_of
from lib.maintenance.schedule.planned_week import PlannedWeek, UnchangeableError, read_week
from lib.maintenance.schedule.request import WHOLE_MACHINE
from lib.maintenance.schedule.revision import pinned_services
from lib.maintenance.schedule.week_problem import Named


@dataclass(frozen=True, slots=True)
class AskedChange:
    """A change that is to be priced: what is done, and the new start of a move as a form has it."""

    action: ChangeAction
    start: str = ""


@dataclass(frozen=True, slots=True)
class ServiceQuestion:
    """A service that somebody looks at, and a change of it that is to be priced."""

    name: Named
    change: AskedChange | None = None


@dataclass(frozen=True)
class ChosenService:
    """A service that somebody looks at.

    Attributes:
        name: machine and component.
        order: its work order; None where it is not planned.
        begins: in words; "" where it is not planned.
        is_locked: whether people fixed it.
        parts: its expected cost; None where the week cannot be changed.
        waiting: the same of not serving this week.
        suggested: cheapest start that fits, as a form takes it; "" without any.
        fault: why it cannot be changed; "" where it can.
    """

    name: Named
    order: WorkOrder | None
    begins: str
    is_locked: bool
    parts: Parts | None = None
    waiting: Parts | None = None
    suggested: str = ""
    fault: str = ""


@dataclass(frozen=True)
class ChangePreview:
    """A change that nobody has made yet.

    Attributes:
        change: what it comes to.
        begins_before, begins_after: in words.
        start_at: new start, microseconds since 1970 UTC; None where a move is not meant.
    """

    change: Change
    begins_before: str
    begins_after: str
    start_at: int | None


def read_service(
    source: SystemSource,
    schedule: StoredSchedule,
    orders: Sequence[WorkOrder],
    times: WeekTimes,
    question: ServiceQuestion,
    now: int,
) -> tuple[ChosenService, ChangePreview | None]:
    """Read a service, and what a change of it would come to; raises as `read_schedule` does."""
    name, asks = question.name, question.change
    own = [
        order
        for order in orders
        if (order.machine_id, order.component or WHOLE_MACHINE) == (name.machine_id, name.component)
    ]
    order = own[0] if own else None
    begins = "" if order is None else times.text(order.starts_at)
    is_locked = tuple(name) in pinned_services(schedule)
    try:
        week = read_week(schedule, orders, source.records.find_basis(schedule.id))
    except UnchangeableError as error:
        if order is None:
            raise
        return ChosenService(name, order, begins, is_locked, fault=str(error)), None
    index = week.number_of(name)
    job, problem_week = week.problem.jobs[index], week.problem.week
    suggested = lowest_cost_start(week, name, now)
    service = ChosenService(
        name, order, begins, is_locked,
        parts_of(job, problem_week, int(week.starts[index])),
        parts_of(job, problem_week, NOT_THIS_WEEK),
        "" if suggested is None else times.field(suggested),
        _fault(week, name, now),
    )  # fmt: skip
    return service, None if asks is None else _preview(week, times, name, asks, now)


def _fault(week: PlannedWeek, name: Named, now: int) -> str:
    try:
        change_service(week, "unlock", name, None, now)
    except UnchangeableError as error:
        return str(error)
    return ""


def _preview(
    week: PlannedWeek, times: WeekTimes, name: Named, asks: AskedChange, now: int
) -> ChangePreview:
    start_at = times.read(asks.start) if asks.action == "move" else None
    change = change_service(week, asks.action, name, start_at, now)
    before, after = (week.time_of(start) for start in (change.start_before, change.start_after))
    return ChangePreview(
        change,
        "not this week" if before is None else times.text(before),
        "not this week" if after is None else times.text(after),
        start_at,
    )
