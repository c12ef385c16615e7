"""What callers of the maintenance system send and get."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    TypeAdapter,
    model_validator,
)

from lib.contract.fields import Amount, Id, Moment, Note, PathId, text_of
from lib.maintenance.contracts import MAINTENANCE_TYPES
from lib.maintenance.schedule.request import Place, WeekRequest
from lib.maintenance.waveform import FEWEST_SAMPLES

MOST_UNITS = 1_000
MOST_MACHINES, MOST_READINGS, MOST_PLANNED, MOST_SAMPLES = 200, 5_000, 5_000, 500_000
_Parts = text_of(4000)
MaintenanceType = Literal["scheduled", "corrective", "emergency"]
assert MAINTENANCE_TYPES == ("scheduled", "corrective", "emergency")  # noqa: S101


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reading(_Sent):
    """What the sensors of a machine said at one moment."""

    event_time: Moment
    sensors: dict[str, FiniteFloat | None] = Field(
        min_length=1,
        description="value by sensor, in the unit that the kind of machine declares unless `units` "
        "says another; null where it gave none",
    )


class ErrorReport(_Sent):
    """A code that the controller reported."""

    event_time: Moment
    error_code: Id


class ServiceRecord(_Sent):
    """A service that was done, planned or not."""

    event_time: Moment = Field(description="when the machine was back in service")
    component: Id | None = Field(None, description="part that was renewed; null: the whole machine")
    maintenance_type: MaintenanceType = "scheduled"


class WaveformRecording(_Sent):
    """A waveform; without its sampling rate it would say nothing about frequencies."""

    event_time: Moment = Field(description="when recording ended")
    sampling_rate_hz: FiniteFloat = Field(gt=0, le=1e7)
    samples: list[FiniteFloat] = Field(min_length=FEWEST_SAMPLES, max_length=MOST_SAMPLES)
    shaft_hz: FiniteFloat | None = Field(None, ge=0, description="turns of the shaft a second")


class MachineReadings(_Sent):
    """News of one machine."""

    machine_id: PathId
    installed_at: Moment | None = Field(None, description="taken from the first news of a machine")
    units: dict[str, str] = Field(
        {},
        max_length=MOST_UNITS,
        description="unit by sensor (degF, psi, in/s, hp), where it is not the declared one: "
        "values are converted; 422 for an unknown unit or one that measures something else",
    )
    readings: list[Reading] = Field([], max_length=MOST_READINGS)
    errors: list[ErrorReport] = Field([], max_length=MOST_READINGS)
    services: list[ServiceRecord] = Field([], max_length=MOST_READINGS)
    waveforms: list[WaveformRecording] = Field([], max_length=MOST_READINGS)

    @model_validator(mode="after")
    def _some_news(self) -> MachineReadings:
        contents = (self.readings, self.errors, self.services, self.waveforms, self.installed_at)
        if not any(contents):
            raise ValueError(
                "expected readings, errors, services, waveforms or installed_at, got none"
            )
        return self


class SensorFault(BaseModel):
    """A sensor whose newest reading is left out."""

    sensor: str
    fault: Literal["missing", "out of range", "stuck"]
    value: float | None


class IngestCounts(BaseModel):
    """What became of the news of one machine."""

    machine_id: str
    new_machine: bool
    readings: int = Field(description="remembered")
    late: int = Field(description="of these, older than the newest that was known")
    repeated: int = Field(description="known already, with the same values")
    merged: int = Field(
        description="of a time that was known, with sensors that had given no value then"
    )
    contradicting: int = Field(description="known already with other values; the first ones stay")
    too_old: int = Field(description="older than anything that still counts")
    errors: int
    services: int
    waveforms: int
    sensor_faults: list[SensorFault]


class ReadingsResponse(BaseModel):
    """What became of all news, in their order."""

    machines: list[IngestCounts]
    request_id: str


class PredictRequest(_Sent):
    """Which machine, and as of when."""

    machine_id: PathId
    at: Moment | None = Field(None, description="default: now; not before the last reading")


class CurvePoint(BaseModel):
    """S(t) with its band."""

    hours: float
    survival: float
    low: float
    high: float


class DriverAnswer(BaseModel):
    """What raises (above 0) or lowers the risk; see `effect`."""

    what: str
    words: str
    effect: float = Field(description="chance within the alarm's hours that goes when it is usual")
    feature: str
    value: float | None
    usual: float


class PredictResponse(BaseModel):
    """When a machine will fail, as far as can be said, and what to do."""

    prediction_id: str
    machine_id: str
    at: datetime
    decision: Literal["MONITOR", "SERVICE", "INSPECT", "STOP"]
    method: Literal["rule", "model", "fallback"]
    reason: str
    rule_id: str | None
    failure_within: dict[str, float | None] | None = Field(
        description="chance by horizon; null beyond what training has seen"
    )
    survival: list[CurvePoint] | None
    median_hours: float | None = Field(description="null: beyond the curve's last hour")
    mean_hours: float | None = Field(description="mean, restricted to the curve's last hour")
    likely_hours: tuple[float, float] | None = Field(
        description="80% of failures come between; an end at the last hour says 'or later'"
    )
    likely_mode: str | None
    modes: dict[str, float] | None
    drivers: list[DriverAnswer]
    sensor_faults: list[SensorFault]
    last_reading: datetime | None
    model_version: str | None
    rules_version: str
    latency_ms: float
    request_id: str


class PlannedMachine(_Sent):
    """A machine to be planned."""

    machine_id: PathId
    plant: Place = ""
    line: Place = ""
    criticality: FiniteFloat = Field(1.0, ge=0, le=1, description="share of its line's production")


class ScheduleRequest(_Sent):
    """A week to be planned."""

    schedule_id: PathId | None = Field(
        None,
        description="names the schedule; the same request under the same id is planned once, "
        "another one is answered 409. Without it a request that is sent again with the same "
        "X-Request-ID is planned once",
    )
    machines: list[PlannedMachine] = Field(min_length=1, max_length=MOST_PLANNED)
    week: WeekRequest
    at: Moment | None = Field(None, description="as of when risks are; default: now")
    gap: FiniteFloat = Field(
        0.01, gt=0, le=1, description="of the possible saving, at which to stop"
    )
    seconds: FiniteFloat = Field(20.0, gt=0, le=25, description="time limit; then the best so far")

    @model_validator(mode="after")
    def _each_once(self) -> ScheduleRequest:
        names = [machine.machine_id for machine in self.machines]
        twice = next((name for name in names if names.count(name) > 1), None) if len(
            set(names)
        ) < len(names) else None  # fmt: skip
        if twice is not None:
            raise ValueError(f"machines: '{twice}' is listed twice")
        return self


class WorkOrderResponse(BaseModel):
    """A planned service, and what became of it."""

    order_id: str
    schedule_id: str
    machine_id: str
    component: str | None
    plant: str
    line: str
    skill: str
    starts_at: datetime
    ends_at: datetime
    expected: dict[str, JsonValue]
    closed_at: datetime | None
    outcome: dict[str, JsonValue] | None


class ScheduleResponse(BaseModel):
    """A planned week."""

    schedule_id: str
    week_start: datetime
    currency: str
    orders: list[WorkOrderResponse]
    cost: float = Field(description="expected, of the whole week and what it leaves behind")
    saved: float = Field(description="against serving nobody")
    gap: float = Field(description="share of the possible saving that may still be missed")
    finished: bool = Field(description="false: the time limit came first")
    seconds: float
    other_plans: dict[str, float] = Field(description="expected cost of other ways to plan")
    without_history: list[str] = Field(description="machines planned by what is usual")
    repeated: bool = Field(description="the same request was planned before; this is its plan")
    model_version: str | None
    request_id: str


class Outcome(_Sent):
    """What became of a planned service."""

    result: Literal["done", "not_done", "failed_before"]
    event_time: Moment = Field(
        description="when the machine was back in service; of `not_done`: when that was decided"
    )
    component: Id | None = Field(
        None, description="part that was renewed; default: the order's; null in both: the whole"
    )
    failure_mode: Id | None = Field(None, description="what had failed, of `failed_before`")
    failed_at: Moment | None = Field(None, description="when, of `failed_before`")
    downtime_hours: Amount | None = None
    cost: Amount | None = None
    parts_replaced: _Parts | None = None
    note: Note | None = None

    @model_validator(mode="after")
    def _a_failure_has_a_time(self) -> Outcome:
        if self.result == "failed_before":
            if self.failed_at is None or self.failure_mode is None:
                raise ValueError("failed_before: expected failed_at and failure_mode, too")
            if self.failed_at > self.event_time:
                raise ValueError("failed_at: expected before event_time, when it ran again")
        return self


class OutcomeResponse(BaseModel):
    """The order as it is now."""

    order: WorkOrderResponse
    repeated: bool
    request_id: str


class MachineResponse(BaseModel):
    """What is known of a machine."""

    machine_id: str
    installed_at: datetime | None
    first_reading: datetime | None
    last_reading: datetime | None
    readings: int = Field(description="remembered, of the last 30 days")
    latest: dict[str, float | None] = Field(description="newest reading by sensor")
    sensor_faults: list[SensorFault]
    hours_since_service: dict[str, float | None] = Field(description="by component, and of any")
    errors_24h: dict[str, int]
    last_prediction: dict[str, Any] | None
    orders: list[WorkOrderResponse]


ManyReadings = Annotated[list[MachineReadings], Field(min_length=1, max_length=MOST_MACHINES)]
READINGS: TypeAdapter[MachineReadings] = TypeAdapter(MachineReadings)
MANY_READINGS: TypeAdapter[list[MachineReadings]] = TypeAdapter(ManyReadings)
PREDICT: TypeAdapter[PredictRequest] = TypeAdapter(PredictRequest)
SCHEDULE: TypeAdapter[ScheduleRequest] = TypeAdapter(ScheduleRequest)
OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)
