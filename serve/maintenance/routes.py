"""The endpoints of the maintenance application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from lib.maintenance.history import UNKNOWN_US, History
from lib.maintenance.machine_store import MachineStoreError
from serve.framework import (
    Context,
    Gateway,
    Problem,
    RequestContext,
    Route,
    Router,
    new_gateway,
    parse_body,
)
from serve.framework.routes import MISSING, SLASH, PathIdParam, PathKeyParam, Responses
from serve.framework.validation import to_datetime
from serve.maintenance.decision import unknown_machine, without_survival
from serve.maintenance.machine_states import hours_since_service, latest, sensor_faults
from serve.maintenance.schemas import (
    MANY_READINGS,
    PREDICT,
    READINGS,
    MachineReadings,
    MachineResponse,
    ManyReadings,
    Outcome,
    OutcomeResponse,
    PredictRequest,
    PredictResponse,
    ReadingsResponse,
    ScheduleRequest,
    ScheduleResponse,
)
from serve.maintenance.service import MaintenanceService

_DAY_US = 86_400_000_000
_Id = Annotated[PathIdParam, Path(description=SLASH)]
_Key = Annotated[PathKeyParam, Path(description=SLASH)]
_PLANNED: Responses = {409: {"description": "`schedule_id` names a schedule of another request"}}
_CLOSED = MISSING | {409: {"description": "closed before, with another outcome"}}


def build_gateway(service: MaintenanceService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "When will this machine fail, and when should it be serviced?"
    routes = (*_machine_routes(service), *_schedule_routes(service))
    return new_gateway("maintenance", summary, service, routes, names_request)


def _machine_routes(service: MaintenanceService) -> list[Route]:
    router, args = Router("machines"), service.args

    @router.direct(
        "/readings",
        "maintenance:label",
        MachineReadings | ManyReadings,
        ReadingsResponse,
        body_bytes=args.readings_body_bytes,
        deadline_ms=args.readings_deadline_ms,
    )
    async def readings(body: bytes, context: RequestContext) -> bytes:
        """Tell what sensors and controllers said and what was serviced; repeats change nothing."""
        batches = await service.parsing.parse_list(READINGS, MANY_READINGS, body)
        return (await service.ingestor.ingest(batches, context)).model_dump_json().encode()

    @router.direct("/predict", "maintenance:score", PredictRequest, PredictResponse, MISSING)
    async def predict(body: bytes, context: RequestContext) -> bytes:
        """Say when a machine will fail and what to do; rules decide first."""
        return await service.decider.predict(parse_body(PREDICT, body), context)

    @router.route("GET", "/machines/{machine_id}", "maintenance:read", MISSING)
    async def machine(machine_id: _Id) -> MachineResponse:
        """What is known of a machine: its sensors, services, last prediction and work orders."""
        return await _machine(service, machine_id)

    return router.routes


def _schedule_routes(service: MaintenanceService) -> list[Route]:
    router, large = Router("schedules"), service.args.readings_body_bytes
    read = "maintenance:read"

    @router.route("POST", "/schedules", "maintenance:review", _PLANNED, body_bytes=large)
    async def schedules(request: ScheduleRequest, context: Context) -> ScheduleResponse:
        """Plan a week: who is served when, within crews, parts, budget and what must not stand.

        The same request again, under its `schedule_id` or its X-Request-ID, is answered with the
        plan that is stored. Large weeks take longer than the usual deadline: send X-Deadline-Ms,
        up to 30000.
        """
        return await service.orders.plan(request, context)

    @router.route("GET", "/schedules/{schedule_id}", read, MISSING)
    async def schedule(schedule_id: _Key, context: Context) -> ScheduleResponse:
        """A planned week with its work orders as they are now."""
        return await service.orders.schedule(schedule_id, context)

    @router.route("GET", "/schedules/{schedule_id}/calendar.ics", read, MISSING, response=Response)
    async def calendar(schedule_id: _Key) -> Response:
        """The plan as a calendar (RFC 5545)."""
        text = await service.orders.export(schedule_id, "ics")
        return Response(text, media_type="text/calendar; charset=utf-8")

    @router.route("GET", "/schedules/{schedule_id}/plan.csv", read, MISSING, response=Response)
    async def plan(schedule_id: _Key) -> Response:
        """The plan as a table (RFC 4180)."""
        text = await service.orders.export(schedule_id, "csv")
        return Response(text, media_type="text/csv; charset=utf-8")

    @router.route("POST", "/work_orders/{order_id}/outcome", "maintenance:label", _CLOSED)
    async def outcome(order_id: _Key, outcome: Outcome, context: Context) -> OutcomeResponse:
        """Tell what became of a planned service; the machine's features know of it from then on."""
        return await service.orders.record_outcome(order_id, outcome, context)

    return router.routes


async def _machine(service: MaintenanceService, machine_id: str) -> MachineResponse:
    try:
        past = await service.machines.get(machine_id)
        prediction = await service.machines.last_prediction(machine_id)
    except MachineStoreError as error:
        text = "the machines' readings are unavailable for a moment"
        raise Problem(503, "unavailable", text, retry_after=1) from error
    if past is None:
        raise unknown_machine(machine_id)
    features, times_us = service.features, past.times_us
    newest = _newest(past)
    recent = past.error_codes[past.error_times_us > newest - _DAY_US].tolist()
    return MachineResponse(
        machine_id=machine_id,
        installed_at=None if past.installed_us == UNKNOWN_US else to_datetime(past.installed_us),
        first_reading=to_datetime(int(times_us[0])) if len(times_us) else None,
        last_reading=to_datetime(int(times_us[-1])) if len(times_us) else None,
        readings=len(times_us),
        latest=latest(features, past),
        sensor_faults=sensor_faults(features, past),
        hours_since_service=dict(hours_since_service(features, past, newest)),
        errors_24h={name: recent.count(code) for code, name in enumerate(features.error_codes)},
        last_prediction=None if prediction is None else without_survival(prediction),
        orders=await service.orders.of_machine(machine_id),
    )


def _newest(past: History) -> int:
    """When the newest thing happened that is known."""
    times = (past.times_us, past.error_times_us, past.service_times_us)
    return max((int(times_us[-1]) for times_us in times if len(times_us)), default=0)
