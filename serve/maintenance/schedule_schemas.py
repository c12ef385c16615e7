"""Bodies of planned weeks: requests, changes, work orders and their outcomes."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, FiniteFloat, JsonValue, TypeAdapter, model_validator

from lib.contract.fields import Id, Key, Moment, Note, PathId, optional
from lib.maintenance.schedule.change import ChangeAction
from lib.maintenance.schedule.request import WHOLE_MACHINE, PinnedJob, Site, WeekRequest
from serve.framework import response_fields as fields
from serve.maintenance.schemas import GivenMachineId, MachineId

MOST_PLANNED = 5_000


class PlannedMachine(fields.RequestBody):
    """A machine to include in the plan."""

    machine_id: GivenMachineId
    plant: Site = Field("", description="Plant where the machine stands; default: no plant.")
    line: Site = Field(
        "", description="Production line that the machine belongs to; default: no line."
    )
    criticality: FiniteFloat = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the line's production that is lost while the machine stands, 0 to "
        "1; default: 1.",
    )


_Gap = Annotated[
    FiniteFloat,
    Field(
        gt=0,
        le=1,
        description="Optimality gap at which the solver stops, as a share of the possible saving; "
        "default: 0.01.",
    ),
]


class ScheduleRequest(fields.RequestBody):
    """The machines and the week to plan."""

    schedule_id: PathId | None = optional(
        "Id of the schedule, chosen by the caller. The same request under its id gets "
        "the stored schedule; a different request under a used id gets 409. Default: an id made of "
        "the X-Request-ID and the request, so that the same request under the same X-Request-ID is "
        "planned once."
    )
    machines: list[PlannedMachine] = Field(
        min_length=1, max_length=MOST_PLANNED, description="Machines to plan, each listed once."
    )
    week: WeekRequest = Field(description="The week: its start, crews, services and limits.")
    at: Moment | None = optional(
        "Time for which the risks are computed, ISO 8601 with an offset. Default: the current time."
    )
    gap: _Gap = 0.01
    seconds: FiniteFloat = Field(
        20.0,
        gt=0,
        le=25,
        description="Time limit of the solver, in seconds; the best plan found by then is "
        "returned. Default: 20.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> ScheduleRequest:
        names = [machine.machine_id for machine in self.machines]
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"machines: '{twice}' is listed twice")
        return self


_Revision = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=10**9,
        description="Revision of the schedule that the caller looked at; 409 if the schedule was "
        "changed since.",
    ),
]
_Author = Annotated[Key, Field(description="Name of the person who changes the schedule.")]
_ChangeId = Annotated[
    PathId | None,
    Field(
        description="Id of the change, chosen by the caller; the same change under its id has one "
        "effect, and a different change under a used id gets 409. Default: an id made of the "
        "X-Request-ID and the request."
    ),
]


class ScheduleChangeRequest(fields.RequestBody):
    """A change of one service of a schedule."""

    action: ChangeAction = Field(
        description="`move` the service to `start` (also one that was not planned), `drop` it from "
        "the week, `lock` it at its start, or `unlock` it. A service that is moved or dropped is "
        "locked there."
    )
    machine_id: GivenMachineId
    component: Id = Field(
        WHOLE_MACHINE, description="Component to service; default: `machine`, the whole machine."
    )
    start: Moment | None = optional(
        "New start of `move`, at a whole hour of the week, ISO 8601 with an offset."
    )
    revision: _Revision
    author: _Author
    reason: Note | None = optional("Reason for the change.")
    preview: bool = Field(
        False, description="True to compute the cost of the change without making it."
    )
    change_id: _ChangeId = None


class ScheduleRevisionRequest(fields.RequestBody):
    """A decision about a schedule as a whole."""

    revision: _Revision
    author: _Author
    reason: Note | None = optional("Reason for the decision.")
    change_id: _ChangeId = None


class SolveAgainRequest(ScheduleRevisionRequest):
    """A request to plan the rest of a week again."""

    gap: _Gap = 0.01
    seconds: FiniteFloat = Field(
        20.0, gt=0, le=25, description="Time limit of the solver, in seconds; default: 20."
    )


class ScheduleChangeResponse(BaseModel):
    """A change of one service, or its preview. Costs are in the currency of the schedule."""

    schedule_id: str = Field(description="Id of the schedule.")
    change_id: str | None = Field(description="Id of the change; null for a preview.")
    action: ChangeAction = Field(description="Action, as in the request.")
    machine_id: MachineId
    component: str = Field(description="Component of the service; `machine` for whole machines.")
    start_before: datetime | None = Field(
        description="Start before the change, ISO 8601 in UTC; null if it was not planned."
    )
    start_after: datetime | None = Field(
        description="Start after the change, ISO 8601 in UTC; null if it is not planned."
    )
    cost_before: float = Field(
        description="Expected cost of the service, or of not serving, before the change."
    )
    cost_after: float = Field(
        description="Expected cost of the service, or of not serving, after the change."
    )
    broken: list[str] = Field(
        description="Constraints of the week that the change would break; such a change is refused "
        "with 422 unless it is a preview."
    )
    preview: bool = Field(description="True if nothing was stored.")
    repeated: bool = Field(
        description="True if the same change had been made before; nothing was changed."
    )
    revision: int = Field(description="Revision of the schedule after the change.")
    request_id: fields.RequestId


class WorkOrderResponse(fields.RowAnswer):
    """A planned service and its outcome."""

    order_id: str = Field(description="Id of the work order.")
    schedule_id: str = Field(description="Id of the schedule that the work order belongs to.")
    machine_id: MachineId
    component: str | None = Field(description="Component to renew; null for the whole machine.")
    plant: str = Field(description="Plant where the machine stands; empty if not given.")
    line: str = Field(description="Production line of the machine; empty if not given.")
    skill: str = Field(description="Skill that the technicians need.")
    starts_at: fields.Time = Field(description="Planned start, ISO 8601 in UTC.")
    ends_at: fields.Time = Field(description="Planned end, ISO 8601 in UTC.")
    expected: dict[str, JsonValue] = Field(
        description="Expectations at planning: `failure_this_week`, the probability that the "
        "machine fails this week without the service, and `cost` and `saved`, in the currency of "
        "the schedule."
    )
    closed_at: fields.Time | None = Field(
        description="Time at which the outcome was reported, ISO 8601 in UTC; null while open."
    )
    outcome: dict[str, JsonValue] | None = Field(
        description="Outcome as it was reported; null while open."
    )


class ScheduleResponse(BaseModel):
    """A planned week. Costs are in the currency of the request."""

    schedule_id: str = Field(description="Id of the schedule.")
    week_start: datetime = Field(description="Start of the week, ISO 8601 in UTC.")
    currency: str = Field(description="Currency of all costs, as in the request.")
    orders: list[WorkOrderResponse] = Field(description="Work orders of the week.")
    cost: float = Field(
        description="Expected cost of the week, including the risk that remains after it."
    )
    saved: float = Field(
        description="Expected saving against a week without any service; below 0 if mandatory "
        "services cost more."
    )
    gap: float = Field(
        description="Optimality gap that was reached: the share of the possible saving that the "
        "plan may miss, 0 to 1."
    )
    finished: bool = Field(
        description="True if the requested gap was reached, false if the time limit ended the "
        "search."
    )
    seconds: float = Field(description="Time that the solver took, in seconds.")
    other_plans: dict[str, float] = Field(
        description="Expected cost of simpler planning methods, by name of the method."
    )
    without_history: list[str] = Field(
        description="Ids of machines without stored data, planned with the usual risk."
    )
    repeated: bool = Field(
        description="True if the same request had been planned before; this is the stored plan."
    )
    revision: int = Field(description="Number of changes since the week was planned.")
    locks: list[PinnedJob] = Field(
        description="Services whose start people fixed, or that they excluded from the week."
    )
    accepted_by: str | None = Field(
        description="Name of the person who accepted the plan; null before that."
    )
    accepted_revision: int | None = Field(
        description="Revision that was accepted; null if none was."
    )
    model_version: fields.ModelVersion
    request_id: fields.RequestId


class OutcomeResponse(BaseModel):
    """The work order after its outcome was stored."""

    order: WorkOrderResponse = Field(description="The work order with its outcome.")
    repeated: bool = Field(
        description="True if the same outcome had been stored before; nothing was changed."
    )
    request_id: fields.RequestId


SCHEDULE: TypeAdapter[ScheduleRequest] = TypeAdapter(ScheduleRequest)
