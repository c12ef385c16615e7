"""Schedules asked for and looked up, and outcomes of work orders that feed back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
from pydantic import ValidationError

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.maintenance.features import evaluate
from lib.maintenance.history import UNKNOWN_US, Floats
from lib.maintenance.machine_store import MachineStoreError
from lib.maintenance.model.model import SurvivalModel
from lib.maintenance.order_outcome import Outcome, close_with
from lib.maintenance.repository import (
    OrderCloser,
    StoredSchedule,
    UnknownOrderError,
    WorkOrder,
    WorkOrderRepository,
)
from lib.maintenance.schedule.problem import ScheduleError
from lib.maintenance.schedule.week_problem import from_week_start
from lib.maintenance.state_codec import empty_state, with_services
from lib.records import RecordsUnavailableError
from lib.survival.curves import Curves
from serve.framework import FieldError, Problem, RequestContext
from serve.framework.decision import ServiceParts, unavailable
from serve.framework.model_slot import ModelSlot
from serve.framework.offload import Solver
from serve.framework.validation import to_datetime, to_micros
from serve.maintenance import metrics
from serve.maintenance.failures import record_failures
from serve.maintenance.machine_states import MachineStates
from serve.maintenance.schedule_schemas import (
    OutcomeResponse,
    ScheduleRequest,
    ScheduleResponse,
    WorkOrderResponse,
)

_AT_ONCE = 4
_OVERLAP_US, _FIRST_US = 10 * 60_000_000, 7 * 86_400_000_000


class WorkOrderService:
    """Plans weeks and closes work orders.

    Args:
        parts: of the application.
        machines: what is known.
        model_slot: the model in force.
        solver: where weeks are solved.
        repository: schedules and orders.
    """

    def __init__(
        self,
        parts: ServiceParts,
        machines: MachineStates,
        model_slot: ModelSlot[SurvivalModel],
        solver: Solver,
        repository: WorkOrderRepository,
    ) -> None:
        self._machines, self._model_slot, self._solver = machines, model_slot, solver
        self.repository, self._meter, self._clock = repository, parts.meter, parts.clock
        self._decision_store = parts.decision_store
        self._followed_at: int | None = None
        self._followed: set[str] = set()
        self._threads = BoundedExecutor("work-orders", _AT_ONCE)
        self._computing = BoundedExecutor("schedules", 2)

    async def plan(self, request: ScheduleRequest, context: RequestContext) -> ScheduleResponse:
        """A week, solved and kept.

        Raises:
            Problem: 422 for a field that cannot be meant or a week that no plan fits, which says
                what to relax; 503 without model, store or records.
        """
        schedule_id, digest = await self._computing.run(_identity, request, context)
        stored = await self._stored(schedule_id, digest, context)
        if stored is not None:
            return stored
        model = self._model_slot.current
        if model is None:
            text = "no model is loaded, so risks cannot be computed; try again later"
            raise Problem.unavailable(text, retry_after=5)
        now = self._clock.now()
        at = now if request.at is None else to_micros(request.at)
        rows, silent = await self._rows(request, at)
        try:
            payload = await self._computing.run(_payload, model, rows, at, request)
        except ScheduleError as error:
            raise Problem.of_field("week.start", str(error).removeprefix("start: ")) from None
        payload |= {"id": schedule_id, "created_at": now}
        solution = await self._solver.solve(payload)
        if "refused" in solution:
            self._meter.count(metrics.SCHEDULES, "refused")
            raise refusal(solution["refused"])
        about = {"request_digest": digest, "without_history": silent}
        schedule, orders = await self._computing.run(_planned, solution, about)
        fresh = await self._threads.run(
            self.repository.insert_schedule, schedule, orders, solution["basis"]
        )
        if not fresh:  # the same was sent at the same time, and is stored by now
            stored = await self._stored(schedule_id, digest, context)
            if stored is not None:
                return stored
        self._meter.count(metrics.SCHEDULES, "planned")
        context.log_fields.update(schedule_id=schedule.id, orders=len(orders))
        return await self._computing.run(schedule_answer, schedule, orders, context)

    async def _stored(
        self, schedule_id: str, digest: str, context: RequestContext
    ) -> ScheduleResponse | None:
        """The plan of the same request, where one is stored.

        Raises:
            Problem: 409 where the id is that of another request.
        """
        try:
            schedule, orders = await self._threads.run(self.repository.find_schedule, schedule_id)
        except UnknownOrderError:
            return None
        if schedule.plan.get("request_digest") != digest:
            raise Problem(
                409,
                "schedule-exists",
                f"schedule_id: '{schedule_id}' names a schedule of another request; expected the "
                "same request or an id of its own",
            )
        self._meter.count(metrics.SCHEDULES, "repeated")
        answer = partial(schedule_answer, schedule, orders, context, repeated=True)
        return await self._computing.run(answer)

    async def schedule(self, schedule_id: str, context: RequestContext) -> ScheduleResponse:
        """A week that was planned before.

        Raises:
            UnknownOrderError: there is none of that id.
        """
        schedule, orders = await self._threads.run(self.repository.find_schedule, schedule_id)
        return await self._computing.run(schedule_answer, schedule, orders, context)

    async def export(self, schedule_id: str, kind: str) -> str:
        """The plan as `csv` or `ics`.

        Raises:
            UnknownOrderError: there is none of that id.
        """
        schedule, _ = await self._threads.run(self.repository.find_schedule, schedule_id)
        return str(schedule.plan[kind])

    async def of_machine(self, machine_id: str) -> list[WorkOrderResponse]:
        """The newest orders of a machine."""
        orders = await self._threads.run(self.repository.list_of_machine, machine_id)
        return [_order_answer(order) for order in orders]

    async def record_outcome(
        self, order_id: str, order_outcome: Outcome, context: RequestContext
    ) -> OutcomeResponse:
        """Closes an order, and lets a service count in the machine's features from then on.

        Raises:
            UnknownOrderError, ClosedOrderError: there is no such order, or it was closed with
                another outcome.
            Problem: 422 for a field that cannot be meant, 503 while the machine store or the
                records are out.
        """
        self._check(order_outcome)
        at = self._clock.now()
        latest, closer = at + self._clock.ahead, OrderCloser(context.key_id, context.key_id)
        closed, fresh = await self._threads.run(
            close_with, self.repository, order_id, order_outcome, at, latest, closer
        )
        # of an order that was closed before, too: that request may have ended here
        await self._follow(closed, order_outcome, at)
        self._followed.add(closed.id)
        if fresh:
            self._meter.count(metrics.ORDERS, order_outcome.result)
        context.log_fields.update(order_id=order_id, result=order_outcome.result)
        return OutcomeResponse(
            order=_order_answer(closed), repeated=not fresh, request_id=context.request_id
        )

    def _check(self, outcome: Outcome) -> None:
        features = self._machines.features
        if outcome.component is not None and outcome.component not in features.components:
            component_names = ", ".join(features.components) or "none"
            raise Problem.of_field(
                "component", f"unknown component, declared are {component_names}"
            )

    async def follow_closed(self) -> int:
        """Lets outcomes take effect that were reported elsewhere, e.g. in the console.

        Reads orders that were closed of late, a little overlapping, as clocks differ; done again,
        nothing changes. Returns of how many orders that was done; an order that fails holds up no
        other, and is tried again for a week.
        """
        now, known = self._clock.now(), set(self._followed)
        since = max(now - _FIRST_US, (self._followed_at or 0) - _OVERLAP_US)
        try:
            orders = await self._threads.run(self.repository.list_closed, since, now + _OVERLAP_US)
        except RecordsUnavailableError:
            return 0
        fresh = [order for order in orders if order.id not in known]
        done = [order.id for order in fresh if await self._is_followed(order, now)]
        self._followed |= set(done)
        self._followed -= known - {order.id for order in orders}
        if len(done) == len(fresh):
            self._followed_at = now
        return len(done)

    async def _is_followed(self, order: WorkOrder, now: int) -> bool:
        """Lets an outcome take effect; False while a store is out, or where it cannot be read."""
        try:
            await self._follow(order, Outcome.model_validate(order.outcome), now)
        except (RecordsUnavailableError, Problem, ValidationError):
            return False
        return True

    async def _follow(self, order: WorkOrder, outcome: Outcome, now: int) -> None:
        """What follows from an outcome for the machine's features and its labels."""
        if outcome.result != "not_done":
            await self._renew(order, outcome)
        if outcome.result == "failed_before" and outcome.failed_at is not None:
            failed_at = to_micros(outcome.failed_at)
            await record_failures(
                self._decision_store, order.machine_id, [failed_at], "work_order", now
            )

    async def _renew(self, order: WorkOrder, outcome: Outcome) -> None:
        """Lets the service count in the machine's features; the same again changes nothing."""
        part, at = outcome.component or order.component, to_micros(outcome.event_time)
        features = self._machines.features
        if part is not None and part not in features.components:
            part = None

        def work(past: Any) -> tuple[Any, None]:
            history = empty_state(features, order.machine_id) if past is None else past
            return with_services(features, history, [at], [part]), None

        with unavailable("the outcome cannot be stored temporarily", MachineStoreError):
            await self._machines.update(order.machine_id, work)

    async def _rows(self, request: ScheduleRequest, at_us: int) -> tuple[Floats, list[str]]:
        """Features of the machines, and who is planned without any history."""
        features = self._machines.features
        with unavailable("the machines' readings are temporarily unavailable", MachineStoreError):
            pasts = [await self._machines.get(machine.machine_id) for machine in request.machines]
        silent = [
            machine.machine_id
            for machine, past in zip(request.machines, pasts, strict=True)
            if past is None
        ]

        def compute() -> Floats:
            empty = [
                empty_state(features, machine.machine_id, UNKNOWN_US)
                for machine in request.machines
            ]
            return np.concatenate(
                [
                    evaluate(features, nobody if past is None else past, [at_us])
                    for past, nobody in zip(pasts, empty, strict=True)
                ]
            )

        return await self._computing.run(compute), silent


