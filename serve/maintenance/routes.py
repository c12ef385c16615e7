"""The endpoints of the maintenance application."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path
from pydantic import TypeAdapter
from starlette.responses import Response

from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.history import UNKNOWN_US, History
from lib.maintenance.inspection import UnknownMachineError
from lib.maintenance.machine_store import MachineStoreError
from lib.maintenance.order_outcome import Outcome
from lib.maintenance.repository import (
    ClosedOrderError,
    RepeatedChangeError,
    StaleScheduleError,
    UnknownOrderError,
)
from lib.maintenance.schedule.change import BrokenWeekError
from lib.maintenance.schedule.planned_week import UnchangeableError
from serve.framework import (
    Context,
    Gateway,
    RequestContext,
    Route,
    Router,
    new_gateway,
    parse_body,
)
from serve.framework.decision import unavailable
from serve.framework.review import REFUSALS
from serve.framework.review_routes import review_routes
from serve.framework.routes import ENCODED, MISSING, PathIdParam, PathKeyParam, Responses
from serve.framework.validation import to_datetime
from serve.maintenance.decision import unknown_machine, without_survival
from serve.maintenance.machine_schemas import (
    InspectRequest,
    InspectResponse,
    MachineNoteRequest,
    MachineNoteResponse,
    MachineResponse,
)
from serve.maintenance.machine_states import hours_since_service, latest, sensor_faults
from serve.maintenance.schedule_schemas import (
    SCHEDULE,
    OutcomeResponse,
    ScheduleChangeRequest,
    ScheduleChangeResponse,
    ScheduleRequest,
    ScheduleResponse,
    ScheduleRevisionRequest,
    SolveAgainRequest,
)
from serve.maintenance.schemas import (
    PREDICT,
    PredictRequest,
    PredictResponse,
    ReadingsResponse,
    machine_model,
    many_machines,
)
from serve.maintenance.service import MaintenanceService

_DAY_US = 86_400_000_000
_MachineId = Annotated[PathIdParam, Path(description=f"Id of the machine, {ENCODED}.")]
_ScheduleId = Annotated[PathKeyParam, Path(description=f"Id of the schedule, {ENCODED}.")]
_OrderId = Annotated[PathKeyParam, Path(description=f"Id of the work order, {ENCODED}.")]
_PLANNED: Responses = {409: {"description": "The `schedule_id` was used for a different request."}}
_CHANGED = MISSING | {
    409: {
        "description": "The schedule was changed since `revision`, the service can no longer be "
        "changed, or the `change_id` was used for a different change."
    }
}
_CLOSED = MISSING | {409: {"description": "The work order was closed with a different outcome."}}


def build_gateway(service: MaintenanceService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "Predicts when machines will fail, and plans their services."
    queue = review_routes("maintenance", service.review)
    schedules = (
        *_schedule_routes(service), *_export_routes(service), *_order_routes(service),
        *_change_routes(service),
    )  # fmt: skip
    routes = (*_machine_routes(service), *schedules, *queue)
    refusals = {
        **REFUSALS,
        UnknownOrderError: (404, "not-found"),
        UnknownMachineError: (404, "unknown-machine"),
        ClosedOrderError: (409, "closed"),
        StaleScheduleError: (409, "stale"),
        RepeatedChangeError: (409, "conflict"),
        UnchangeableError: (409, "not-changeable"),
        BrokenWeekError: (422, "infeasible-change"),
    }
    return new_gateway("maintenance", summary, service, routes, names_request, refusals)


def _machine_routes(service: MaintenanceService) -> list[Route]:
    router, args = Router("machines", "maintenance"), service.args
    news: Any = machine_model(service.features.attributes)
    many = many_machines(news)
    reading: TypeAdapter[Any] = TypeAdapter(news)
    reading_many: TypeAdapter[Any] = TypeAdapter(many)
    limits = {"body_bytes": args.readings_body_bytes, "deadline_ms": args.readings_deadline_ms}

    @router.direct("/readings", "label", "Send readings", news | many, ReadingsResponse, **limits)
    async def readings(body: bytes, context: RequestContext) -> bytes:
        """Store sensor readings, error codes, services and vibration recordings of machines.

        The body is one machine or a list of machines. Data that are sent again change nothing.
        """
        batches = await service.parsing.parse_list(reading, reading_many, body)
        return (await service.ingestor.ingest(batches, context)).model_dump_json().encode()

    @router.direct(
        "/predict", "score", "Predict a failure", PredictRequest, PredictResponse, responses=MISSING
    )
    async def predict(body: bytes, context: RequestContext) -> bytes:
        """Return the predicted time to failure of a machine, its drivers, and the action.

        Rules decide before the model.
        """
        return await service.decider.predict(parse_body(PREDICT, body), context)

    @router.get("/machines/{machine_id}", "read", "Get a machine", MISSING)
    async def machine(machine_id: _MachineId) -> MachineResponse:
        """Return a machine's newest readings, services, last prediction and work orders."""
        return await _machine(service, machine_id)

    @router.post("/machines/{machine_id}/inspect", "review", "Ask for an inspection", MISSING)
    async def inspect(
        machine_id: _MachineId, request: InspectRequest, context: Context
    ) -> InspectResponse:
        """Put a machine into the review queue, once a day."""
        return await service.inspections.ask(machine_id, request, context)

    @router.post("/machines/{machine_id}/notes", "review", "Note about a machine", MISSING)
    async def note(
        machine_id: _MachineId, request: MachineNoteRequest, context: Context
    ) -> MachineNoteResponse:
        """Store a note about a machine in the audit, beside its newest prediction."""
        return await service.inspections.note(machine_id, request, context)

    return router.routes


