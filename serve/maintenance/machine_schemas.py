"""Bodies of what is stored of a machine, and of what people ask and note about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from lib.contract.fields import Key, Note, optional
from serve.framework import response_fields as fields
from serve.maintenance.schedule_schemas import WorkOrderResponse
from serve.maintenance.schemas import MachineId, SensorFaults


class MachineResponse(BaseModel):
    """Stored state of a machine."""

    machine_id: MachineId
    installed_at: datetime | None = Field(
        description="Time at which the machine was put into operation, ISO 8601 in UTC; null if "
        "unknown."
    )
    first_reading: datetime | None = Field(
        description="Time of the oldest stored reading, ISO 8601 in UTC; null if there is none."
    )
    last_reading: datetime | None = Field(
        description="Time of the newest stored reading, ISO 8601 in UTC; null if there is none."
    )
    readings: int = Field(description="Number of stored readings of the last 30 days.")
    latest: dict[str, float | None] = Field(
        description="Value of the newest reading by sensor, in the declared unit; null if the "
        "sensor gave no value."
    )
    sensor_faults: SensorFaults
    hours_since_service: dict[str, float | None] = Field(
        description="Hours between the last service and the newest data, by component; `any` is "
        "the last service of any component. Null if no service is stored."
    )
    errors_24h: dict[str, int] = Field(
        description="Number of reports of each error code in the 24 hours before the newest data."
    )
    last_prediction: dict[str, Any] | None = Field(
        description="Newest answer of `/predict` without its survival curve; null if there is none."
    )
    orders: list[WorkOrderResponse] = Field(description="Work orders of the machine.")


class InspectRequest(fields.RequestBody):
    """A request to have people look at a machine."""

    author: Key = Field(description="Name of the person who asks.")
    note: Note | None = optional("What to look for.")


class InspectResponse(BaseModel):
    """The review item of the machine."""

    machine_id: MachineId
    item_id: str = Field(
        description="Id of the review item; a machine has one a day, that of the request, in UTC."
    )
    repeated: bool = Field(description="True if the item existed before; nothing was changed.")
    closed: bool = Field(
        description="True if people have decided the item of the day already; a new inspection can "
        "be requested on another day."
    )
    request_id: fields.RequestId


class MachineNoteRequest(fields.RequestBody):
    """A note about a machine."""

    author: Key = Field(description="Name of the person who notes it.")
    note: Note = Field(description="Text of the note.")


class MachineNoteResponse(BaseModel):
    """The stored note."""

    machine_id: MachineId
    repeated: bool = Field(
        description="True if the same note of the same person was stored before, since the last "
        "prediction; nothing was changed."
    )
    request_id: fields.RequestId
