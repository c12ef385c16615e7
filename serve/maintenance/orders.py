"""Schedules asked for and looked up, and outcomes of work orders that feed back."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np

from lib.maintenance.features import evaluate
from lib.maintenance.history import UNKNOWN_US, Floats
from lib.maintenance.machine_store import MachineStoreError
from lib.maintenance.memory import nothing_yet, with_services
from lib.maintenance.model import SurvivalModel
from lib.maintenance.schedule import ScheduleError
from lib.maintenance.schedule.week_problem import from_week_start
from lib.records import (
    ClosedOrderError,
    RecordsUnavailableError,
    StoredSchedule,
    UnknownOrderError,
    WorkOrder,
    WorkOrders,
)
from lib.survival import Curves
from serve.gateway import Call, FieldError, Meter, Problem
from serve.gateway.bounded_executor import BoundedExecutor
from serve.gateway.clock import micros, moment
from serve.gateway.holder import Holder
from serve.maintenance import numbers
from serve.maintenance.machines import Machines
from serve.maintenance.planner import Planning
from serve.maintenance.schema import (
    OrderAnswer,
    Outcome,
    OutcomeAnswer,
    ScheduleAnswer,
    ScheduleRequest,
)

_AT_ONCE = 4


class Orders:
    """Plans weeks and closes work orders.

    Args:
        machines: what is known.
        holder: the model in force.
        planning: where weeks are solved.
        book: schedules and orders.
        meter: counts.
        now: microseconds since 1970 UTC.
        ahead_us: how far a caller's clock may be ahead.
    """

    def __init__(
        self,
        machines: Machines,
        holder: Holder[SurvivalModel],
        planning: Planning,
        book: WorkOrders,
        meter: Meter,
        now: Callable[[], int],
        ahead_us: int,
    ) -> None:
        self._machines, self._holder, self._planning = machines, holder, planning
        self.book, self._meter, self._now, self._ahead = book, meter, now, ahead_us
        self._threads = BoundedExecutor("work-orders", _AT_ONCE)
        self._computing = BoundedExecutor("schedules", 2)

    async def plan(self, request: ScheduleRequest, call: Call) -> ScheduleAnswer:
        """A week, solved and kept.

        Raises:
            Problem: 422 for a field that cannot be meant or a week that no plan fits, which says
                what to relax; 503 without model, store or records.
        """
        schedule_id, digest = _identity(request, call)
        stored = await self._stored(schedule_id, digest, call)
        if stored is not None:
            return stored
        model = self._holder.current
        if model is None:
            text = "no model is loaded, and without one no machine's risk is known"
            raise Problem(503, "unavailable", text, retry_after=5)
        now = self._now()
        at = now if request.at is None else micros(request.at)
        rows, silent = await self._rows(request, at)
        try:
            payload = await self._computing.run(_payload, model, rows, at, request)
        except ScheduleError as error:
            raise Problem.of_field("week.start", str(error).removeprefix("start: ")) from None
        payload |= {"id": schedule_id, "created_at": now}
        solution = await self._planning.solve(payload)
        if "refused" in solution:
            self._meter.count(numbers.SCHEDULES, "refused")
            raise _refusal(solution["refused"])
        plan = {**solution["schedule"]["plan"], "request_digest": digest, "without_history": silent}
        schedule = StoredSchedule(**{**solution["schedule"], "plan": plan})
        orders = [WorkOrder(**order) for order in solution["orders"]]
        fresh = await self._run(lambda: self.book.keep(schedule, orders))
        if not fresh:  # the same was sent at the same time, and is stored by now
            stored = await self._stored(schedule_id, digest, call)
            if stored is not None:
                return stored
        self._meter.count(numbers.SCHEDULES, "planned")
        call.notes.update(schedule_id=schedule.id, orders=len(orders))
        return _schedule_answer(schedule, orders, call)

    async def _stored(self, schedule_id: str, digest: str, call: Call) -> ScheduleAnswer | None:
        """The plan of the same request, where one is stored.

        Raises:
            Problem: 409 where the id is that of another request.
        """
        try:
            schedule, orders = await self._run(lambda: self.book.schedule(schedule_id))
        except Problem as problem:
            if problem.status == 404:
                return None
            raise
        if schedule.plan.get("request_digest") != digest:
            raise Problem(
                409,
                "schedule-exists",
                f"schedule_id: '{schedule_id}' names a schedule of another request; expected the "
                "same request or an id of its own",
            )
        self._meter.count(numbers.SCHEDULES, "repeated")
        return _schedule_answer(schedule, orders, call, repeated=True)

    async def schedule(self, schedule_id: str, call: Call) -> ScheduleAnswer:
        """A week that was planned before.

        Raises:
            Problem: 404 where there is none of that id.
        """
        schedule, orders = await self._run(lambda: self.book.schedule(schedule_id))
        return _schedule_answer(schedule, orders, call)

    async def export(self, schedule_id: str, kind: str) -> str:
        """The plan as `csv` or `ics`.

        Raises:
            Problem: 404 where there is none of that id.
        """
        schedule, _ = await self._run(lambda: self.book.schedule(schedule_id))
        return str(schedule.plan[kind])

    async def of_machine(self, machine_id: str) -> list[OrderAnswer]:
        """The newest orders of a machine."""
        return [
            order_answer(order)
            for order in await self._run(lambda: self.book.of_machine(machine_id))
        ]

    async def settle(self, order_id: str, order_outcome: Outcome, call: Call) -> OutcomeAnswer:
        """Closes an order, and lets a service count in the machine's features from then on.

        Raises:
            Problem: 404 for an unknown order, 409 for one that was closed with another outcome,
                422 for a field that cannot be meant, 503 while a store is out (send it again).
        """
        self._check(order_outcome)
        outcome = order_outcome.model_dump(mode="json", exclude_none=True)
        at = self._now()
        closed, fresh = await self._run(lambda: self.book.settle(order_id, outcome, at))
        if order_outcome.result != "not_done":
            # of an order that was closed before, too: that request may have ended here
            await self._renew(closed, order_outcome)
        if fresh:
            self._meter.count(numbers.ORDERS, order_outcome.result)
        call.notes.update(order_id=order_id, result=order_outcome.result)
        return OutcomeAnswer(
            order=order_answer(closed), repeated=not fresh, request_id=call.request_id
        )

    def _check(self, outcome: Outcome) -> None:
        features = self._machines.features
        if outcome.component is not None and outcome.component not in features.components:
            component_names = ", ".join(features.components) or "none"
            raise Problem.of_field(
                "component", f"unknown component, declared are {component_names}"
            )
        if micros(outcome.event_time) > self._now() + self._ahead:
            raise Problem.of_field("event_time", "expected a time that has come")

    async def _renew(self, order: WorkOrder, outcome: Outcome) -> None:
        """Lets the service count in the machine's features; the same again changes nothing."""
        part, at = outcome.component or order.component, micros(outcome.event_time)
        features = self._machines.features
        if part is not None and part not in features.components:
            part = None

        def work(past: Any) -> tuple[Any, None]:
            history = nothing_yet(features, order.machine_id) if past is None else past
            return with_services(features, history, [at], [part]), None

        try:
            await self._machines.change(order.machine_id, work)
        except MachineStoreError as error:
            text = "the outcome cannot be taken in at the moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error

    async def _rows(self, request: ScheduleRequest, at_us: int) -> tuple[Floats, list[str]]:
        """Features of the machines, and who is planned without any history."""
        features = self._machines.features
        try:
            pasts = [await self._machines.known(machine.machine_id) for machine in request.machines]
        except MachineStoreError as error:
            text = "the machines' readings are unavailable for a moment"
            raise Problem(503, "unavailable", text, retry_after=1) from error
        silent = [
            machine.machine_id
            for machine, past in zip(request.machines, pasts, strict=True)
            if past is None
        ]

        def compute() -> Floats:
            empty = [
                nothing_yet(features, machine.machine_id, UNKNOWN_US)
                for machine in request.machines
            ]
            return np.concatenate(
                [
                    evaluate(features, nobody if past is None else past, [at_us])
                    for past, nobody in zip(pasts, empty, strict=True)
                ]
            )

        return await self._computing.run(compute), silent

    async def _run(self, work: Callable[[], Any]) -> Any:
        try:
            return await self._threads.run(work)
        except UnknownOrderError as error:
            raise Problem(404, "not-found", str(error)) from None
        except ClosedOrderError as error:
            raise Problem(409, "closed", str(error)) from None
        except RecordsUnavailableError as error:
            text = "the records cannot be reached at the moment"
            raise Problem(503, "unavailable", text, retry_after=1) from error


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


