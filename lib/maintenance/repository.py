"""Schedules and their work orders: stored, found, and closed with an outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import update

from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields
from lib.records.repository import Repository, find_locked_row
from lib.records.schema import SCHEDULES, WORK_ORDERS


class UnknownOrderError(RecordsError):
    """There is no such schedule or work order."""


class ClosedOrderError(RecordsError):
    """The work order was closed before, with another outcome."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSchedule:
    """A planned week. Times are microseconds since 1970 UTC.

    Attributes:
        id: of the schedule.
        week_start: of its first hour.
        created_at: when it was planned.
        model_version: of the survival curves, if one model's.
        request: the request.
        plan: the response.
    """

    id: str
    week_start: int
    created_at: int
    model_version: str | None
    request: Mapping[str, Json]
    plan: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkOrder:
    """A planned service. Times are microseconds since 1970 UTC.

    Attributes:
        id: of the work order.
        schedule_id: of the schedule that planned it.
        machine_id: the machine to service.
        component: a part of the machine, None for all of it.
        plant, line, skill: as in the schedule.
        starts_at, ends_at: bounds of the service.
        expected: planned costs and probabilities.
        created_at: when it was planned.
        closed_at: when its outcome was received, None while it is open.
        outcome: of the service.
    """

    id: str
    schedule_id: str
    machine_id: str
    component: str | None
    plant: str
    line: str
    skill: str
    starts_at: int
    ends_at: int
    expected: Mapping[str, Json]
    created_at: int
    closed_at: int | None = None
    outcome: Mapping[str, Json] | None = None

    def __post_init__(self) -> None:
        require_fields(
            self,
            ("id", "schedule_id", "machine_id", "skill"),
            ("starts_at", "ends_at", "created_at"),
        )


class WorkOrderRepository(Repository):
    """Schedules and their work orders."""

    def insert_schedule(self, schedule: StoredSchedule, orders: Sequence[WorkOrder]) -> bool:
        """Store a schedule with its orders, all or none; False where its id is stored already."""
        with self._database.writing() as connection:
            return self._insert_with_parts(connection, SCHEDULES, schedule, WORK_ORDERS, orders)

    def find_schedule(self, schedule_id: str) -> tuple[StoredSchedule, list[WorkOrder]]:
        """A schedule and its orders by start.

        Raises:
            UnknownOrderError: there is none of that id.
        """
        table = WORK_ORDERS.c
        order = [table.starts_at, table.id]
        schedule = self._find_with_parts(
            StoredSchedule, schedule_id, SCHEDULES, WorkOrder, table.schedule_id, order
        )
        if schedule is None:
            raise UnknownOrderError(f"there is no schedule {schedule_id!r}")
        return schedule

    def list_of_machine(self, machine_id: str, limit: int = 20) -> list[WorkOrder]:
        """The newest orders of a machine, open and closed."""
        return self._newest(WorkOrder, WORK_ORDERS, "starts_at", limit, machine_id=machine_id)

    def list_closed(self, since: int, until: int) -> list[WorkOrder]:
        """Orders that were closed from `since` until before `until`, in that order."""
        table = WORK_ORDERS.c
        return self._list(
            WorkOrder, WORK_ORDERS, table.closed_at >= since, table.closed_at < until,
            order=[table.closed_at, table.id],
        )  # fmt: skip

    def close_order(
        self, order_id: str, outcome: Mapping[str, Json], at: int
    ) -> tuple[WorkOrder, bool]:
        """Close an order with an outcome at `at`; returns it and whether it was open until now.

        The same outcome again changes nothing. Of several outcomes at once one closes the order,
        and the others find it closed.

        Raises:
            UnknownOrderError: there is none of that id.
            ClosedOrderError: it was closed with another outcome.
        """
        with self._database.writing() as connection:
            is_order = WORK_ORDERS.c.id == order_id
            order = find_locked_row(connection, WorkOrder, WORK_ORDERS, is_order)
            if order is None:
                raise UnknownOrderError(f"there is no work order {order_id!r}")
            if order.closed_at is None:
                closed = replace(order, closed_at=at, outcome=dict(outcome))
                changes = {"closed_at": at, "outcome": closed.outcome}
                connection.execute(update(WORK_ORDERS).where(is_order).values(changes))
                return closed, True
        if dict(order.outcome or {}) != dict(outcome):
            raise ClosedOrderError(
                f"work order {order_id!r} was closed with a different outcome; correct a "
                "mistake in it by a new order"
            )
        return order, False
