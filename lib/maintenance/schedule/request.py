"""The request to plan a week, the same in a YAML file and over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)

from lib.contract.declaration import LONGEST_ID_BYTES
from lib.contract.fields import Id, listed, optional
from lib.contract.scalar import identifier_fault
from lib.maintenance.schedule.local_week import in_zone, local_week, zone_of
from lib.maintenance.schedule.problem import SLOTS

MOST_PEOPLE = 100_000
MOST_LISTED = 5_000
_MOST_MONEY = 1e15
_MOST_RATE = 1e6
WHOLE_MACHINE = "machine"
EVERYWHERE = "*"
_LOCAL_TIME = "ISO 8601 with an offset, or in the local time of the week"


def _identifier(value: str) -> str:
    if value and (fault := identifier_fault(value)):
        raise ValueError(fault)
    return value


Site = Annotated[str, Field(max_length=LONGEST_ID_BYTES), AfterValidator(_identifier)]
"""A plant or a line, up to 128 bytes without control characters; "" for none."""

People = Annotated[int, Field(strict=True, ge=0, le=MOST_PEOPLE)]
PeopleCount = Annotated[int, Field(strict=True, ge=1, le=MOST_PEOPLE)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Money = Annotated[FiniteFloat, Field(ge=0, le=_MOST_MONEY)]
Rate = Annotated[FiniteFloat, Field(ge=0, le=_MOST_RATE)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Team(_StrictModel):
    """Technicians of one skill at one plant."""

    plant: Site = Field(
        EVERYWHERE,
        description="Plant where the crew works; `*` for a crew at every plant (default).",
    )
    skill: Id = Field(description="Skill of the technicians.")
    shifts: dict[str, People] = Field(
        max_length=100,
        description="Number of technicians by shift in local time, such as "
        '{"06-14": 2, "22:30-06:30": 1}. A service is planned in whole hours of a shift.',
    )
    weekend: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the technicians who work on Saturday and Sunday, 0 to 1; default: 0.",
    )


class ServiceKind(_StrictModel):
    """Effort and cost of servicing a component, and the cost of its failure."""

    skill: Id = Field(description="Skill that the technicians need; a crew must have it.")
    crew: PeopleCount = Field(
        1, description="Number of technicians that a service takes; default: 1."
    )
    duration_hours: int = Field(
        ge=1, le=SLOTS, description="Duration of a service, in whole hours; the machine stands."
    )
    service_cost: Money = Field(description="Labour and parts of a service, in `currency`.")
    repair_cost: Money = Field(description="Labour and parts after a failure, in `currency`.")
    repair_hours: Rate = Field(description="Downtime after a failure, in hours.")
    parts: dict[Id, Count] = Field(
        {},
        max_length=MOST_LISTED,
        description="Number of parts from the store that a service takes, by part.",
    )
    services_per_year: Rate = Field(
        description="Mean number of services of a machine per year; used for the long-run cost."
    )
    failures_per_year: Rate = Field(
        description="Mean number of failures of a machine per year; used for the long-run cost."
    )


class Downtime(_StrictModel):
    """A period in which machines must not be serviced."""

    machine_id: Id | None = optional("Id of the machine; default: all machines of `line`.")
    line: Site | None = optional("Production line; default: all lines.")
    begin: datetime = Field(description=f"Begin of the period, {_LOCAL_TIME}.")
    end: datetime = Field(description=f"End of the period, {_LOCAL_TIME}.")


class Absence(_StrictModel):
    """Technicians who are absent: ill, on leave, in training."""

    plant: Site = Field(
        EVERYWHERE, description="Plant of the crew; `*` for the crews at every plant (default)."
    )
    skill: Id = Field(description="Skill of the absent technicians.")
    count: PeopleCount = Field(1, description="Number of absent technicians; default: 1.")
    begin: datetime = Field(description=f"Begin of the absence, {_LOCAL_TIME}.")
    end: datetime = Field(description=f"End of the absence, {_LOCAL_TIME}.")

    @model_validator(mode="after")
    def _in_order(self) -> Absence:
        if self.begin.replace(tzinfo=None) == self.end.replace(tzinfo=None):
            raise ValueError("end: expected a time after begin")
        return self


class PinnedJob(_StrictModel):
    """A service whose start people fixed, or that they excluded from the week."""

    machine_id: Id = Field(description="Id of the machine.")
    component: Id = Field(
        WHOLE_MACHINE, description="Component to service; default: `machine`, the whole machine."
    )
    start: datetime | None = optional(
        f"Start of the service at a full hour, {_LOCAL_TIME}; null excludes the "
        "service from this week."
    )


class WeekRequest(_StrictModel):
    """The week to plan: its start, crews, services, costs and limits."""

    start: datetime = Field(
        description="Start of the week: a Monday 0:00, ISO 8601 with an offset, or without one in "
        "`timezone`. Services begin at whole hours from it; 0:30 suits shifts that begin at half "
        "past."
    )
    timezone: str | None = Field(
        None,
        max_length=64,
        description="IANA time zone of shifts and of times without an offset, such as "
        "Europe/Berlin; a week in which clocks change has 167 or 169 hours. Default: the offset of "
        "`start` all week.",
    )
    currency: Id = Field("USD", description="Currency of all costs; default: USD.")
    crews: list[Team] = Field(
        min_length=1, max_length=MOST_LISTED, description="Crews of technicians."
    )
    work: dict[Id, ServiceKind] = Field(
        max_length=1_000,
        description="Kind of service by component, named like the failure modes, or `machine` for "
        "whole machines.",
    )
    lost_per_hour: Money = Field(
        description="Cost of lost production per hour at criticality 1, in `currency`."
    )
    unplanned_factor: FiniteFloat = Field(
        1.0,
        ge=1,
        le=_MOST_RATE,
        description="Cost of an unplanned hour of downtime relative to a planned one, 1 or more; "
        "default: 1.",
    )
    production: dict[str, Rate] = Field(
        {},
        max_length=200,
        description="Weight of the production by hours of the day, such as "
        '{"06-22": 1.15}; default: 1 for each hour.',
    )
    budget: Money | None = optional("Budget for services, in `currency`; default: no limit.")
    parts: dict[Id, Count] | None = Field(
        None,
        max_length=MOST_LISTED,
        description="Number of parts in the store, by part; default: no limit.",
    )
    line_minimum: dict[Site, Count] = Field(
        {},
        max_length=MOST_LISTED,
        description="Minimum number of machines that must run at any time, by production line.",
    )
    risk_bound: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Failure probability in the week from which a service is mandatory, 0 to 1; "
        "default: 1.",
    )
    must_serve: list[Id] = listed("Ids of machines whose service is mandatory.", MOST_LISTED)
    forbidden: list[Downtime] = listed(
        "Periods in which machines must not be serviced.", MOST_LISTED
    )
    absences: list[Absence] = listed("Technicians who are absent.", MOST_LISTED)
    locks: list[PinnedJob] = listed("Services whose start is fixed or excluded.", MOST_LISTED)

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, value: str | None) -> str | None:
        if value is not None:
            zone_of(value)
        return value

    @model_validator(mode="after")
    def _a_monday(self) -> WeekRequest:
        if self.start.tzinfo is None and self.timezone is None:
            raise ValueError("start: expected a time zone, as in 2025-06-02T00:00:00Z")
        try:
            begin = self.begin
            local_week(begin)
        except ValueError as error:
            raise ValueError(f"start: {str(error).removeprefix('start: ')}") from error
        if begin.weekday() != 0 or (begin.hour, begin.second, begin.microsecond) != (0, 0, 0):
            raise ValueError(f"start: expected a Monday 0:00, got {begin:%A %H:%M}")
        if begin.minute not in (0, 30):
            raise ValueError(f"start: expected a Monday 0:00 or 0:30, got {begin:%A %H:%M}")
        return self

    @property
    def begin(self) -> datetime:
        """The start, in the zone of the week."""
        return in_zone(self.start, None if self.timezone is None else zone_of(self.timezone))

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
