"""Schedules and work orders, as the records keep them."""

from lib.maintenance.repository import StoredSchedule, WorkOrder
from tests.records.conftest import NOVEMBER


def schedule(name: str, **changes: object) -> StoredSchedule:
    fields: dict[str, object] = {
        "id": name,
        "week_start": NOVEMBER,
        "created_at": NOVEMBER,
        "model_version": None,
        "request": {},
        "plan": {},
    }
    return StoredSchedule(**(fields | changes))


def work_order(name: str, schedule_id: str, **changes: object) -> WorkOrder:
    fields: dict[str, object] = {
        "id": name,
        "schedule_id": schedule_id,
        "machine_id": "m",
        "component": None,
        "plant": "",
        "line": "",
        "skill": "s",
        "starts_at": NOVEMBER,
        "ends_at": NOVEMBER,
        "expected": {},
        "created_at": NOVEMBER,
    }
    return WorkOrder(**(fields | changes))
