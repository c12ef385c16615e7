"""Outcomes of closed work orders as the tables that a plant's own log has: services, failures."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from lib.contract import Contract
from lib.maintenance.contracts import FAILURES, MAINTENANCE
from lib.maintenance.repository import WorkOrder


def service_table(orders: Sequence[WorkOrder]) -> pa.Table:
    """Services that were done, in the columns of `MAINTENANCE`, not checked yet."""
    return _table(MAINTENANCE, [_service(order) for order in done_orders(orders)])


def failure_table(orders: Sequence[WorkOrder]) -> pa.Table:
    """Failures that came before their service, in the columns of `FAILURES`, not checked yet."""
    failed = [order for order in orders if (order.outcome or {}).get("result") == "failed_before"]
    return _table(FAILURES, [_failure(order) for order in failed])


def done_orders(orders: Sequence[WorkOrder]) -> list[WorkOrder]:
    """Those that led to a service or a repair."""
    return [order for order in orders if (order.outcome or {}).get("result") != "not_done"]


def _service(order: WorkOrder) -> dict[str, Any]:
    outcome: Any = order.outcome
    broken = outcome["result"] == "failed_before"
    return {
        "machine_id": order.machine_id,
        "event_time": outcome["event_time"],
        "component": outcome.get("component", order.component),
        "maintenance_type": "corrective" if broken else "scheduled",
        "failure_mode": outcome.get("failure_mode"),
        "downtime_hours": outcome.get("downtime_hours"),
        "cost": outcome.get("cost"),
        "parts_replaced": outcome.get("parts_replaced"),
    }


def _failure(order: WorkOrder) -> dict[str, Any]:
    outcome: Any = order.outcome
    return {
        "machine_id": order.machine_id,
        "event_time": outcome["failed_at"],
        "failure_mode": outcome["failure_mode"],
    }


def _table(contract: Contract, rows: list[dict[str, Any]]) -> pa.Table:
    columns = {}
    for column in contract.columns:
        values = [row[column.name] for row in rows]
        if column.name == "event_time":
            values = [datetime.fromisoformat(value) for value in values]
        columns[column.name] = pa.array(values, column.type)
    return pa.table(columns)
