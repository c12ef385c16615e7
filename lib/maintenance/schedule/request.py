"""A week to be planned, as people write it: the same in a YAML file and over HTTP."""

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
from lib.contract.fields import Id
from lib.contract.scalar import identifier_fault
from lib.maintenance.schedule.local_week import in_zone, local_week, zone_of
from lib.maintenance.schedule.problem import (
    SLOTS,
)

MOST_PEOPLE = 100_000
MOST_LISTED = 5_000
_MOST_MONEY = 1e15
_MOST_RATE = 1e6
WHOLE = "machine"
EVERYWHERE = "*"
_HOURS_PER_YEAR = 8766.0


def _identifier(value: str) -> str:
    if value and (fault := identifier_fault(value)):
        raise ValueError(fault)
    return value


Place = Annotated[str, Field(max_length=LONGEST_ID_BYTES), AfterValidator(_identifier)]
"""A plant or a line, up to 128 bytes without control characters; "" for none."""

People = Annotated[int, Field(strict=True, ge=0, le=MOST_PEOPLE)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Money = Annotated[FiniteFloat, Field(ge=0, le=_MOST_MONEY)]
Rate = Annotated[FiniteFloat, Field(ge=0, le=_MOST_RATE)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Team(_StrictModel):
    """Technicians of one skill at one plant."""

    plant: Place = Field(EVERYWHERE, description="where they work; * is a crew at every plant")
    skill: Id
    shifts: dict[str, People] = Field(
        max_length=100,
        description='how many from one time to another, e.g. {"06-14": 2, "22:30-06:30": 1}, '
        "local time; a service is planned in hours that lie whole in a shift",
    )
    weekend: float = Field(0.0, ge=0, le=1, description="share of them on Saturday and Sunday")


class ServiceKind(_StrictModel):
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


class Downtime(_StrictModel):
    """Hours in which a machine may not stand."""

    machine_id: Id | None = Field(None, description="which; none: all")
    line: Place | None = Field(None, description="which line; none: all")
    begin: datetime
    end: datetime


class Absence(_StrictModel):
    """Technicians who are not there: ill, on leave, in training."""

    plant: Place = Field(EVERYWHERE, description="where; * is every plant")
    skill: Id
    count: int = Field(1, strict=True, ge=1, le=MOST_PEOPLE, description="how many are absent")
    begin: datetime
    end: datetime

    @model_validator(mode="after")
    def _in_order(self) -> Absence:
        if self.begin.replace(tzinfo=None) == self.end.replace(tzinfo=None):
            raise ValueError("end: expected a time after begin")
        return self


class PinnedJob(_StrictModel):
    """A start that people fixed, or that they refused."""

    machine_id: Id
    component: Id = WHOLE
    start: datetime | None = Field(None, description="full hour; none: not this week")


class WeekRequest(_StrictModel):
    """What is to be planned, and with what."""

    start: datetime = Field(
        description="a Monday 0:00 with its offset, or without one in `timezone`; services begin "
        "at whole hours from it, so 0:30 suits shifts that begin at half past"
    )
    timezone: str | None = Field(
        None,
        max_length=64,
        description="IANA zone, as Europe/Berlin, in whose clock shifts and other times are "
        "written; a week in which clocks change has 167 or 169 hours. Without it the offset of "
        "`start` holds all week",
    )
    currency: Id = "USD"
    crews: list[Team] = Field(min_length=1, max_length=MOST_LISTED)
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
    forbidden: list[Downtime] = Field([], max_length=MOST_LISTED)
    absences: list[Absence] = Field([], max_length=MOST_LISTED)
    locks: list[PinnedJob] = Field([], max_length=MOST_LISTED)

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
