"""Bodies of what is sent of machines and predicted of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    FiniteFloat,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from lib.contract.fields import Id, Moment, PathId, listed, optional
from lib.feature.attribute_values import AttributeValue
from lib.feature.attributes import Attribute
from lib.maintenance.contracts import MAINTENANCE_TYPES
from lib.maintenance.waveform import FEWEST_SAMPLES
from serve.framework import response_fields as fields
from serve.framework.attribute_models import with_attributes
from serve.framework.validation import sent_attributes_of

MOST_UNITS, _SAMPLES_AT_ONCE = 1_000, 20_000
MOST_MACHINES, MOST_READINGS, MOST_SAMPLES = 200, 5_000, 500_000
MaintenanceType = Literal["scheduled", "corrective", "emergency"]
assert MAINTENANCE_TYPES == ("scheduled", "corrective", "emergency")  # noqa: S101
GivenMachineId = Annotated[PathId, Field(description="Id of the machine.")]
MachineId = Annotated[str, Field(description="Id of the machine.")]


def _in_pieces(samples: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Samples that are checked in pieces, so that other threads run meanwhile."""
    if not isinstance(samples, list) or not _SAMPLES_AT_ONCE < len(samples) <= MOST_SAMPLES:
        return validate(samples)
    checked: list[float] = []
    count = -(-len(samples) // _SAMPLES_AT_ONCE)
    bounds = [number * len(samples) // count for number in range(count + 1)]
    try:
        for start, end in pairwise(bounds):
            checked += validate(samples[start:end])
    except ValidationError:
        return validate(samples)  # names the sample by its place in the whole
    return checked


class Reading(fields.RequestBody):
    """Sensor values of a machine at one time."""

    event_time: Moment = Field(
        description="Time at which the sensors were read, ISO 8601 with an offset."
    )
    sensors: dict[str, FiniteFloat | None] = Field(
        min_length=1,
        description="Value by sensor, in the unit declared for this kind of machine unless `units` "
        "names another; null if the sensor gave no value.",
    )


class ErrorReport(fields.RequestBody):
    """An error code that the machine's controller reported."""

    event_time: Moment = Field(description="Time of the report, ISO 8601 with an offset.")
    error_code: Id = Field(description="Error code, as declared for this kind of machine.")


class ServiceRecord(fields.RequestBody):
    """A service that was carried out, planned or not."""

    event_time: Moment = Field(
        description="Time at which the machine was back in operation, ISO 8601 with an offset."
    )
    component: Id | None = optional("Component that was renewed; null for the whole machine.")
    maintenance_type: MaintenanceType = Field(
        "scheduled",
        description="Kind of the service: planned ahead, after a failure, or immediate to prevent "
        "harm.",
    )


class WaveformRecording(fields.RequestBody):
    """A vibration recording."""

    event_time: Moment = Field(
        description="Time at which the recording ended, ISO 8601 with an offset."
    )
    sampling_rate_hz: FiniteFloat = Field(gt=0, le=1e7, description="Sampling rate, in Hz.")
    samples: Annotated[
        list[FiniteFloat],
        Field(min_length=FEWEST_SAMPLES, max_length=MOST_SAMPLES),
        WrapValidator(_in_pieces),
    ] = Field(
        description="Acceleration or velocity samples, in order of time.",
    )
    shaft_hz: FiniteFloat | None = Field(
        None, ge=0, description="Shaft speed in revolutions per second (Hz); null if unknown."
    )


class MachineReadings(fields.RequestBody):
    """Readings, error codes, services and vibration recordings of one machine."""

    machine_id: GivenMachineId
    installed_at: Moment | None = optional(
        "Time at which the machine was put into operation, ISO 8601 with an offset. "
        "Stored with the first data of a machine, ignored afterwards; null if unknown."
    )
    units: dict[str, str] = Field(
        {},
        max_length=MOST_UNITS,
        description="Unit by sensor, such as degF, psi, in/s or hp, where it differs from the "
        "declared unit; the values are converted. An unknown unit, or a unit of another physical "
        "quantity, gets 422.",
    )
    readings: list[Reading] = listed("Sensor readings, in any order of time.", MOST_READINGS)
    errors: list[ErrorReport] = listed("Error codes that the controller reported.", MOST_READINGS)
    services: list[ServiceRecord] = listed("Services that were carried out.", MOST_READINGS)
    waveforms: list[WaveformRecording] = listed("Vibration recordings.", MOST_READINGS)

    @model_validator(mode="after")
    def _some_news(self) -> MachineReadings:
        contents = (self.readings, self.errors, self.services, self.waveforms, self.installed_at)
        if not any(contents) and self.sent_attributes is None:
            names = ["readings", "errors", "services", "waveforms"]
            names += ["attributes"] if "attributes" in type(self).model_fields else []
            raise ValueError(f"expected {', '.join(names)} or installed_at, got none")
        return self

    @property
    def sent_attributes(self) -> dict[str, AttributeValue] | None:
        """Attributes of the machine by name, unknown ones left out; None if none were sent."""
        return sent_attributes_of(self)


def machine_model(attributes: Sequence[Attribute] = ()) -> type[MachineReadings]:
    """The model of what is sent of a machine.

    Args:
        attributes: that a machine may have.
    """
    return with_attributes(
        MachineReadings,
        "machine",
        attributes,
        "Attributes of the machine that the model was trained with; each may be left out, which "
        "says that it is not known. They replace what was sent before; null leaves that as it is.",
    )


def many_machines(machine: Any) -> Any:
    """A list of what is sent of machines, each as the model `machine` says."""
    return Annotated[list[machine], Field(min_length=1, max_length=MOST_MACHINES)]


class SensorFault(BaseModel):
    """A sensor whose newest value is faulty and is not used by the features."""

    sensor: str = Field(description="Name of the sensor.")
    fault: Literal["missing", "out of range", "stuck"] = Field(
        description="Kind of the fault: no value, a value outside the declared range, or a value "
        "that does not change."
    )
    value: float | None = Field(
        description="Newest value, in the declared unit; null if it is missing."
    )


SensorFaults = Annotated[
    list[SensorFault], Field(description="Sensors whose newest value is faulty.")
]


class IngestCounts(BaseModel):
    """Counts of the data of one machine."""

    machine_id: MachineId
    new_machine: bool = Field(description="True if this was the first data of the machine.")
    readings: int = Field(description="Number of readings stored for the first time.")
    late: int = Field(
        description="Number of the stored readings that are older than the newest reading that "
        "was stored before."
    )
    repeated: int = Field(
        description="Number of duplicates of stored readings with the same values, ignored."
    )
    merged: int = Field(
        description="Number of readings that added values of further sensors to a stored reading "
        "of the same time."
    )
    contradicting: int = Field(
        description="Number of readings whose time is stored with different values, ignored; the "
        "stored values stay."
    )
    too_old: int = Field(
        description="Number of readings older than the longest feature window, ignored."
    )
    errors: int = Field(description="Number of error codes stored.")
    services: int = Field(description="Number of services received.")
    waveforms: int = Field(description="Number of vibration recordings received.")
    sensor_faults: SensorFaults


class ReadingsResponse(BaseModel):
    """Counts for each machine of the request."""

    machines: list[IngestCounts] = Field(
        description="Counts by machine, in the order of the request."
    )
    request_id: fields.RequestId


class PredictRequest(fields.RequestBody):
    """The machine, and the time from which its failure is predicted."""

    machine_id: GivenMachineId
    at: Moment | None = optional(
        "Time from which the failure is predicted, ISO 8601 with an offset; not before "
        "the machine's last reading. Default: the current time."
    )


class CurvePoint(BaseModel):
    """One point of the survival curve S(t), with its uncertainty band."""

    hours: float = Field(description="Time since the time of the prediction, in hours.")
    survival: float = Field(
        description="Probability that the machine has not failed by then, 0 to 1."
    )
    low: float = Field(
        description="Lower bound of the 80% band of `survival`, which reflects the number "
        "of machines in the training data."
    )
    high: float = Field(description="Upper bound of the 80% band of `survival`.")


class DriverAnswer(BaseModel):
    """What raises or lowers the risk: a sensor, error code, service interval, age or attribute."""

    what: str = Field(description="Sensor, error code, service interval, age or attribute.")
    words: str = Field(description="The driver in English.")
    effect: float = Field(
        description="Reduction of the failure probability within the alarm horizon if this driver "
        "were at its usual value; above 0 if it raises the risk, below 0 if it lowers it."
    )
    feature: str = Field(description="Name of the driver's most unusual feature.")
    value: float | None = Field(description="Value of the feature; null if the value is missing.")
    usual: float = Field(
        description="Median of the feature in the training data; of a code the most frequent."
    )


class PredictResponse(BaseModel):
    """Predicted time to failure of a machine, its drivers, and the recommended action."""

    prediction_id: str = Field(description="Id of this prediction.")
    machine_id: MachineId
    at: datetime = Field(description="Time from which the failure was predicted, ISO 8601 in UTC.")
    decision: Literal["MONITOR", "SERVICE", "INSPECT", "STOP"] = Field(
        description="Recommended action: do nothing for now, plan a service, inspect the machine, "
        "or stop it."
    )
    method: Literal["rule", "model", "fallback"] = Field(
        description="What decided: a rule, the model, or a fallback because the model or the "
        "machine store was unavailable."
    )
    reason: fields.Reason
    rule_id: fields.RuleId
    failure_within: dict[str, float | None] | None = Field(
        description="Probability of failure, 0 to 1, by horizon, such as `7d`; null for a horizon "
        "beyond the training data, and null as a whole if no model answered."
    )
    survival: list[CurvePoint] | None = Field(
        description="Survival curve by hour; null if no model answered."
    )
    median_hours: float | None = Field(
        description="Median time to failure, in hours; null if it is beyond the last hour of the "
        "curve or no model answered."
    )
    mean_hours: float | None = Field(
        description="Mean time to failure restricted to the last hour of the curve, in hours; "
        "null if no model answered."
    )
    likely_hours: tuple[float, float] | None = Field(
        description="Interval that contains the time to failure with a probability of 80%, in "
        "hours; an end at the last hour of the curve means that hour or later. Null if no model "
        "answered."
    )
    likely_mode: str | None = Field(
        description="Most probable failure mode; null if no model answered."
    )
    modes: dict[str, float] | None = Field(
        description="Probability of each failure mode, 0 to 1, given that the machine fails within "
        "the horizon of the model; null if no model answered."
    )
    drivers: list[DriverAnswer] = Field(
        description="Drivers of the risk, the strongest first, 5 at most; empty if no model "
        "answered."
    )
    sensor_faults: SensorFaults
    last_reading: datetime | None = Field(
        description="Time of the machine's last reading, ISO 8601 in UTC; null if there is none or "
        "the machine store was unavailable."
    )
    model_version: fields.ModelVersion
    rules_version: fields.RulesVersion
    latency_ms: fields.LatencyMs
    request_id: fields.RequestId


PREDICT: TypeAdapter[PredictRequest] = TypeAdapter(PredictRequest)
