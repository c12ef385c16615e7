"""A requested week as a problem for the solver."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.history import Floats
from lib.maintenance.schedule.local_week import LocalWeek, in_zone, local_week, zone_of
from lib.maintenance.schedule.problem import SLOTS, Ints, Job, Problem, ScheduleError, Week
from lib.maintenance.schedule.request import EVERYWHERE, WHOLE_MACHINE, Absence, WeekRequest
from lib.survival.curves import Curves

_HOURS_PER_YEAR = 8766.0
_LATER_STEP_HOURS = 24.0


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


class Named(NamedTuple):
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
    survival: list[dict[str, Floats]] = []
    names: list[Named] = []
    for component in request.work:
        curves = machine_curves if component == WHOLE_MACHINE else by_mode[component]
        survival += survival_of_jobs(curves, week.slots)
        names += [Named(site.machine_id, component) for site in sites]
    ends = [float(each["survival"][-1]) for each in survival]
    alive = machine_curves.at(float(week.slots))[:, 0]
    demanded = _demanded(request, sites, alive, ends, names)
    by_site = {site.machine_id: site for site in sites}
    jobs = [
        _job(request, week, name, by_site[name.machine_id], index in demanded, survival[index])
        for index, name in enumerate(names)
    ]
    return Problem(jobs, _week(request, week, sites)), names


def survival_of_jobs(curves: Curves, slots: int = SLOTS) -> list[dict[str, Floats]]:
    """Of each curve `survival`, `later_hours` and `later_survival` as a `Job` takes them.

    Args:
        curves: hours from the week's start; what lies beyond their last time is not used.
        slots: hours of the week.
    """
    later = np.arange(_LATER_STEP_HOURS, curves.times[-1] - slots + 1.0, _LATER_STEP_HOURS)
    alive = curves.at(np.append(np.arange(slots + 1.0), slots + later))
    return [
        {"survival": row[: slots + 1], "later_hours": later, "later_survival": row[slots + 1 :]}
        for row in np.minimum.accumulate(alive, axis=1)
    ]


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


def _refuse_unknown(
    request: WeekRequest, sites: Sequence[Site], by_mode: Mapping[str, Curves]
) -> None:
    for component in request.work:
        if component != WHOLE_MACHINE and component not in by_mode:
            modes = ", ".join(by_mode) or "none"
            raise ScheduleError(
                f"work.{component}: the model has no such failure mode; it has {modes}; "
                f"`{WHOLE_MACHINE}` plans whole machines"
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


def _demanded(
    request: WeekRequest,
    sites: Sequence[Site],
    alive: Floats,
    ends: Sequence[float],
    names: Sequence[Named],
) -> set[int]:
    """Places of the jobs that must be done: of each such machine the likeliest to fail.

    Args:
        request: the week.
        sites: (n,) machines.
        alive: (n,) chance of each to last the week.
        ends: (k,) the same of each job's component.
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
        if best is None or ends[index] < ends[best]:
            worst[name.machine_id] = index
    for machine in demanded - set(worst):
        raise ScheduleError(
            f"locks: '{machine}' must be serviced this week, but every service of it is excluded"
        )
    return set(worst.values())


def _job(
    request: WeekRequest,
    week: LocalWeek,
    name: Named,
    site: Site,
    demanded: bool,
    survival: Mapping[str, Floats],
) -> Job:
    kind = request.work[name.component]
    lost = request.lost_per_hour * site.criticality
    unplanned = lost * request.unplanned_factor
    failure = kind.repair_cost + kind.repair_hours * unplanned
    service = kind.service_cost + kind.duration_hours * lost
    cycle = kind.services_per_year * service + kind.failures_per_year * failure
    locks = [each for each in request.locks if (each.machine_id, each.component) == name]
    locked_start = locks[0].start if locks else None
    return Job(
        machine_id=name.machine_id if name.component == WHOLE_MACHINE else " ".join(name),
        plant=site.plant,
        line=site.line,
        skill=kind.skill,
        crew=kind.crew,
        duration_hours=kind.duration_hours,
        service_cost=kind.service_cost,
        failure_cost=failure,
        downtime_cost_per_hour=lost,
        cycle_cost_per_hour=cycle / _HOURS_PER_YEAR,
        parts=kind.parts,
        forbidden=_forbidden(request, week, site),
        must_serve=demanded,
        locked_start=None if locked_start is None else _slot(request, week, locked_start, "locks"),
        locked_out=bool(locks) and locked_start is None,
        **survival,
    )


def _forbidden(request: WeekRequest, week: LocalWeek, site: Site) -> frozenset[int]:
    hours: set[int] = set()
    for period in request.forbidden:
        if period.machine_id in (None, site.machine_id) and period.line in (None, site.line):
            begin, end = (
                _slot(request, week, time, "forbidden") for time in (period.begin, period.end)
            )
            hours |= set(range(begin, end))
    return frozenset(hours)


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
