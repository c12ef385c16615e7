"""A requested week as a problem for the solver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.history import Floats
from lib.maintenance.schedule.jobs import MachineTask, jobs
from lib.maintenance.schedule.local_week import LocalWeek, in_zone, local_week, zone_of
from lib.maintenance.schedule.problem import Ints, Job, Problem, ScheduleError, Week
from lib.maintenance.schedule.request import (
    EVERYWHERE,
    WHOLE,
    Absence,
    ServiceKind,
    WeekRequest,
)
from lib.survival.curves import Curves

_HOURS_PER_YEAR = 8766.0


@dataclass(frozen=True)
class Site:
    """A machine as the schedule knows it.

    Attributes:
        machine_id: names it.
        plant, line: where it stands; "" for none.
        criticality: share of its line's production that is lost while it stands.
    """

    machine_id: str
    plant: str = ""
    line: str = ""
    criticality: float = 1.0


@dataclass(frozen=True)
class Named:
    """Whose job is at a place of a problem: machine and component."""

    machine_id: str
    component: str


def problem_of(
    request: WeekRequest,
    sites: Sequence[Site],
    machine_curves: Curves,
    by_mode: Mapping[str, Curves],
) -> tuple[Problem, list[Named]]:
    """A job for every machine and component of `request.work`.

    Args:
        request: the week.
        sites: (n,) machines.
        machine_curves: (n,) curves of the machines, hours from the week's start.
        by_mode: the same by component.

    Raises:
        ScheduleError: a component has no curves, a name is unknown, or a time lies outside.
    """
    _refuse_unknown(request, sites, by_mode)
    week = local_week(request.begin)
    week_jobs: list[Job] = []
    names: list[Named] = []
    for component, kind in request.work.items():
        work = [_work(request, kind, site, component) for site in sites]
        curves = machine_curves if component == WHOLE else by_mode[component]
        component_jobs = jobs(work, curves, slots=week.slots)
        week_jobs += [replace(job, crew=kind.crew, parts=kind.parts) for job in component_jobs]
        names += [Named(site.machine_id, component) for site in sites]
    demanded = _demanded(
        request, sites, machine_curves.at(float(week.slots))[:, 0], week_jobs, names
    )
    by_site = {site.machine_id: site for site in sites}
    settled = [
        _settled(request, week, job, name, by_site[name.machine_id], index in demanded)
        for index, (job, name) in enumerate(zip(week_jobs, names, strict=True))
    ]
    return Problem(settled, _week(request, week, sites)), names


def from_week_start(request: WeekRequest, at_us: int, curves: Curves) -> Curves:
    """Curves that begin at `at_us` (microseconds UTC) as they are for who lasts until the week.

    Raises:
        ScheduleError: the week began before; its first hours could not be planned any more.
    """
    wait = (round(request.begin.timestamp() * 1e6) - at_us) / HOUR_US
    if wait < 0.0:
        raise ScheduleError(
            f"start: the week of {request.begin.isoformat()} began {-wait:.1f} h before the time "
            "of the risks; plan the next week, or use risks of an earlier time"
        )
    return curves.conditional_after(np.full(len(curves), wait)) if wait else curves


def job_name(machine_id: str, component: str) -> str:
    """Of a job: the machine, and the component where it is not the whole."""
    return machine_id if component == WHOLE else f"{machine_id} {component}"


def _refuse_unknown(
    request: WeekRequest, sites: Sequence[Site], by_mode: Mapping[str, Curves]
) -> None:
    for component in request.work:
        if component != WHOLE and component not in by_mode:
            modes = ", ".join(by_mode) or "none"
            raise ScheduleError(
                f"work.{component}: the model has no such failure mode; it has {modes}; "
                f"`{WHOLE}` plans whole machines"
            )
    machines = {site.machine_id for site in sites}
    for field, names in (
        ("must_serve", request.must_serve),
        ("locks", [lock.machine_id for lock in request.locks]),
        ("forbidden", [period.machine_id for period in request.forbidden if period.machine_id]),
    ):
        for name in names:
            if name not in machines:
                raise ScheduleError(f"{field}: unknown machine '{name}'")
    for lock in request.locks:
        if lock.component not in request.work:
            raise ScheduleError(f"locks: '{lock.machine_id}': no work on '{lock.component}'")
    for line in request.line_minimum:
        if line not in {site.line for site in sites}:
            raise ScheduleError(f"line_minimum: unknown line '{line}'")


def _work(request: WeekRequest, kind: ServiceKind, site: Site, component: str) -> MachineTask:
    lost = request.lost_per_hour * site.criticality
    unplanned = lost * request.unplanned_factor
    service = kind.service_cost + kind.duration_hours * lost
    failure = kind.repair_cost + kind.repair_hours * unplanned
    cycle = kind.services_per_year * service + kind.failures_per_year * failure
    return MachineTask(
        name=job_name(site.machine_id, component),
        plant=site.plant,
        line=site.line,
        skill=kind.skill,
        duration_hours=kind.duration_hours,
        service_cost=kind.service_cost,
        repair_cost=kind.repair_cost,
        repair_hours=kind.repair_hours,
        lost_per_hour=lost,
        lost_per_unplanned_hour=unplanned,
        cycle_cost_per_hour=cycle / _HOURS_PER_YEAR,
    )


def _demanded(
    request: WeekRequest,
    sites: Sequence[Site],
    alive: Floats,
    jobs: Sequence[Job],
    names: Sequence[Named],
) -> set[int]:
    """Places of the jobs that must be done: of each such machine the likeliest to fail.

    Args:
        request: the week.
        sites: (n,) machines.
        alive: (n,) chance of each to last the week.
        jobs: (k,) jobs.
        names: (k,) whose they are.
    """
    demanded = {
        site.machine_id
        for site, probability in zip(sites, alive, strict=True)
        if 1.0 - probability >= request.risk_bound or site.machine_id in request.must_serve
    }
    refused = {(lock.machine_id, lock.component) for lock in request.locks if lock.start is None}
    worst: dict[str, int] = {}
    for index, name in enumerate(names):
        if name.machine_id not in demanded or (name.machine_id, name.component) in refused:
            continue
        best = worst.get(name.machine_id)
        if best is None or jobs[index].survival[-1] < jobs[best].survival[-1]:
            worst[name.machine_id] = index
    for machine in demanded - set(worst):
        raise ScheduleError(
            f"locks: '{machine}' must be serviced this week, but every service of it is excluded"
        )
    return set(worst.values())


def _settled(
    request: WeekRequest, week: LocalWeek, job: Job, name: Named, site: Site, demanded: bool
) -> Job:
    hours: set[int] = set()
    for period in request.forbidden:
        if period.machine_id in (None, site.machine_id) and period.line in (None, site.line):
            begin, end = (
                _slot(request, week, time, "forbidden") for time in (period.begin, period.end)
            )
            hours |= set(range(begin, end))
    lock = next(
        (
            candidate
            for candidate in request.locks
            if (candidate.machine_id, candidate.component) == (name.machine_id, name.component)
        ),
        None,
    )
    start = None
    if lock is not None and lock.start is not None:
        start = _slot(request, week, lock.start, "locks")
    return replace(
        job,
        forbidden=frozenset(hours),
        must_serve=demanded,
        locked_start=start,
        locked_out=lock is not None and lock.start is None,
    )


def _hours_until(request: WeekRequest, week: LocalWeek, time: datetime, field: str) -> float:
    """Elapsed hours from the week's start; a time without an offset is in the week's zone."""
    zone = None if request.timezone is None else zone_of(request.timezone)
    try:
        return week.hours_until(in_zone(time, zone))
    except ValueError as error:
        raise ScheduleError(f"{field}: {error}") from error


def _slot(request: WeekRequest, week: LocalWeek, time: datetime, field: str) -> int:
    hours = _hours_until(request, week, time, field)
    if hours != int(hours) or not 0 <= hours <= week.slots:
        raise ScheduleError(
            f"{field}: expected a whole hour from {week.start.isoformat()} to "
            f"{week.time_of(week.slots).isoformat()}, got {time.isoformat()}"
        )
    return int(hours)


def _week(request: WeekRequest, week: LocalWeek, sites: Sequence[Site]) -> Week:
    there: dict[tuple[str, str], Ints] = {}
    plants = {site.plant for site in sites}
    for crew in request.crews:
        people = week.people(crew.shifts, crew.weekend)
        for plant in plants if crew.plant == EVERYWHERE else {crew.plant}:
            there[plant, crew.skill] = there.get((plant, crew.skill), 0) + people
    for absence in request.absences:
        _without(request, week, absence, there)
    parts = request.parts
    if parts is None:
        parts = {part: 10**9 for kind in request.work.values() for part in kind.parts}
    return Week(
        start=week.start,
        technicians=there,
        budget=np.inf if request.budget is None else request.budget,
        parts=parts,
        line_minimum=request.line_minimum,
        production=week.weights(request.production) if request.production else None,
        slots=week.slots,
    )


def _without(
    request: WeekRequest, week: LocalWeek, absence: Absence, there: dict[tuple[str, str], Ints]
) -> None:
    """Takes absent people out of every hour that their absence touches."""
    begin, end = (
        _hours_until(request, week, time, "absences") for time in (absence.begin, absence.end)
    )
    if begin >= end:
        raise ScheduleError(
            f"absences: expected end after begin, got {absence.begin.isoformat()} to "
            f"{absence.end.isoformat()}"
        )
    pools = [
        (plant, skill)
        for plant, skill in there
        if skill == absence.skill and absence.plant in (EVERYWHERE, plant)
    ]
    if not pools:
        named = ", ".join(sorted({f"{skill} at {plant or 'no plant'}" for plant, skill in there}))
        raise ScheduleError(
            f"absences: no crew is {absence.skill} at {absence.plant}; crews are {named}"
        )
    slots = np.arange(week.slots)
    touched = (slots + 1 > begin) & (slots < end)
    for pool in pools:
        there[pool] = np.maximum(there[pool] - absence.count * touched, 0)
