"""The HTTP face of the maintenance application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, FastAPI, Path, Request
from pydantic import Field
from starlette.responses import Response

from lib.maintenance.history import UNKNOWN_US, History
from lib.maintenance.machine_store import MachineStoreError
from serve.framework import Gateway, Problem, RequestContext, Route, new_app, parse_body
from serve.framework.app_factory import ERRORS, MISSING, call_of
from serve.framework.paths import SLASH, PathIdParam, PathKeyParam
from serve.framework.timestamps import to_datetime
from serve.maintenance.decision import unknown_machine, without_survival
from serve.maintenance.machine_states import hours_since_service, latest, sensor_faults
from serve.maintenance.schemas import (
    MANY_READINGS,
    MOST_MACHINES,
    PREDICT,
    READINGS,
    MachineReadings,
    MachineResponse,
    Outcome,
    OutcomeResponse,
    PredictRequest,
    PredictResponse,
    ReadingsResponse,
    ScheduleRequest,
    ScheduleResponse,
)
from serve.maintenance.service import MaintenanceService

PREFIX = "/maintenance"
TELL, ASK, PLAN, READ = (
    *("maintenance:label", "maintenance:score"),
    *("maintenance:review", "maintenance:read"),
)
_DAY_US = 86_400_000_000
_Id = Annotated[PathIdParam, Path(description=SLASH)]
_Key = Annotated[PathKeyParam, Path(description=SLASH)]
_PLANNED = ERRORS | {409: {"description": "`schedule_id` names a schedule of another request"}}
_CLOSED = ERRORS | MISSING | {409: {"description": "closed before, with another outcome"}}


def build_gateway(service: MaintenanceService, names_request: bool = True) -> Gateway:
    """The gateway of a service, which starts and ends with the application's lifespan.

    Args:
        service: what answers.
        names_request: see `Gateway`.
    """
    app, parse = _app(service), service.parsing.parse
    large = service.args.readings_body_bytes

    async def readings(body: bytes, call: RequestContext) -> bytes:
        several = body.lstrip()[:1] == b"["
        news = await parse(MANY_READINGS, body) if several else [await parse(READINGS, body)]
        return (await service.ingestor.ingest(news, call)).model_dump_json().encode()

    async def predict(body: bytes, call: RequestContext) -> bytes:
        return await service.decider.predict(parse_body(PREDICT, body), call)

    doors = (
        Route("POST", "/readings", TELL, readings, large, service.args.readings_deadline_ms),
        Route("POST", "/predict", ASK, predict),
        Route("POST", "/schedules", PLAN, None, large),
        Route("GET", "/schedules/", READ),
        Route("GET", "/machines/", READ),
        Route("POST", "/work_orders/", TELL),
    )
    return Gateway(
        app=app,
        prefix=PREFIX,
        doors=doors,
        keys=service.keys,
        log=service.log,
        meter=service.meter,
        limits=service.args.limits,
        names_request=names_request,
        readiness=service.readiness,
    )


def _app(service: MaintenanceService) -> FastAPI:
    app = new_app(
        "Forewarn: maintenance",
        "1",
        "When will this machine fail, and when should it be serviced?",
        service.readiness,
        service.lifespan,
    )
    _declare_machines(app, service)
    _declare_schedules(app, service)
    return app


def _declare_machines(app: FastAPI, service: MaintenanceService) -> None:
    @app.post("/readings", responses=ERRORS, tags=["machines"])
    async def readings(
        news: Annotated[
            MachineReadings
            | Annotated[list[MachineReadings], Field(min_length=1, max_length=MOST_MACHINES)],
            Body(),
        ],
        request: Request,
    ) -> ReadingsResponse:
        """Tell what sensors and controllers said and what was serviced; repeats change nothing."""
        several = news if isinstance(news, list) else [news]
        return await service.ingestor.ingest(several, call_of(request))

    @app.post("/predict", response_model=PredictResponse, responses=ERRORS | MISSING,
              tags=["machines"])  # fmt: skip
    async def predict(predict_request: PredictRequest, request: Request) -> Response:
        """Say when a machine will fail and what to do; rules decide first."""
        body = await service.decider.predict(predict_request, call_of(request))
        return Response(body, media_type="application/json")

    @app.get("/machines/{machine_id}", responses=ERRORS | MISSING, tags=["machines"])
    async def machine(machine_id: _Id) -> MachineResponse:
        """What is known of a machine: its sensors, services, last prediction and work orders."""
        return await _machine(service, machine_id)


def _declare_schedules(app: FastAPI, service: MaintenanceService) -> None:
    @app.post("/schedules", responses=_PLANNED, tags=["schedules"])
    async def schedules(schedule_request: ScheduleRequest, request: Request) -> ScheduleResponse:
        """Plan a week: who is served when, within crews, parts, budget and what must not stand.

        The same request again, under its `schedule_id` or its X-Request-ID, is answered with the
        plan that is stored. Large weeks take longer than the usual deadline: send X-Deadline-Ms,
        up to 30000.
        """
        return await service.orders.plan(schedule_request, call_of(request))

    @app.get("/schedules/{schedule_id}", responses=ERRORS | MISSING, tags=["schedules"])
    async def schedule(schedule_id: _Key, request: Request) -> ScheduleResponse:
        """A planned week with its work orders as they are now."""
        return await service.orders.schedule(schedule_id, call_of(request))

    @app.get("/schedules/{schedule_id}/calendar.ics", responses=ERRORS | MISSING,
             response_class=Response, tags=["schedules"])  # fmt: skip
    async def calendar(schedule_id: _Key) -> Response:
        """The plan as a calendar (RFC 5545)."""
        text = await service.orders.export(schedule_id, "ics")
        return Response(text, media_type="text/calendar; charset=utf-8")

    @app.get("/schedules/{schedule_id}/plan.csv", responses=ERRORS | MISSING,
             response_class=Response, tags=["schedules"])  # fmt: skip
    async def plan(schedule_id: _Key) -> Response:
        """The plan as a table (RFC 4180)."""
        text = await service.orders.export(schedule_id, "csv")
        return Response(text, media_type="text/csv; charset=utf-8")

    @app.post("/work_orders/{order_id}/outcome", responses=_CLOSED, tags=["schedules"])
    async def outcome(order_id: _Key, order_outcome: Outcome, request: Request) -> OutcomeResponse:
        """Tell what became of a planned service; the machine's features know of it from then on."""
        return await service.orders.record_outcome(order_id, order_outcome, call_of(request))


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
