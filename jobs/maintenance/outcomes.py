"""What became of work orders, to train on: `python -m jobs.maintenance.outcomes --help`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.framework.command import run_job
from jobs.framework.options import parse_time
from jobs.framework.paths import OutputPath
from jobs.framework.progress import JobOptions
from lib.contract import Checked, Contract
from lib.maintenance.contracts import FAILURES, MAINTENANCE
from lib.maintenance.repository import WorkOrder, WorkOrderRepository
from lib.storage import open_storage, write_parquet

_FIRST, _LAST = 0, 2**62


@dataclass(frozen=True)
class OutcomesConfig(JobOptions):
    """Write the reported outcomes of work orders as tables of services and of failures.

    OUTPUT/maintenance.parquet and OUTPUT/failures.parquet stand beside the plant's own log in the
    next call of jobs.maintenance.features; a service that both record counts once.
    """

    records: str
    """database of the service: sqlite:///path or postgresql+psycopg://user@host/database"""
    output: OutputPath
    """output folder or URI"""
    since: str | None = None
    """begin of the period in which outcomes were reported, ISO 8601 in UTC; default: no limit"""
    until: str | None = None
    """end of the period in which outcomes were reported, ISO 8601 in UTC, exclusive; default: no
    limit"""


def main(config: OutcomesConfig) -> str:
    """Write both tables; returns the folder or URI."""
    since = _FIRST if config.since is None else parse_time("--since", config.since)
    until = _LAST if config.until is None else parse_time("--until", config.until)
    orders = closed_orders(config.records, since, until)
    done = _done(orders)
    output = open_storage(config.output)
    counts, lines = {}, []
    for contract, checked in (
        (MAINTENANCE, service_rows(orders)),
        (FAILURES, failure_rows(orders)),
    ):
        write_parquet(checked.good, output, f"{contract.name}.parquet")
        if checked.quarantined.num_rows:
            write_parquet(checked.quarantined, output, f"quarantine/{contract.name}.parquet")
            lines += [
                f"    {count:>8,}  rows of {contract.name} set aside in quarantine/: {reason}"
                for reason, count in checked.reasons.items()
            ]
        if checked.repeats:
            lines.append(f"    {checked.repeats:>8,}  rows of {contract.name} were repeats")
        counts[contract.name] = checked.good.num_rows
    summary = ", ".join(f"{count:,} rows of {name}" for name, count in counts.items())
    if idle := len(orders) - len(done):
        lines.append(f"    {idle:>8,}  orders were not done: no service is written of them")
    head = f"{len(orders):,} work orders closed, {summary}"
    print("\n".join([head, *lines, f"written to {output.shown()}"]))
    return output.address()


def closed_orders(records: str, since: int, until: int) -> list[WorkOrder]:
    """Work orders whose outcome was reported in a time, microseconds since 1970 UTC."""
    with WorkOrderRepository(records) as book:
        return book.list_closed(since, until)


def service_rows(orders: Sequence[WorkOrder]) -> Checked:
    """What was done, as rows of `MAINTENANCE`."""
    rows = [_service(order) for order in _done(orders)]
    return MAINTENANCE.check(_table(MAINTENANCE, rows))


def failure_rows(orders: Sequence[WorkOrder]) -> Checked:
    """Machines that failed before their service, as rows of `FAILURES`."""
    failed = [order for order in _done(orders) if _result(order) == "failed_before"]
    return FAILURES.check(_table(FAILURES, [_failure(order) for order in failed]))


def _done(orders: Sequence[WorkOrder]) -> list[WorkOrder]:
    return [order for order in orders if _result(order) != "not_done"]


def _result(order: WorkOrder) -> object:
    return (order.outcome or {}).get("result")


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


if __name__ == "__main__":
    run_job(OutcomesConfig, main)
