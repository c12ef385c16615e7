"""A planned week: who is served when, its costs and what binds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from lib.console.gantt import Gantt, PlannedBar, draw_gantt
from lib.console.service_change import ChangePreview, ChosenService, ServiceQuestion, read_service
from lib.console.source import SystemSource
from lib.console.system_records import SystemRecords
from lib.console.week_times import WeekTimes
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.repository import (
    ScheduleChange,
    ScheduleEntry,
    StoredSchedule,
    UnknownOrderError,
    WorkOrder,
)
from lib.maintenance.schedule.local_week import local_week
from lib.maintenance.schedule.request import WHOLE_MACHINE
from lib.maintenance.schedule.revision import pinned_services
from lib.maintenance.schedule.week_problem import Named

ROWS = 80
"""Services that a page shows."""
_LEFT_OUT_SHOWN, _CHANGES_SHOWN = 10, 12


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which services are shown; None takes all.

    Attributes:
        plant, skill: of the crew.
        number: of the page, from 1.
    """

    plant: str | None = None
    skill: str | None = None
    number: int = 1


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A planned service.

    Attributes:
        order: its work order.
        component: `machine` for all of it.
        state: `open`, `locked` or `closed`.
        begins, ends: in the time zone of the week.
    """

    order: WorkOrder
    component: str
    state: str
    begins: str
    ends: str


@dataclass(frozen=True, slots=True)
class BindingText:
    """A constraint that binds: what it is, how much there is, and when nothing is left."""

    kind: str
    name: str
    limit: float
    hours: int
    when: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A service that would save money and is not planned."""

    machine_id: str
    component: str
    saving: float
    lacking: str


@dataclass(frozen=True)
class WeekCosts:
    """What a week costs, in its currency.

    Attributes:
        currency: of all amounts.
        cost, saved: expected; saved against no services.
        gap: share of the possible saving that another plan might bring.
        seconds, finished: of the solver; whether the gap was reached.
        services: planned.
        spent, budget: on services; None without a bound.
        others: expected cost of simpler plans by name.
    """

    currency: str
    cost: float
    saved: float
    gap: float
    seconds: float
    finished: bool
    services: int
    spent: float
    budget: float | None
    others: Mapping[str, float]


@dataclass(frozen=True)
class SchedulePage:
    """All that the page of a week shows.

    Attributes:
        schedule: as stored.
        weeks: that were planned last.
        title: its first day.
        zone: name of the time zone of its hours.
        present: now, as a form takes it.
        first, last: hours of the week, as a form takes them.
        rows: services of this page of the list, by crew and start.
        count: of services that the filter takes.
        open_count: of all services, those that are not closed.
        plants, skills: of all services, for the filter.
        gantt: of the rows; None without any.
        costs: of the week.
        binding: what has nothing left.
        left_out: what would save most and is not planned.
        changes: of people, the newest first.
        accepted: who accepted which revision when; None where nobody did.
        is_changeable: whether it was stored with what it was computed from.
        chosen: service that somebody looks at.
        preview: of a change.
    """

    schedule: StoredSchedule
    weeks: Sequence[ScheduleEntry]
    title: str
    zone: str
    present: str
    first: str
    last: str
    rows: Sequence[ServiceRow]
    count: int
    open_count: int
    plants: Sequence[str]
    skills: Sequence[str]
    gantt: Gantt | None
    costs: WeekCosts
    binding: Sequence[BindingText]
    left_out: Sequence[LeftOut]
    changes: Sequence[ScheduleChange]
    accepted: Mapping[str, Any] | None
    is_changeable: bool
    chosen: ChosenService | None
    preview: ChangePreview | None


def newest_schedule(source: SystemSource) -> str | None:
    """Id of the schedule that was planned last; None before the first."""
    newest = source.records.list_schedules(1)
    return newest[0].id if newest else None


def read_schedule(
    source: SystemSource,
    schedule_id: str,
    shown: ScheduleFilter,
    now: int,
    question: ServiceQuestion | None = None,
) -> SchedulePage:
    """Read a week, and what a change of it would come to; nothing is stored.

    Args:
        source: of the system.
        schedule_id: which week.
        shown: which of its services.
        now: microseconds since 1970 UTC.
        question: a service that somebody looks at, and what they want to know of it.

    Raises:
        UnknownOrderError: there is no such schedule.
        ScheduleError: the change, or the service, cannot be meant.
    """
    records = source.records
    schedule, orders = records.find_schedule(schedule_id)
    times, pinned = WeekTimes.of(schedule), pinned_services(schedule)
    matching = sorted(
        (order for order in orders if _is_shown(order, shown)),
        key=lambda order: (order.plant, order.skill, order.starts_at, order.id),
    )
    first = (shown.number - 1) * ROWS
    rows = [_row(order, pinned, times) for order in matching[first : first + ROWS]]
    is_changeable = "sites" in schedule.plan
    service, preview = None, None
    if question is not None:
        service, preview = read_service(source, schedule, orders, times, question, now)
    return SchedulePage(
        schedule=schedule,
        weeks=records.list_schedules(),
        title=f"{times.start:%A %d %B %Y}",
        zone=times.zone,
        present=times.field(now),
        first=times.field(schedule.week_start),
        last=times.field(schedule.week_start + (local_week(times.start).slots - 1) * HOUR_US),
        rows=rows,
        count=len(matching),
        open_count=sum(order.closed_at is None for order in orders),
        plants=sorted({order.plant for order in orders if order.plant}),
        skills=sorted({order.skill for order in orders}),
        gantt=_gantt(schedule, times, rows, None if question is None else question.name, now)
        if rows
        else None,
        costs=_costs(schedule, orders),
        binding=_binding(schedule, times),
        left_out=_left_out(schedule),
        changes=_changes(records, schedule_id),
        accepted=_accepted(schedule),
        is_changeable=is_changeable,
        chosen=service,
        preview=preview,
    )


