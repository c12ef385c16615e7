"""One service moved, dropped, locked or unlocked by people: what it costs, and what it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.schedule.costs import NOT_THIS_WEEK, Parts, parts_of, start_costs
from lib.maintenance.schedule.placement import tracker_of
from lib.maintenance.schedule.planned_week import PlannedWeek, UnchangeableError
from lib.maintenance.schedule.problem import Ints, ScheduleError
from lib.maintenance.schedule.request import PinnedJob
from lib.maintenance.schedule.week_problem import Named

ChangeAction = Literal["move", "drop", "lock", "unlock"]
CHANGE_ACTIONS: tuple[str, ...] = get_args(ChangeAction)


class BrokenWeekError(ScheduleError):
    """The change breaks constraints of the week.

    Attributes:
        broken: which, in words.
    """

    def __init__(self, broken: tuple[str, ...]) -> None:
        self.broken = broken
        super().__init__(f"the change breaks constraints of the week: {'; '.join(broken)}")


@dataclass(frozen=True)
class Change:
    """What a change of one service comes to.

    Attributes:
        action: what is done.
        name: whose service it is.
        start_before, start_after: slots, or `NOT_THIS_WEEK`.
        before, after: expected cost of the service's old and new start.
        broken: constraints that it would break, in words; empty where it keeps all.
        starts: (n,) of the changed plan.
        locks: of the changed week.
    """

    action: ChangeAction
    name: Named
    start_before: int
    start_after: int
    before: Parts
    after: Parts
    broken: tuple[str, ...]
    starts: Ints
    locks: tuple[PinnedJob, ...]

    @property
    def added_cost(self) -> float:
        """How much more the week is expected to cost; below 0 it costs less."""
        return self.after.total - self.before.total


def change_service(
    week: PlannedWeek, action: ChangeAction, name: Named, start_at: int | None, now: int
) -> Change:
    """Move a service to a start, drop it, or lock or unlock it; the others stay.

    What is moved or dropped is locked there, so that solving again leaves it. A move also brings in
    a service that was not planned this week.

    Args:
        week: the schedule.
        action: what to do.
        name: machine and component.
        start_at: new start of `move`, microseconds since 1970 UTC; else None.
        now: microseconds since 1970 UTC.

    Raises:
        ScheduleError: the service is not in the schedule, or the start is not a whole hour at which
            it ends within the week.
        UnchangeableError: its work order is closed, or it has begun.
    """
    index = week.number_of(name)
    old = int(week.starts[index])
    _require_open(week, index, now)
    new = _new_start(week, index, action, start_at)
    starts = week.starts.copy()
    starts[index] = new
    job, hours = week.problem.jobs[index], week.problem.week
    return Change(
        action, name, old, new,
        parts_of(job, hours, old), parts_of(job, hours, new),
        tuple(_broken(week, index, new, now)), starts,
        _locks(week, action, name, new),
    )  # fmt: skip


def _require_open(week: PlannedWeek, index: int, now: int) -> None:
    name = week.names[index]
    if index in week.closed:
        raise UnchangeableError(
            f"the work order of machine '{name.machine_id}' is closed; it stays as it is"
        )
    if NOT_THIS_WEEK < week.starts[index] < week.slot_at(now):
        raise UnchangeableError(
            f"the service of machine '{name.machine_id}' has begun; close its work order instead"
        )


def _new_start(week: PlannedWeek, index: int, action: ChangeAction, start_at: int | None) -> int:
    if (start_at is None) == (action == "move"):
        text = "a start" if action == "move" else f"no start for '{action}'"
        raise ScheduleError(f"start: expected {text}")
    job, old = week.problem.jobs[index], int(week.starts[index])
    if action == "drop":
        return NOT_THIS_WEEK
    if start_at is None:
        if action == "lock" and old == NOT_THIS_WEEK:
            raise ScheduleError("action: expected `move` or `drop` for a service not in the plan")
        return old
    slot, rest = divmod(start_at - week.schedule.week_start, HOUR_US)
    last = job.slots - job.duration_hours
    if rest or not 0 <= slot <= last:
        raise ScheduleError(
            f"start: expected a whole hour from {_text(week, 0)} to {_text(week, last)}, got "
            f"{datetime.fromtimestamp(start_at / 1e6, UTC).isoformat()}"
        )
    return slot


def _broken(week: PlannedWeek, index: int, start: int, now: int) -> list[str]:
    job = week.problem.jobs[index]
    if start == week.starts[index]:
        return []
    if start == NOT_THIS_WEEK:
        return ["it must be served this week"] if job.must_serve else []
    reasons = [
        f"not enough: {resource}"
        for resource in tracker_of(week.problem, week.starts, without=index).lacking(job, start)
    ]
    if job.forbidden.intersection(range(start, start + job.duration_hours)):
        reasons.append("the machine may not stand in these hours")
    if start < week.slot_at(now):
        reasons.append("the hour has passed")
    return reasons


def _locks(
    week: PlannedWeek, action: ChangeAction, name: Named, start: int
) -> tuple[PinnedJob, ...]:
    others = [
        lock for lock in week.request.locks if (lock.machine_id, lock.component) != tuple(name)
    ]
    if action == "unlock":
        return tuple(others)
    begin = None if start == NOT_THIS_WEEK else _time(week, start)
    return (
        *others,
        PinnedJob(machine_id=name.machine_id, component=name.component, start=begin),
    )


def _time(week: PlannedWeek, slot: int) -> datetime:
    start = datetime.fromtimestamp(week.schedule.week_start / 1e6, UTC)
    return start + timedelta(hours=slot)


def _text(week: PlannedWeek, slot: int) -> str:
    return _time(week, slot).isoformat()


def lowest_cost_start(week: PlannedWeek, name: Named, now: int) -> int | None:
    """The start (microseconds UTC) at which a service that fits costs least; None without any.

    Args:
        week: the schedule.
        name: machine and component.
        now: from when on.
    """
    index = week.number_of(name)
    job, hours = week.problem.jobs[index], week.problem.week
    tracker = tracker_of(week.problem, week.starts, without=index)
    first = max(0, week.slot_at(now))
    costs = start_costs(job, hours)
    fitting = [
        start
        for start in range(first, job.slots - job.duration_hours + 1)
        if not job.forbidden.intersection(range(start, start + job.duration_hours))
        and tracker.fits(job, start)
    ]
    return week.time_of(min(fitting, key=costs.__getitem__)) if fitting else None
