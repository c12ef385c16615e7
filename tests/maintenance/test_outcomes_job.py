"""Outcomes of work orders become rows that training reads."""

import pyarrow.parquet as pq
import pytest

from jobs.maintenance.outcomes import OutcomesConfig, main
from lib.contract import ContractError
from lib.maintenance.repository import (
    ClosedOrderError,
    StoredSchedule,
    WorkOrder,
    WorkOrderRepository,
)
from lib.records import RecordsError

NOW = 1_795_428_900_000_000
HOUR = 3_600_000_000


def order(number: int, machine: str) -> WorkOrder:
    return WorkOrder(
        id=f"s-{number}",
        schedule_id="s",
        machine_id=machine,
        component="seal",
        plant="p",
        line="l",
        skill="mechanical",
        starts_at=NOW + number * HOUR,
        ends_at=NOW + (number + 3) * HOUR,
        expected={"cost": 10.0},
        created_at=NOW,
    )


@pytest.fixture
def book(tmp_path):
    work_orders = WorkOrderRepository(f"sqlite:///{tmp_path}/records.sqlite")
    work_orders.migrate()
    schedule = StoredSchedule(
        id="s", week_start=NOW, created_at=NOW, model_version=None, request={}, plan={}
    )
    assert work_orders.insert_schedule(schedule, [order(k, f"m{k}") for k in range(4)])
    assert not work_orders.insert_schedule(schedule, [order(9, "m9")])
    yield work_orders
    work_orders.close()


def test_services_and_failures_are_written_by_our_contracts(book, tmp_path, capsys):
    done = {"result": "done", "event_time": "2026-11-23T14:00:00Z", "cost": 380.0}
    broken = {
        "result": "failed_before",
        "event_time": "2026-11-23T20:00:00Z",
        "failed_at": "2026-11-23T12:30:00Z",
        "failure_mode": "seal",
        "component": "bearing",
    }
    book.close_order("s-0", done, NOW + HOUR)
    book.close_order("s-1", broken, NOW + 2 * HOUR)
    not_done = {"result": "not_done", "event_time": "2026-11-23T20:00:00Z"}
    book.close_order("s-2", not_done, NOW + 3 * HOUR)
    config = OutcomesConfig(
        records=f"sqlite:///{tmp_path}/records.sqlite", output=str(tmp_path / "out")
    )
    main(config)
    services = pq.read_table(tmp_path / "out/maintenance.parquet").to_pylist()
    kept = ("machine_id", "component", "maintenance_type", "failure_mode", "cost")
    assert [[row[name] for name in kept] for row in services] == [
        ["m0", "seal", "scheduled", None, 380.0],
        ["m1", "bearing", "corrective", "seal", None],
    ]
    (failure,) = pq.read_table(tmp_path / "out/failures.parquet").to_pylist()
    assert (failure["machine_id"], failure["failure_mode"]) == ("m1", "seal")
    assert failure["event_time"].isoformat() == "2026-11-23T12:30:00+00:00"
    output = capsys.readouterr().out
    assert "3 work orders closed, 2 rows of maintenance, 1 rows of failures" in output
    assert "1  orders were not done" in output


def test_an_order_is_closed_once(book):
    outcome = {"result": "done", "event_time": "2026-11-23T14:00:00Z"}
    assert book.close_order("s-3", outcome, NOW)[1]
    assert not book.close_order("s-3", outcome, NOW + HOUR)[1]
    with pytest.raises(ClosedOrderError, match="a different outcome"):
        book.close_order("s-3", {**outcome, "cost": 1.0}, NOW)
    assert "s-3" in [order.id for order in book.list_closed(NOW, NOW + 1)]


def test_a_time_that_is_none_and_a_database_without_tables_are_named(tmp_path):
    records = f"sqlite:///{tmp_path}/new.sqlite"
    with pytest.raises(ContractError, match="--since: expected a time in ISO 8601, got 'soon'"):
        main(OutcomesConfig(records=records, output=str(tmp_path), since="soon"))
    with pytest.raises(RecordsError, match="no tables yet"):
        main(OutcomesConfig(records=records, output=str(tmp_path)))
