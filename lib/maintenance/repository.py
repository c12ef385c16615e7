"""Schedules and their work orders: stored, found, changed, and closed with an outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from secrets import token_hex

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from lib.maintenance.schedule.request import WHOLE_MACHINE
from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields
from lib.records.repository import Repository, find_locked_row, find_row, list_locked_rows
from lib.records.schema import SCHEDULE_CHANGES, SCHEDULES, WORK_ORDERS

CLOSING = "close"
"""The action of a change that closes a work order."""
_MOVED = ("starts_at", "ends_at", "expected")


class UnknownOrderError(RecordsError):
    """There is no such schedule or work order."""


class ClosedOrderError(RecordsError):
    """The work order was closed before, with another outcome."""


class StaleScheduleError(RecordsError):
    """The schedule was changed since it was read."""


class RepeatedChangeError(RecordsError):
    """The id of the change names another change of the schedule."""


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

    @property
    def revision(self) -> int:
        """How often it was changed since it was planned."""
        revision = self.plan.get("revision", 0)
        return revision if isinstance(revision, int) else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleEntry:
    """A schedule in a list. Times are microseconds since 1970 UTC; see `StoredSchedule`."""

    id: str
    week_start: int
    created_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleChange:
    """What a person changed in a schedule. Times are microseconds since 1970 UTC.

    Attributes:
        schedule_id, id: of the schedule, and of the change within it.
        action: `move`, `drop`, `lock`, `unlock`, `solve`, `accept` or `close`.
        by: name of the person.
        key_id: of the API key.
        at: when.
        revision: of the schedule from then on.
        machine_id, component: whose service (`machine` for all of it); None for the whole week.
        before, after: start of the service; None where it was or is not served in the week.
        detail: costs, locks, the reason, and a digest of the request.
    """

    schedule_id: str
    id: str
    action: str
    by: str
    key_id: str
    at: int
    revision: int
    machine_id: str | None = None
    component: str | None = None
    before: int | None = None
    after: int | None = None
    detail: Mapping[str, Json]

    def __post_init__(self) -> None:
        require_fields(self, ("schedule_id", "id", "action", "by"), ("at",))


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


@dataclass(frozen=True, slots=True)
class OrderCloser:
    """Who closes a work order: name of the person, and public id of the API key."""

    by: str
    key_id: str


@dataclass(frozen=True, kw_only=True)
class ScheduleUpdate:
    """What a change makes of a schedule.

    Attributes:
        request, plan: in the place of the schedule's.
        orders: open and new ones; what is closed stays as it is, and other open ones are removed.
        change: for the audit.
    """

    request: Mapping[str, Json]
    plan: Mapping[str, Json]
    orders: Sequence[WorkOrder]
    change: ScheduleChange


class WorkOrderRepository(Repository):
    """Schedules and their work orders."""

    def insert_schedule(
        self,
        schedule: StoredSchedule,
        orders: Sequence[WorkOrder],
        basis: Mapping[str, Json] | None = None,
    ) -> bool:
        """Store a schedule with its orders, all or none; False where its id is stored already.

        Args:
            schedule: the week.
            orders: of its services.
            basis: see `lib.maintenance.schedule.basis`; None for a week that cannot be changed.
        """
        is_schedule = SCHEDULES.c.id == schedule.id
        with self._database.writing() as connection:
            new = self._insert_with_parts(connection, SCHEDULES, schedule, WORK_ORDERS, orders)
            if new and basis is not None:
                connection.execute(update(SCHEDULES).where(is_schedule).values(basis=basis))
            return new

    def list_schedules(self, limit: int = 20) -> list[ScheduleEntry]:
        """The schedules that were planned last."""
        return self._newest(ScheduleEntry, SCHEDULES, "created_at", limit)

    def find_basis(self, schedule_id: str) -> Mapping[str, Json] | None:
        """What a schedule was computed from; None where that was not stored."""
        query = select(SCHEDULES.c.basis).where(SCHEDULES.c.id == schedule_id)
        with self._database.reading() as connection:
            basis: Mapping[str, Json] | None = connection.execute(query).scalar_one_or_none()
        return basis

    def find_change(self, schedule_id: str, change_id: str) -> ScheduleChange | None:
        """A change by its id; None where there is none."""
        with self._database.reading() as connection:
            return _change(connection, schedule_id, change_id)

    def list_changes(
        self, schedule_id: str, limit: int = 50, with_closings: bool = True
    ) -> list[ScheduleChange]:
        """What people changed in a schedule, the newest first; also where they closed orders."""
        table = SCHEDULE_CHANGES.c
        conditions = [table.schedule_id == schedule_id]
        if not with_closings:
            conditions.append(table.action != CLOSING)
        return self.list_all_changes(*conditions, limit=limit)

    def list_all_changes(
        self, *conditions: ColumnElement[bool], limit: int
    ) -> list[ScheduleChange]:
        """Changes of all schedules of which conditions on `SCHEDULE_CHANGES` hold, newest first."""
        table = SCHEDULE_CHANGES.c
        order = [table.at.desc(), table.revision.desc(), table.id]
        return self._list(ScheduleChange, SCHEDULE_CHANGES, *conditions, order=order, limit=limit)

    def change_schedule(
        self, schedule_id: str, revision: int, changed: ScheduleUpdate
    ) -> tuple[ScheduleChange, bool]:
        """Change a schedule, all or nothing; returns the change, and whether it is new.

        The same change again, by its id, changes nothing. Of several changes at once of one
        revision one is stored.

        Raises:
            UnknownOrderError: there is no such schedule.
            StaleScheduleError: the schedule is no longer of this revision.
            ClosedOrderError: the order of a service that it changes was closed meanwhile.
            RepeatedChangeError: the id names another change.
        """
        table = SCHEDULES.c
        with self._database.writing() as connection:
            schedule = find_locked_row(
                connection, StoredSchedule, SCHEDULES, table.id == schedule_id
            )
            if schedule is None:
                raise UnknownOrderError(f"there is no schedule {schedule_id!r}")
            stored = _change(connection, schedule_id, changed.change.id)
            if stored is not None:
                return require_same_change(stored, changed.change.detail.get("digest")), False
            require_revision(schedule, revision)
            self._set_orders(connection, schedule_id, changed)
            values = {"request": changed.request, "plan": changed.plan}
            connection.execute(update(SCHEDULES).where(table.id == schedule_id).values(values))
            connection.execute(insert(SCHEDULE_CHANGES), [asdict(changed.change)])
        return changed.change, True

    def _set_orders(
        self, connection: Connection, schedule_id: str, changed: ScheduleUpdate
    ) -> None:
        """Let the open orders of a schedule be those of a change."""
        table = WORK_ORDERS.c
        # locked: none of them is closed before this transaction ends
        stored = list_locked_rows(
            connection, WorkOrder, WORK_ORDERS, table.schedule_id == schedule_id, order=[table.id]
        )
        before = {order.id: order for order in stored}
        after = {order.id: order for order in changed.orders}
        for order in stored:
            later = after.get(order.id)
            if order.closed_at is not None:
                if later is None or later.starts_at != order.starts_at:
                    raise ClosedOrderError(
                        f"the work order of machine {order.machine_id!r} was closed meanwhile"
                    )
            elif later is None:
                connection.execute(delete(WORK_ORDERS).where(table.id == order.id))
            elif (later.starts_at, later.ends_at) != (order.starts_at, order.ends_at):
                values = {name: getattr(later, name) for name in _MOVED}
                connection.execute(update(WORK_ORDERS).where(table.id == order.id).values(values))
        self._insert(
            connection, WORK_ORDERS, [each for name, each in after.items() if name not in before]
        )

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
        self,
        order_id: str,
        outcome: Mapping[str, Json],
        at: int,
        closer: OrderCloser | None = None,
    ) -> tuple[WorkOrder, bool]:
        """Close an order with an outcome; returns it and whether it was open until now.

        The same outcome again changes nothing. Of several outcomes at once one closes the order,
        and the others find it closed.

        Args:
            order_id: of the order.
            outcome: of the service.
            at: when it is reported, microseconds since 1970 UTC.
            closer: for the audit; None, of a load of old orders, leaves no step there.

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
                if closer is not None:
                    step = _closing(connection, closed, closer, at)
                    connection.execute(insert(SCHEDULE_CHANGES), [asdict(step)])
                return closed, True
        if dict(order.outcome or {}) != dict(outcome):
            raise ClosedOrderError(
                f"work order {order_id!r} was closed with a different outcome; correct a "
                "mistake in it by a new order"
            )
        return order, False