def _refusal(refused: dict[str, Any]) -> Problem:
    if refused["kind"] == "invalid-field":
        field = refused["text"].split(":", 1)[0]
        return Problem(
            422, "invalid-field", refused["text"], (FieldError(f"week.{field}", refused["text"]),)
        )
    errors = [FieldError("week", shortage) for shortage in refused["shortages"]]
    return Problem(422, refused["kind"], refused["text"], errors)


def _identity(request: ScheduleRequest, call: Call) -> tuple[str, str]:
    """The schedule's id, and a digest of what is asked for.

    Without an id of the caller's, a request that is sent again under its X-Request-ID gets the same
    one; another request under that header gets another.
    """
    content = request.model_dump_json(exclude={"schedule_id"})
    digest = sha256(content.encode()).hexdigest()
    if request.schedule_id is not None:
        return request.schedule_id, digest
    return sha256(f"{call.request_id}\n{digest}".encode()).hexdigest()[:16], digest


def _schedule_answer(
    schedule: StoredSchedule, orders: list[WorkOrder], call: Call, *, repeated: bool = False
) -> ScheduleAnswer:
    plan: Any = schedule.plan
    return ScheduleAnswer(
        schedule_id=schedule.id,
        week_start=moment(schedule.week_start),
        currency=str(schedule.request["currency"]),
        orders=[order_answer(order) for order in orders],
        **{name: plan[name] for name in ("cost", "saved", "gap", "finished", "seconds")},
        other_plans=plan["other_plans"],
        without_history=plan.get("without_history", []),
        repeated=repeated,
        model_version=schedule.model_version,
        request_id=call.request_id,
    )


def order_answer(order: WorkOrder) -> OrderAnswer:
    """A work order as callers see it."""
    return OrderAnswer(
        order_id=order.id,
        schedule_id=order.schedule_id,
        machine_id=order.machine_id,
        component=order.component,
        plant=order.plant,
        line=order.line,
        skill=order.skill,
        starts_at=moment(order.starts_at),
        ends_at=moment(order.ends_at),
        expected=dict(order.expected),  # type: ignore[arg-type]
        closed_at=None if order.closed_at is None else moment(order.closed_at),
        outcome=None if order.outcome is None else dict(order.outcome),  # type: ignore[arg-type]
    )
