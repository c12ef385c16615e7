"""Changes of a stored schedule by people: previewed without effect, stored once, and audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from lib.maintenance.repository import (
    ScheduleChange,
    ScheduleUpdate,
    StoredSchedule,
    WorkOrderRepository,
    require_revision,
    require_same_change,
)
from lib.maintenance.schedule.change import BrokenWeekError, Change, ChangeAction, change_service
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, cost_of
from lib.maintenance.schedule.export import orders_of
from lib.maintenance.schedule.placement import no_services
from lib.maintenance.schedule.planned_week import (
    PlannedWeek,
    free_problem,
    load_week,
    shown_json,
)
from lib.maintenance.schedule.solve import Plan, solve
from lib.maintenance.schedule.week_problem import Named
from lib.records.models import Json

_LEAST_SAVED = 1e-9


@dataclass(frozen=True, kw_only=True)
class Revision:
    """Who changes which revision of a schedule, when and why.

    Attributes:
        schedule_id: of the schedule.
        revision: that the person looked at.
        change_id: under which the change has one effect.
        by, key_id: the person and the API key.
        at: microseconds since 1970 UTC.
        reason: in words; None without one.
    """

    schedule_id: str
    revision: int
    change_id: str
    by: str
    key_id: str
    at: int
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceChange:
    """Which service is changed and how; see `change_service`."""

    action: ChangeAction
    name: Named
    start_at: int | None = None

    def digest(self) -> str:
        """Of what is asked for."""
        parts = (self.action, *self.name, str(self.start_at))
        return sha256("\0".join(parts).encode()).hexdigest()


def preview_change(
    repository: WorkOrderRepository, schedule_id: str, revision: int, asks: ServiceChange, now: int
) -> tuple[PlannedWeek, Change]:
    """What a change would come to; nothing is stored.

    Raises:
        UnknownOrderError, StaleScheduleError, UnchangeableError, ScheduleError: as `make_change`.
    """
    week = load_week(repository, schedule_id)
    require_revision(week.schedule, revision)
    return week, change_service(week, asks.action, asks.name, asks.start_at, now)


def make_change(
    repository: WorkOrderRepository, revision: Revision, asks: ServiceChange
) -> tuple[ScheduleChange, bool]:
    """Change one service; returns what was stored, and whether it is new.

    Raises:
        UnknownOrderError: there is no such schedule.
        StaleScheduleError: it was changed since the revision that the person looked at.
        RepeatedChangeError: the id of the change names another change.
        UnchangeableError: the service has begun or is closed, or the schedule cannot be changed.
        BrokenWeekError: the change breaks constraints of the week.
        ScheduleError: the service or the start cannot be meant.
    """
    stored = repository.find_change(revision.schedule_id, revision.change_id)
    if stored is not None:
        return require_same_change(stored, asks.digest()), False
    week, change = preview_change(
        repository, revision.schedule_id, revision.revision, asks, revision.at
    )
    if change.broken:
        raise BrokenWeekError(change.broken)
    updated = _with_change(week, change, revision, asks.digest())
    return repository.change_schedule(revision.schedule_id, revision.revision, updated)


def accept_schedule(
    repository: WorkOrderRepository, revision: Revision
) -> tuple[ScheduleChange, bool]:
    """Note that a person accepts the plan as it is; a later change shows that it came after.

    Raises:
        UnknownOrderError, StaleScheduleError, RepeatedChangeError: as `make_change`.
    """
    schedule, orders = repository.find_schedule(revision.schedule_id)
    accepted: dict[str, Json] = {
        "by": revision.by,
        "at": revision.at,
        "revision": revision.revision,
    }
    digest = sha256(f"accept\0{revision.revision}".encode()).hexdigest()
    updated = ScheduleUpdate(
        request=schedule.request,
        plan={**schedule.plan, "accepted": accepted},
        orders=orders,
        change=_entry(revision, "accept", revision.revision, _detail(revision, digest)),
    )
    return repository.change_schedule(revision.schedule_id, revision.revision, updated)


def solve_again(
    week: PlannedWeek, revision: Revision, gap: float, seconds: float
) -> ScheduleUpdate:
    """Plan the rest of a week again; what people locked, began or closed stays.

    Args:
        week: the schedule.
        revision: who wants it, and when.
        gap: relative, at which the solver stops.
        seconds: at most.

    Raises:
        InfeasibleWeekError: the locks leave no plan, with what to relax.
    """
    plan = solve(free_problem(week, revision.at), gap=gap, seconds=seconds, threads=1)
    schedule = week.schedule
    cost, idle = _costs(week, plan)
    numbers = {name: value for name, value in asdict(plan).items() if name != "starts"}
    shown = shown_json(week.problem, week.names, plan.starts, revision.at, schedule.revision + 1)
    changed = {**numbers, "cost": cost, "saved": idle - cost, **shown}
    moved = np.flatnonzero(plan.starts != week.starts)
    added = int((week.starts[moved] == NOT_THIS_WEEK).sum())
    dropped = int((plan.starts[moved] == NOT_THIS_WEEK).sum())
    detail = {
        **_detail(revision, solve_digest(revision.revision)),
        "cost_before": schedule.plan["cost"], "cost_after": cost,
        "moved": len(moved) - added - dropped, "added": added, "dropped": dropped,
    }  # fmt: skip
    return ScheduleUpdate(
        request=schedule.request,
        plan={**schedule.plan, **changed},
        orders=orders_of(schedule, week.problem, week.names, plan.starts),
        change=_entry(revision, "solve", schedule.revision + 1, detail),
    )


def solve_digest(revision: int) -> str:
    """Of a request to solve a revision again."""
    return sha256(f"solve\0{revision}".encode()).hexdigest()


def pinned_services(schedule: StoredSchedule) -> dict[tuple[str, str], bool]:
    """Machines and components that people locked: whether at a start, else out of the week."""
    locks: Any = schedule.request.get("locks", [])
    return {
        (lock["machine_id"], lock.get("component", "machine")): lock.get("start") is not None
        for lock in locks
    }


def _costs(week: PlannedWeek, plan: Plan) -> tuple[float, float]:
    """Of a plan, and of no services, by the constraints of the whole week."""
    return cost_of(week.problem, plan.starts), cost_of(week.problem, no_services(week.problem))


def _with_change(
    week: PlannedWeek, change: Change, revision: Revision, digest: str
) -> ScheduleUpdate:
    schedule, plan = week.schedule, week.schedule.plan
    after = schedule.revision + 1
    numbers: Any = {name: plan[name] for name in ("cost", "saved", "bound")}
    cost, saved = numbers["cost"] + change.added_cost, numbers["saved"] - change.added_cost
    shown = shown_json(week.problem, week.names, change.starts, revision.at, after)
    costs = {
        "cost": cost,
        "saved": saved,
        # against the bound of the plan before people changed it
        "gap": max(0.0, cost - numbers["bound"]) / max(abs(saved), _LEAST_SAVED),
    }
    locks = [lock.model_dump(mode="json") for lock in change.locks]
    detail = {
        **_detail(revision, digest),
        "cost_before": change.before.total,
        "cost_after": change.after.total,
    }
    component = change.name.component
    entry = _entry(
        revision, change.action, after, detail,
        machine_id=change.name.machine_id, component=component,
        before=week.time_of(change.start_before), after=week.time_of(change.start_after),
    )  # fmt: skip
    return ScheduleUpdate(
        request={**schedule.request, "locks": locks},
        plan={**plan, **costs, **shown},
        orders=orders_of(schedule, week.problem, week.names, change.starts),
        change=entry,
    )


def _detail(revision: Revision, digest: str) -> dict[str, Json]:
    detail: dict[str, Json] = {"digest": digest}
    return detail if revision.reason is None else {**detail, "reason": revision.reason}


def _entry(
    revision: Revision, action: str, after_revision: int, detail: Mapping[str, Json], **others: Any
) -> ScheduleChange:
    return ScheduleChange(
        schedule_id=revision.schedule_id, id=revision.change_id, action=action,
        by=revision.by, key_id=revision.key_id, at=revision.at, revision=after_revision,
        detail=detail, **others,
    )  # fmt: skip