def require_revision(schedule: StoredSchedule, revision: int) -> None:
    """Refuse a change of a schedule that was changed since.

    Raises:
        StaleScheduleError: it is of another revision.
    """
    if schedule.revision != revision:
        raise StaleScheduleError(
            f"schedule {schedule.id!r} is at revision {schedule.revision}, not {revision}: it was "
            "changed meanwhile"
        )


def require_same_change(stored: ScheduleChange, digest: Json) -> ScheduleChange:
    """A stored change, where it is the one that is sent again.

    Raises:
        RepeatedChangeError: it is another one.
    """
    if stored.detail.get("digest") != digest:
        raise RepeatedChangeError(
            f"change_id: {stored.id!r} names another change of schedule {stored.schedule_id!r}"
        )
    return stored


def _closing(
    connection: Connection, order: WorkOrder, closer: OrderCloser, at: int
) -> ScheduleChange:
    """The step of the audit by which an order was closed; it leaves the plan as it is."""
    is_schedule = SCHEDULES.c.id == order.schedule_id
    schedule = find_row(connection, StoredSchedule, SCHEDULES, is_schedule)
    return ScheduleChange(
        schedule_id=order.schedule_id,
        id=f"close-{token_hex(8)}",
        action=CLOSING,
        by=closer.by,
        key_id=closer.key_id,
        at=at,
        revision=0 if schedule is None else schedule.revision,
        machine_id=order.machine_id,
        component=order.component or WHOLE_MACHINE,
        before=order.starts_at,
        after=order.starts_at,
        detail={"order_id": order.id, "result": (order.outcome or {}).get("result")},
    )


def _change(connection: Connection, schedule_id: str, change_id: str) -> ScheduleChange | None:
    table = SCHEDULE_CHANGES.c
    is_change = (table.schedule_id == schedule_id, table.id == change_id)
    return find_row(connection, ScheduleChange, SCHEDULE_CHANGES, *is_change)