def _planned(
    solution: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[StoredSchedule, list[WorkOrder]]:
    """A week that was solved as it is stored, with `about` in its plan."""
    plan = {**solution["schedule"]["plan"], **about}
    schedule = StoredSchedule(**{**solution["schedule"], "plan": plan})
    return schedule, [WorkOrder(**order) for order in solution["orders"]]


def _payload(
    model: SurvivalModel, rows: Floats, at_us: int, request: ScheduleRequest
) -> dict[str, Any]:
    """What the planner needs: curves from the week's start on, of who lasts until then."""
    overall_curves, modes = model.curves(rows), model.by_mode(rows)

    def later(curves: Curves) -> bytes:
        conditional_curves = from_week_start(request.week, at_us, curves)
        return np.ascontiguousarray(conditional_curves.survival, dtype=np.float64).tobytes()

    return {
        "week": request.week.model_dump(mode="json"),
        "sites": [machine.model_dump() for machine in request.machines],
        "grid": model.grid.tolist(),
        "whole": later(overall_curves),
        "modes": {name: later(each) for name, each in modes.items()},
        "gap": request.gap,
        "seconds": request.seconds,
        "model_version": model.version,
    }


def refusal(refused: dict[str, Any]) -> Problem:
    """The 422 for a week that the planner refuses, or the 409 for one that it cannot change."""
    if refused["kind"] == "not-changeable":
        return Problem(409, refused["kind"], refused["text"])
    if refused["kind"] == "invalid-field":
        field = refused["text"].split(":", 1)[0]
        return Problem(
            422, "invalid-field", refused["text"], (FieldError(f"week.{field}", refused["text"]),)
        )
    errors = [FieldError("week", shortage) for shortage in refused["shortages"]]
    return Problem(422, refused["kind"], refused["text"], errors)


def _identity(request: ScheduleRequest, context: RequestContext) -> tuple[str, str]:
    """The schedule's id, and a digest of what is asked for.

    Without an id of the caller's, a request that is sent again under its X-Request-ID gets the same
    one; another request under that header gets another.
    """
    content = request.model_dump_json(exclude={"schedule_id"})
    digest = sha256(content.encode()).hexdigest()
    if request.schedule_id is not None:
        return request.schedule_id, digest
    return sha256(f"{context.request_id}\n{digest}".encode()).hexdigest()[:16], digest


def _order_answer(order: WorkOrder) -> WorkOrderResponse:
    return WorkOrderResponse.of(order, order_id=order.id)


def schedule_answer(
    schedule: StoredSchedule,
    orders: list[WorkOrder],
    context: RequestContext,
    *,
    repeated: bool = False,
) -> ScheduleResponse:
    """The answer about a schedule and its orders."""
    plan: Any = schedule.plan
    accepted: Any = plan.get("accepted") or {}
    locks: Any = schedule.request.get("locks", [])
    return ScheduleResponse(
        schedule_id=schedule.id,
        week_start=to_datetime(schedule.week_start),
        currency=str(schedule.request["currency"]),
        orders=[_order_answer(order) for order in orders],
        **{name: plan[name] for name in ("cost", "saved", "gap", "finished", "seconds")},
        other_plans=plan.get("other_plans", {}),
        without_history=plan.get("without_history", []),
        repeated=repeated,
        revision=schedule.revision,
        locks=locks,
        accepted_by=accepted.get("by"),
        accepted_revision=accepted.get("revision"),
        model_version=schedule.model_version,
        request_id=context.request_id,
    )