def _changes(records: SystemRecords, schedule_id: str) -> tuple[ScheduleChange, ...]:
    """The newest changes, and the newest that close no work order, so that none crowd those out."""
    newest = [
        *records.list_changes(schedule_id, _CHANGES_SHOWN),
        *records.list_changes(schedule_id, _CHANGES_SHOWN, with_closings=False),
    ]
    by_id = {change.id: change for change in newest}
    return tuple(sorted(by_id.values(), key=lambda change: (-change.at, -change.revision)))


def services_csv(source: SystemSource, schedule_id: str) -> str:
    """The plan as CSV, as it is after the last change.

    Raises:
        UnknownOrderError: there is no such schedule, or it was stored without this export.
    """
    return _export(source, schedule_id, "csv")


def calendar_text(source: SystemSource, schedule_id: str) -> str:
    """The plan as iCalendar; raises as `services_csv`."""
    return _export(source, schedule_id, "ics")


def _export(source: SystemSource, schedule_id: str, kind: str) -> str:
    schedule, _ = source.records.find_schedule(schedule_id)
    text = schedule.plan.get(kind)
    if not isinstance(text, str):
        raise UnknownOrderError(f"schedule {schedule_id!r} was stored without this export")
    return text


def _is_shown(order: WorkOrder, shown: ScheduleFilter) -> bool:
    return shown.plant in (None, order.plant) and shown.skill in (None, order.skill)


def _row(order: WorkOrder, pinned: Mapping[tuple[str, str], bool], times: WeekTimes) -> ServiceRow:
    component = order.component or WHOLE_MACHINE
    state = "locked" if pinned.get((order.machine_id, component)) else "open"
    if order.closed_at is not None:
        state = "closed"
    return ServiceRow(
        order, component, state, times.text(order.starts_at), times.text(order.ends_at)
    )


def _crew(plant: str, skill: str) -> str:
    return f"{skill}, {plant}" if plant else skill


def _gantt(
    schedule: StoredSchedule,
    times: WeekTimes,
    rows: Sequence[ServiceRow],
    chosen: Named | None,
    now: int,
) -> Gantt:
    def hour(time_us: int) -> float:
        return (time_us - schedule.week_start) / HOUR_US

    bars = []
    for row in rows:
        order, name = row.order, Named(row.order.machine_id, row.component)
        what = order.machine_id if row.component == WHOLE_MACHINE else " ".join(name)
        title = f"{what}, {row.begins} to {row.ends}, {row.state}"
        state = "chosen" if name == chosen else row.state
        query = urlencode({"machine": name.machine_id, "component": name.component})
        bars.append(
            PlannedBar(
                _crew(order.plant, order.skill), hour(order.starts_at), hour(order.ends_at),
                what, title, state, query,
            )
        )  # fmt: skip
    days = [times.start + timedelta(days=day) for day in range(7)]
    names = {hour(round(day.timestamp() * 1e6)): f"{day:%a %d}" for day in days}
    slots = local_week(times.start).slots
    return draw_gantt(bars, _busy(schedule), names, slots, hour(now))


def _busy(schedule: StoredSchedule) -> dict[str, list[tuple[int, int]]]:
    """Hours by crew in which nobody is left."""
    stored: Any = schedule.plan.get("binding", [])
    busy = {}
    for each in stored:
        if each["kind"] == "technicians":
            skill, _, plant = each["name"].partition(" technicians at ")
            crew = _crew("" if plant == "no plant" else plant, skill)
            busy[crew] = [(first, last) for first, last in each["spans"]]
    return busy


def _costs(schedule: StoredSchedule, orders: Sequence[WorkOrder]) -> WeekCosts:
    plan: Any = schedule.plan
    request: Any = schedule.request
    work = request.get("work", {})
    spent = sum(
        work.get(order.component or WHOLE_MACHINE, {}).get("service_cost", 0.0) for order in orders
    )
    return WeekCosts(
        currency=str(request.get("currency", "USD")),
        cost=plan["cost"], saved=plan["saved"], gap=plan["gap"],
        seconds=plan["seconds"], finished=plan["finished"],
        services=len(orders), spent=spent, budget=request.get("budget"),
        others=plan.get("other_plans", {}),
    )  # fmt: skip


def _binding(schedule: StoredSchedule, times: WeekTimes) -> list[BindingText]:
    stored: Any = schedule.plan.get("binding", [])
    return [
        BindingText(
            each["kind"], each["name"], each["limit"],
            sum(last - first for first, last in each["spans"]), times.spans_text(each["spans"]),
        )
        for each in stored
    ]  # fmt: skip


def _left_out(schedule: StoredSchedule) -> list[LeftOut]:
    stored: Any = schedule.plan.get("left_out", [])
    return [
        LeftOut(
            each["machine_id"], each["component"], each["saving"],
            ", ".join(each["lacking"]) or "nothing: within the gap of the solver",
        )
        for each in stored[:_LEFT_OUT_SHOWN]
    ]  # fmt: skip


def _accepted(schedule: StoredSchedule) -> Mapping[str, Any] | None:
    accepted = schedule.plan.get("accepted")
    return accepted if isinstance(accepted, Mapping) else None
