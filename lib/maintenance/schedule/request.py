"""A week to be planned, as people write it: the same in a YAML file and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)

from lib.contract.fields import Id
from lib.contract.scalar import LONGEST_ID_BYTES, identifier_fault
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.history import Floats
from lib.maintenance.planning import Work, jobs
from lib.maintenance.schedule.problem import (
    SLOTS,
    Ints,
    Job,
    Problem,
    ScheduleError,
    Week,
    shifts,
)
from lib.survival import Curves

MOST_PEOPLE = 100_000
MOST_LISTED = 5_000
_MOST_MONEY = 1e15
_MOST_RATE = 1e6
WHOLE = "machine"
EVERYWHERE = "*"
_HOURS_PER_YEAR = 8766.0


def _place(value: str) -> str:
    if value and (fault := identifier_fault(value)):
        raise ValueError(fault)
    return value


Place = Annotated[str, Field(max_length=LONGEST_ID_BYTES), AfterValidator(_place)]
"""A plant or a line, up to 128 bytes without control characters; "" for none."""

People = Annotated[int, Field(strict=True, ge=0, le=MOST_PEOPLE)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Money = Annotated[FiniteFloat, Field(ge=0, le=_MOST_MONEY)]
Rate = Annotated[FiniteFloat, Field(ge=0, le=_MOST_RATE)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Crew(_Strict):
    """Technicians of one skill at one plant."""

    plant: Place = Field(EVERYWHERE, description="where they work; * is a crew at every plant")
    skill: Id
    shifts: dict[str, People] = Field(
        max_length=100,
        description='how many from one hour to another, e.g. {"06-14": 2}; zone of `start`',
    )
    weekend: float = Field(0.0, ge=0, le=1, description="share of them on Saturday and Sunday")


class ServiceKind(_Strict):
    """What a service of a component is, and what its failure costs."""

    skill: Id
    crew: int = Field(1, strict=True, ge=1, le=MOST_PEOPLE, description="technicians at once")
    duration_hours: int = Field(ge=1, le=SLOTS, description="whole hours that the machine stands")
    service_cost: Money = Field(description="labour and parts, in `currency`")
    repair_cost: Money = Field(description="labour and parts after a failure")
    repair_hours: Rate = Field(description="how long a failure keeps the machine standing")
    parts: dict[Id, Count] = Field(
        {}, max_length=MOST_LISTED, description="parts from the store, how many of each"
    )
    services_per_year: Rate = Field(
        description="services a machine has had in a year; what it costs in the long run"
    )
    failures_per_year: Rate = Field(description="failures a machine has had in a year")


class Standstill(_Strict):
    """Hours in which a machine may not stand."""

    machine_id: Id | None = Field(None, description="which; none: all")
    line: Place | None = Field(None, description="which line; none: all")
    begin: datetime
    end: datetime


class Lock(_Strict):
    """A start that people fixed, or that they refused."""

    machine_id: Id
    component: Id = WHOLE
    start: datetime | None = Field(None, description="full hour; none: not this week")


class WeekRequest(_Strict):
    """What is to be planned, and with what."""

    start: datetime = Field(description="a Monday 0:00 with its zone; slot 0 of 168")
    currency: Id = "USD"
    crews: list[Crew] = Field(min_length=1, max_length=MOST_LISTED)
    work: dict[Id, ServiceKind] = Field(
        max_length=1_000,
        description="by component, named as the failure modes; or `machine` for whole machines",
    )
    lost_per_hour: Money = Field(description="production lost an hour at criticality 1")
    unplanned_factor: FiniteFloat = Field(
        1.0,
        ge=1,
        le=_MOST_RATE,
        description="what an hour costs that nobody planned, over one that was",
    )
    production: dict[str, Rate] = Field(
        {},
        max_length=200,
        description='weight of hours, e.g. {"06-22": 1.15}; 1 where nothing is said',
    )
    budget: Money | None = Field(None, description="for services, in `currency`")
    parts: dict[Id, Count] | None = Field(
        None, max_length=MOST_LISTED, description="in the store; none: enough of all"
    )
    line_minimum: dict[Place, Count] = Field(
        {}, max_length=MOST_LISTED, description="machines of a line that must not stand"
    )
    risk_bound: float = Field(
        1.0, gt=0, le=1, description="who fails this week with this chance or more must be served"
    )
    must_serve: list[Id] = Field(
        [], max_length=MOST_LISTED, description="machines that must be served, whatever it costs"
    )
    forbidden: list[Standstill] = Field([], max_length=MOST_LISTED)
    locks: list[Lock] = Field([], max_length=MOST_LISTED)

    @field_validator("start")
    @classmethod
    def _a_monday(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("expected a time zone, as in 2025-06-02T00:00:00Z")
        midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        if value.weekday() != 0 or not midnight:
            raise ValueError(f"expected a Monday 0:00, got {value:%A %H:%M}")
        return value

    @model_validator(mode="after")
    def _with_skills(self) -> WeekRequest:
        there = {crew.skill for crew in self.crews}
        for name, kind in self.work.items():
            if kind.skill not in there:
                raise ValueError(
                    f"work.{name}.skill: no crew is {kind.skill}; crews are {', '.join(there)}"
                )
        if not self.work:
            raise ValueError("work: expected at least one component, or `machine`")
        return self


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
    whole: Curves,
    by_mode: Mapping[str, Curves],
) -> tuple[Problem, list[Named]]:
    """A job for every machine and component of `request.work`.

    Args:
        request: the week.
        sites: (n,) machines.
        whole: (n,) curves of the machines, hours from the week's start.
        by_mode: the same by component.

    Raises:
        ScheduleError: a component has no curves, a name is unknown, or a time lies outside.
    """
    _refuse_unknown(request, sites, by_mode)
    found: list[Job] = []
    names: list[Named] = []
    for component, kind in request.work.items():
        work = [_work(request, kind, site, component) for site in sites]
        curves = whole if component == WHOLE else by_mode[component]
        found += [replace(job, crew=kind.crew, parts=kind.parts) for job in jobs(work, curves)]
        names += [Named(site.machine_id, component) for site in sites]
    demanded = _demanded(request, sites, whole, found, names)
    by_site = {site.machine_id: site for site in sites}
    settled = [
        _settled(request, job, name, by_site[name.machine_id], place in demanded)
        for place, (job, name) in enumerate(zip(found, names, strict=True))
    ]
    return Problem(settled, _week(request, sites)), names


def from_week_start(request: WeekRequest, at_us: int, curves: Curves) -> Curves:
    """Curves that begin at `at_us` (microseconds UTC) as they are for who lasts until the week.

    Raises:
        ScheduleError: the week began before; its first hours could not be planned any more.
    """
    wait = (round(request.start.timestamp() * 1e6) - at_us) / HOUR_US
    if wait < 0.0:
        raise ScheduleError(
            f"start: the week of {request.start.isoformat()} began {-wait:.1f} h before the moment "
            "that risks are told for; plan the next week, or give risks of an earlier moment"
        )
    return curves.given(np.full(len(curves), wait)) if wait else curves


def job_name(machine_id: str, component: str) -> str:
    """Of a job: the machine, and the component where it is not the whole."""
    return machine_id if component == WHOLE else f"{machine_id} {component}"


def _refuse_unknown(
    request: WeekRequest, sites: Sequence[Site], by_mode: Mapping[str, Curves]
) -> None:
    for component in request.work:
        if component != WHOLE and component not in by_mode:
            known = ", ".join(by_mode) or "none"
            raise ScheduleError(
                f"work.{component}: the model has no such failure mode; it has {known}; "
                f"`{WHOLE}` plans whole machines"
            )
    machines = {site.machine_id for site in sites}
    for field, names in (
        ("must_serve", request.must_serve),
        ("locks", [lock.machine_id for lock in request.locks]),
        ("forbidden", [one.machine_id for one in request.forbidden if one.machine_id]),
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


def _work(request: WeekRequest, kind: ServiceKind, site: Site, component: str) -> Work:
    lost = request.lost_per_hour * site.criticality
    unplanned = lost * request.unplanned_factor
    service = kind.service_cost + kind.duration_hours * lost
    failure = kind.repair_cost + kind.repair_hours * unplanned
    cycle = kind.services_per_year * service + kind.failures_per_year * failure
    return Work(
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
    whole: Curves,
    found: Sequence[Job],
    names: Sequence[Named],
) -> set[int]:
    """Places of the jobs that must be done: of each such machine the likeliest to fail."""
    risk = 1.0 - whole.at(float(SLOTS))[:, 0]
    wanted = {
        site.machine_id
        for site, chance in zip(sites, risk, strict=True)
        if chance >= request.risk_bound or site.machine_id in request.must_serve
    }
    refused = {(one.machine_id, one.component) for one in request.locks if one.start is None}
    worst: dict[str, int] = {}
    for place, name in enumerate(names):
        if name.machine_id not in wanted or (name.machine_id, name.component) in refused:
            continue
        best = worst.get(name.machine_id)
        if best is None or found[place].survival[-1] < found[best].survival[-1]:
            worst[name.machine_id] = place
    for machine in wanted - set(worst):
        raise ScheduleError(
            f"locks: '{machine}' must be served this week, and every service of it is refused"
        )
    return set(worst.values())


def _settled(request: WeekRequest, job: Job, name: Named, site: Site, demanded: bool) -> Job:
    hours: set[int] = set()
    for one in request.forbidden:
        if one.machine_id in (None, site.machine_id) and one.line in (None, site.line):
            hours |= set(_slots(request, one))
    lock = next(
        (
            one
            for one in request.locks
            if (one.machine_id, one.component) == (name.machine_id, name.component)
        ),
        None,
    )
    start = None if lock is None or lock.start is None else _slot(request, lock.start, "locks")
    return replace(
        job,
        forbidden=frozenset(hours),
        must_serve=demanded,
        locked_start=start,
        locked_out=lock is not None and lock.start is None,
    )


def _slot(request: WeekRequest, time: datetime, field: str) -> int:
    if time.tzinfo is None:
        raise ScheduleError(f"{field}: expected a time with a zone, got {time.isoformat()}")
    hours = (time - request.start) / timedelta(hours=1)
    if hours != int(hours) or not 0 <= hours <= SLOTS:
        raise ScheduleError(
            f"{field}: expected a full hour of the week from {request.start.isoformat()}, got "
            f"{time.isoformat()}"
        )
    return int(hours)


def _slots(request: WeekRequest, one: Standstill) -> range:
    begin, end = (_slot(request, time, "forbidden") for time in (one.begin, one.end))
    return range(begin, end)


def _week(request: WeekRequest, sites: Sequence[Site]) -> Week:
    there: dict[tuple[str, str], Ints] = {}
    plants = {site.plant for site in sites}
    for crew in request.crews:
        hours = shifts(crew.shifts, crew.weekend)
        for plant in plants if crew.plant == EVERYWHERE else {crew.plant}:
            there[plant, crew.skill] = there.get((plant, crew.skill), 0) + hours
    parts = request.parts
    if parts is None:
        parts = {part: 10**9 for kind in request.work.values() for part in kind.parts}
    return Week(
        start=request.start,
        technicians=there,
        budget=np.inf if request.budget is None else request.budget,
        parts=parts,
        line_minimum=request.line_minimum,
        production=_production(request),
    )


def _production(request: WeekRequest) -> Floats | None:
    if not request.production:
        return None
    weights = np.ones(SLOTS)
    for hours, weight in request.production.items():
        if weight < 0:
            raise ScheduleError(f"production.{hours}: expected 0 or more, got {weight}")
        weights[shifts({hours: 1}, weekend=1.0) > 0] = weight
    return weights
