"""Changes of planned weeks over HTTP: previewed, made once, solved again, accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from typing import Any, cast

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.maintenance.repository import (
    ScheduleChange,
    ScheduleUpdate,
    WorkOrder,
    WorkOrderRepository,
    require_revision,
    require_same_change,
)
from lib.maintenance.schedule.change import Change, ChangeAction
from lib.maintenance.schedule.planned_week import PlannedWeek, UnchangeableError
from lib.maintenance.schedule.revision import (
    Revision,
    ServiceChange,
    accept_schedule,
    make_change,
    preview_change,
    solve_digest,
)
from lib.maintenance.schedule.week_problem import Named
from serve.framework import RequestContext
from serve.framework.decision import ServiceParts
from serve.framework.offload import Solver
from serve.framework.review import key_of
from serve.framework.validation import to_datetime, to_micros
from serve.maintenance import metrics
from serve.maintenance.schedule_schemas import (
    ScheduleChangeRequest,
    ScheduleChangeResponse,
    ScheduleResponse,
    ScheduleRevisionRequest,
    SolveAgainRequest,
)
from serve.maintenance.work_orders import refusal, schedule_answer

_AT_ONCE = 2


class ScheduleChanges:
    """What people change in planned weeks.

    Every method raises a Problem: 403 for a name that the key may not act under.

    Args:
        parts: of the application.
        solver: where weeks are solved.
        repository: schedules and orders.
    """

    def __init__(
        self, parts: ServiceParts, solver: Solver, repository: WorkOrderRepository
    ) -> None:
        self._solver, self._repository = solver, repository
        self._meter, self._clock = parts.meter, parts.clock
        self._threads = BoundedExecutor("schedule-changes", _AT_ONCE)

    async def change(
        self, schedule_id: str, request: ScheduleChangeRequest, context: RequestContext
    ) -> ScheduleChangeResponse:
        """One service, changed or only priced; raises as `make_change`."""
        start_at = None if request.start is None else to_micros(request.start)
        name = Named(request.machine_id, request.component)
        asks = ServiceChange(action=request.action, name=name, start_at=start_at)
        revision = self._revision(schedule_id, request, asks.digest(), context)
        if request.preview:
            week, change = await self._threads.run(
                preview_change, self._repository, schedule_id, request.revision, asks, revision.at
            )
            return _preview(week, change, context)
        stored, fresh = await self._threads.run(make_change, self._repository, revision, asks)
        self._count(request.action, fresh, context, revision)
        return _stored_answer(stored, fresh, context)

    async def accept(
        self, schedule_id: str, request: ScheduleRevisionRequest, context: RequestContext
    ) -> ScheduleResponse:
        """The plan as it is, accepted; raises as `accept_schedule`."""
        revision = self._revision(schedule_id, request, "accept", context)
        _, fresh = await self._threads.run(accept_schedule, self._repository, revision)
        self._count("accept", fresh, context, revision)
        return await self._answer(schedule_id, fresh, context)

    async def solve(
        self, schedule_id: str, request: SolveAgainRequest, context: RequestContext
    ) -> ScheduleResponse:
        """The rest of the week, planned again.

        Raises:
            Problem: 422 where the locks leave no plan, with what to relax.
            UnknownOrderError, StaleScheduleError, RepeatedChangeError: as `make_change`.
        """
        revision = self._revision(schedule_id, request, "solve", context)
        payload = await self._threads.run(self._payload, revision)
        if payload is None:
            return await self._answer(schedule_id, False, context)
        payload |= {"gap": request.gap, "seconds": request.seconds}
        solution = await self._solver.solve(payload)
        if "refused" in solution:
            self._meter.count(metrics.SCHEDULES, "refused")
            raise refusal(solution["refused"])
        updated = await self._threads.run(_updated, solution["update"])
        _, fresh = await self._threads.run(
            self._repository.change_schedule, schedule_id, request.revision, updated
        )
        self._count("solve", fresh, context, revision)
        return await self._answer(schedule_id, fresh, context)

    def _payload(self, revision: Revision) -> dict[str, Any] | None:
        """What the planner needs; None where the same request was answered before."""
        stored = self._repository.find_change(revision.schedule_id, revision.change_id)
        if stored is not None:
            require_same_change(stored, solve_digest(revision.revision))
            return None
        schedule, orders = self._repository.find_schedule(revision.schedule_id)
        require_revision(schedule, revision.revision)
        basis = self._repository.find_basis(revision.schedule_id)
        if basis is None:
            raise UnchangeableError(
                f"schedule '{schedule.id}' was stored without the curves that it was planned by"
            )
        return {
            "stored": asdict(schedule),
            "orders": [asdict(order) for order in orders],
            "basis": basis,
            "revision": asdict(revision),
        }

    def _revision(
        self,
        schedule_id: str,
        request: ScheduleChangeRequest | ScheduleRevisionRequest,
        content: str,
        context: RequestContext,
    ) -> Revision:
        key = key_of(request.author, context, "author")
        parts = f"{context.request_id}\n{request.revision}\n{content}"
        return Revision(
            schedule_id=schedule_id,
            revision=request.revision,
            change_id=request.change_id or sha256(parts.encode()).hexdigest()[:16],
            by=request.author,
            key_id=key.id,
            at=self._clock.now(),
            reason=request.reason,
        )

    def _count(self, action: str, fresh: bool, context: RequestContext, revision: Revision) -> None:
        if fresh:
            self._meter.count(metrics.CHANGES, action)
        context.log_fields.update(schedule_id=revision.schedule_id, change=action)

    async def _answer(
        self, schedule_id: str, fresh: bool, context: RequestContext
    ) -> ScheduleResponse:
        schedule, orders = await self._threads.run(self._repository.find_schedule, schedule_id)
        answer = partial(schedule_answer, schedule, orders, context, repeated=not fresh)
        return await self._threads.run(answer)


def _updated(fields: Mapping[str, Any]) -> ScheduleUpdate:
    """The stored week as the planner changed it."""
    return ScheduleUpdate(
        request=fields["request"], plan=fields["plan"],
        orders=[WorkOrder(**order) for order in fields["orders"]],
        change=ScheduleChange(**fields["change"]),
    )  # fmt: skip


def _preview(week: PlannedWeek, change: Change, context: RequestContext) -> ScheduleChangeResponse:
    before, after = week.time_of(change.start_before), week.time_of(change.start_after)
    return ScheduleChangeResponse(
        schedule_id=week.schedule.id,
        change_id=None,
        action=change.action,
        machine_id=change.name.machine_id,
        component=change.name.component,
        start_before=None if before is None else to_datetime(before),
        start_after=None if after is None else to_datetime(after),
        cost_before=change.before.total,
        cost_after=change.after.total,
        broken=list(change.broken),
        preview=True,
        repeated=False,
        revision=week.schedule.revision,
        request_id=context.request_id,
    )


def _stored_answer(
    stored: ScheduleChange, fresh: bool, context: RequestContext
) -> ScheduleChangeResponse:
    detail: Any = stored.detail
    return ScheduleChangeResponse(
        schedule_id=stored.schedule_id,
        change_id=stored.id,
        action=cast(ChangeAction, stored.action),
        machine_id=stored.machine_id or "",
        component=stored.component or "",
        start_before=None if stored.before is None else to_datetime(stored.before),
        start_after=None if stored.after is None else to_datetime(stored.after),
        cost_before=detail["cost_before"],
        cost_after=detail["cost_after"],
        broken=[],
        preview=False,
        repeated=not fresh,
        revision=stored.revision,
        request_id=context.request_id,
    )