def _schedule_routes(service: MaintenanceService) -> list[Route]:
    router, answers = Router("schedules", "maintenance"), service.answers
    large = {"body_bytes": service.args.readings_body_bytes, "responses": _PLANNED}

    @router.direct(
        "/schedules", "review", "Plan a week", ScheduleRequest, ScheduleResponse, **large
    )
    async def schedules(body: bytes, context: RequestContext) -> bytes:
        """Plan the services of a week within crews, parts, budget and minimum running machines.

        The same request under the same `schedule_id`, or under the same X-Request-ID, gets the
        stored schedule. Large weeks take longer than the default deadline: send the header
        X-Deadline-Ms, up to 30000 ms.
        """
        request = await service.parsing.parse_rows(SCHEDULE, body)
        return await answers.write(await service.orders.plan(request, context))

    @router.get(
        "/schedules/{schedule_id}", "read", "Get a schedule", MISSING, response=ScheduleResponse
    )
    async def schedule(schedule_id: _ScheduleId, context: Context) -> Response:
        """Return a schedule with the current state of its work orders."""
        return await answers.response(await service.orders.schedule(schedule_id, context))

    return router.routes


def _export_routes(service: MaintenanceService) -> list[Route]:
    router = Router("schedules", "maintenance")
    file: dict[str, Any] = {"responses": MISSING, "response": Response}

    @router.get(
        "/schedules/{schedule_id}/calendar.ics", "read", "Get a schedule as a calendar", **file
    )
    async def calendar(schedule_id: _ScheduleId) -> Response:
        """Return the schedule as an iCalendar file (RFC 5545)."""
        text = await service.orders.export(schedule_id, "ics")
        return Response(text, media_type="text/calendar; charset=utf-8")

    @router.get("/schedules/{schedule_id}/plan.csv", "read", "Get a schedule as CSV", **file)
    async def plan(schedule_id: _ScheduleId) -> Response:
        """Return the schedule as a CSV file (RFC 4180)."""
        text = await service.orders.export(schedule_id, "csv")
        return Response(text, media_type="text/csv; charset=utf-8")

    return router.routes


def _order_routes(service: MaintenanceService) -> list[Route]:
    router = Router("schedules", "maintenance")

    @router.post("/work_orders/{order_id}/outcome", "label", "Close a work order", _CLOSED)
    async def outcome(order_id: _OrderId, outcome: Outcome, context: Context) -> OutcomeResponse:
        """Store the outcome of a planned service; a service that was done updates the features."""
        return await service.orders.record_outcome(order_id, outcome, context)

    return router.routes


def _change_routes(service: MaintenanceService) -> list[Route]:
    router = Router("schedules", "maintenance")

    @router.post("/schedules/{schedule_id}/change", "review", "Change a planned service", _CHANGED)
    async def change(
        schedule_id: _ScheduleId, request: ScheduleChangeRequest, context: Context
    ) -> ScheduleChangeResponse:
        """Move, drop, lock or unlock a service, or preview what that would cost.

        Constraints of the week are kept: a change that breaks one gets 422. The same change under
        the same `change_id`, or under the same X-Request-ID, is made once.
        """
        return await service.schedule_changes.change(schedule_id, request, context)

    planned: dict[str, Any] = {"responses": _CHANGED, "response": ScheduleResponse}

    @router.post("/schedules/{schedule_id}/solve", "review", "Plan the rest of a week", **planned)
    async def solve(
        schedule_id: _ScheduleId, request: SolveAgainRequest, context: Context
    ) -> Response:
        """Plan the rest of a week again; locked, started and closed services stay."""
        solved = await service.schedule_changes.solve(schedule_id, request, context)
        return await service.answers.response(solved)

    @router.post("/schedules/{schedule_id}/accept", "review", "Accept a schedule", **planned)
    async def accept(
        schedule_id: _ScheduleId, request: ScheduleRevisionRequest, context: Context
    ) -> Response:
        """Store that a person accepts the plan of this revision."""
        accepted = await service.schedule_changes.accept(schedule_id, request, context)
        return await service.answers.response(accepted)

    return router.routes


async def _machine(service: MaintenanceService, machine_id: str) -> MachineResponse:
    with unavailable("the machines' readings are temporarily unavailable", MachineStoreError):
        past = await service.machines.get(machine_id)
        prediction = await service.machines.last_prediction(machine_id)
    if past is None:
        raise unknown_machine(machine_id)
    described = await service.machines.compute(partial(_described, service.features), past)
    return MachineResponse(
        machine_id=machine_id,
        last_prediction=None if prediction is None else without_survival(prediction),
        orders=await service.orders.of_machine(machine_id),
        **described,
    )


def _described(features: AssetFeatureSet, past: History) -> dict[str, Any]:
    """The fields of a machine's answer that its past tells."""
    times_us, newest = past.times_us, _newest(past)
    recent = past.error_codes[past.error_times_us > newest - _DAY_US].tolist()
    return {
        "installed_at": None if past.installed_us == UNKNOWN_US else to_datetime(past.installed_us),
        "first_reading": to_datetime(int(times_us[0])) if len(times_us) else None,
        "last_reading": to_datetime(int(times_us[-1])) if len(times_us) else None,
        "readings": len(times_us),
        "latest": latest(features, past),
        "sensor_faults": sensor_faults(features, past),
        "hours_since_service": dict(hours_since_service(features, past, newest)),
        "errors_24h": {name: recent.count(code) for code, name in enumerate(features.error_codes)},
    }


def _newest(past: History) -> int:
    """When the newest thing happened that is known."""
    times = (past.times_us, past.error_times_us, past.service_times_us)
    return max((int(times_us[-1]) for times_us in times if len(times_us)), default=0)
