"""Schedules and their work orders: planned, looked up, and closed with what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select, update

from lib.records.database import Database
from lib.records.errors import RecordsError
from lib.records.migration import migrate
from lib.records.models import Json, require_text, require_time
from lib.records.schema import SCHEDULES, WORK_ORDERS


class UnknownOrderError(RecordsError):
    """There is no such schedule or work order."""


class ClosedOrderError(RecordsError):
    """The work order was closed before, with another outcome."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSchedule:
    """A planned week. Times are microseconds since 1970 UTC.

    Attributes:
        id: names it.
        week_start: of its first hour.
        created_at: when it was planned.
        model_version: whose curves it was planned by, if one model's.
        request: as it was asked for.
        plan: what was answered.
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
        id: names it.
        schedule_id: of the schedule that planned it.
        machine_id: what is served.
        component: which part of it, None for the whole.
        plant, line, skill: as in the schedule.
        starts_at, ends_at: when.
        expected: costs and chances as they were planned.
        created_at: when it was planned.
        closed_at: when its outcome was told, None while it is open.
        outcome: what was told.
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
        for name in ("id", "schedule_id", "machine_id", "skill"):
            require_text(name, getattr(self, name))
        for name in ("starts_at", "ends_at", "created_at"):
            require_time(name, getattr(self, name))


class WorkOrders:
    """Schedules and work orders in SQLite or PostgreSQL; safe for threads and processes.

    Every method raises RecordsUnavailableError where the database cannot be reached.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`; the database that `Records` uses.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def migrate(self) -> None:
        """See `Records.migrate`."""
        migrate(self._database)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()

    def keep(self, schedule: StoredSchedule, orders: Sequence[WorkOrder]) -> bool:
        """Store a schedule with its orders, whole or not; False where its id is known already."""
        with self._database.writing() as connection:
            fresh = self._database.insert_new(connection, SCHEDULES, [asdict(schedule)])
            if fresh:
                self._database.insert_new(
                    connection, WORK_ORDERS, [asdict(order) for order in orders]
                )
        return bool(fresh)

    def schedule(self, schedule_id: str) -> tuple[StoredSchedule, list[WorkOrder]]:
        """A schedule and its orders by start.

        Raises:
            UnknownOrderError: there is none of that id.
        """
        schedule_query = select(SCHEDULES).where(SCHEDULES.c.id == schedule_id)
        orders_query = (
            select(WORK_ORDERS)
            .where(WORK_ORDERS.c.schedule_id == schedule_id)
            .order_by(WORK_ORDERS.c.starts_at, WORK_ORDERS.c.id)
        )
        with self._database.reading() as connection:
            row = connection.execute(schedule_query).mappings().first()
            if row is None:
                raise UnknownOrderError(f"there is no schedule {schedule_id!r}")
            orders = [
                WorkOrder(**mapping) for mapping in connection.execute(orders_query).mappings()
            ]
        return StoredSchedule(**row), orders

    def order(self, order_id: str) -> WorkOrder:
        """A work order.

        Raises:
            UnknownOrderError: there is none of that id.
        """
        with self._database.reading() as connection:
            return self._order(connection, order_id)

    def of_machine(self, machine_id: str, most: int = 20) -> list[WorkOrder]:
        """The newest orders of a machine, open and closed."""
        query = (
            select(WORK_ORDERS)
            .where(WORK_ORDERS.c.machine_id == machine_id)
            .order_by(WORK_ORDERS.c.starts_at.desc(), WORK_ORDERS.c.id)
            .limit(most)
        )
        with self._database.reading() as connection:
            return [WorkOrder(**row) for row in connection.execute(query).mappings()]

    def closed_between(self, since: int, until: int) -> list[WorkOrder]:
        """Orders whose outcome was told in a span of time, in that order."""
        query = (
            select(WORK_ORDERS)
            .where(WORK_ORDERS.c.closed_at >= since, WORK_ORDERS.c.closed_at < until)
            .order_by(WORK_ORDERS.c.closed_at, WORK_ORDERS.c.id)
        )
        with self._database.reading() as connection:
            return [WorkOrder(**row) for row in connection.execute(query).mappings()]

    def settle(self, order_id: str, outcome: Mapping[str, Json], at: int) -> tuple[WorkOrder, bool]:
        """Close an order with what was told, at `at`; and whether it was open until now.

        The same outcome again changes nothing. Of several outcomes at once one closes the order,
        and the others find it closed.

        Raises:
            UnknownOrderError: there is none of that id.
            ClosedOrderError: it was closed with another outcome.
        """
        with self._database.writing() as connection:
            order = self._order(connection, order_id, locked=True)
            if order.closed_at is not None:
                if dict(order.outcome or {}) != dict(outcome):
                    raise ClosedOrderError(
                        f"work order {order_id!r} was closed with another outcome; a mistake in "
                        "it is put right by a new order"
                    )
                return order, False
            connection.execute(
                update(WORK_ORDERS)
                .where(WORK_ORDERS.c.id == order_id)
                .values(closed_at=at, outcome=dict(outcome))
            )
            return self._order(connection, order_id), True

    def _order(self, connection: Any, order_id: str, *, locked: bool = False) -> WorkOrder:
        query = select(WORK_ORDERS).where(WORK_ORDERS.c.id == order_id)
        if locked:
            # PostgreSQL; SQLite locks the database when a writing transaction begins
            query = query.with_for_update()
        row = connection.execute(query).mappings().first()
        if row is None:
            raise UnknownOrderError(f"there is no work order {order_id!r}")
        return WorkOrder(**row)
