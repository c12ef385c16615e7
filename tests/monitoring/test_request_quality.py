"""Counts of refused requests and fields, and of rows in quarantine, by day."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.framework.monitoring import set_aside
from jobs.quarantine_ledger import Stage, write_entry
from lib.contract import Checked, ContractError
from lib.monitoring.request_quality import (
    UNREADABLE,
    count_log_lines,
    count_quarantine,
)
from lib.storage import open_storage

DAY_S = 86_400.0


def line(day: float, status: int = 200, app: str = "fraud", **fields: object) -> str:
    entry = {"time": day * DAY_S, "app": app, "event": "request", "route": "/score"}
    return json.dumps(entry | {"status": status} | fields)


def test_refused_fields_are_counted_by_day():
    lines = [
        line(3.1),
        line(3.9, 422, refused_fields=["amount", "labels.observed_at"]),
        line(5.0, 422, refused_fields=["amount"]),
        line(5.5, 503),
        json.dumps({"time": 5.5 * DAY_S, "app": "fraud", "event": "fault"}),
    ]
    counts = count_log_lines(lines)
    assert counts.series("refused_field", "amount", 3, 5).tolist() == [1, 0, 1]
    assert counts.series("requests", "/score", 3, 5).tolist() == [2, 0, 2]
    assert counts.series("refused", "/score", 3, 5).tolist() == [1, 0, 1]
    assert counts.series("status", "/score 503", 3, 5).tolist() == [0, 0, 1]
    assert counts.names("refused_field") == ["amount", "labels.observed_at"]
    assert counts.days() == (3, 5)


def test_files_of_replicas_sum_up_in_any_order():
    first, second = (count_log_lines([line(1.0), line(day, 422)]) for day in (1.5, 2.5))
    assert first.merge(second) == second.merge(first)
    assert first.merge(second).series("requests", "/score", 1, 2).tolist() == [3, 1]


def test_lines_of_other_applications_are_left_out():
    lines = [line(1.0), line(1.0, app="churn")]
    assert count_log_lines(lines, "churn").series("requests", "/score", 1, 1).tolist() == [1]


def test_half_a_line_is_counted_and_stops_nothing():
    counts = count_log_lines([line(1.0), line(1.0)[:20], "", '{"no": "time"}', line(2.0)])
    assert counts.series(UNREADABLE, "", 1, 1).tolist() == [2]
    assert counts.series("requests", "/score", 1, 2).tolist() == [1, 1]


def test_quarantine_is_counted_on_the_day_of_the_reading():
    moment = datetime(1970, 1, 3, 23, tzinfo=UTC)
    counts = count_quarantine("labels", 100, {"is_fraud: missing": 3, "id: twice": 1}, moment)
    assert counts.series("quarantined", "labels", 2, 2).tolist() == [4]
    assert counts.rows()[0] == {
        "kind": "quarantine_reason",
        "name": "labels: id: twice",
        "date": "1970-01-03",
        "count": 1,
    }


def test_rows_that_a_job_set_aside_are_read_from_its_quarantine(tmp_path: Path) -> None:
    good = pa.table({"id": ["a", "b", "c"]})
    bad = pa.table({"id": ["d"], "quarantine_reason": ["amount: missing"]})
    checked = Checked(good, bad, {"amount: missing": 1}, repeats=0, rows_in=4)
    write_entry(checked, "part-0", open_storage(tmp_path / "labels"), Stage.READ)
    counts = set_aside(str(tmp_path))
    first, last = counts.days() or (0, 0)
    assert counts.series("rows", "labels", first, last).tolist() == [4]
    assert counts.series("quarantined", "labels", first, last).tolist() == [1]
    assert counts.names("quarantine_reason") == ["labels: amount: missing"]
    with pytest.raises(ContractError, match=r"--quarantine: .* expected the folder"):
        set_aside(str(tmp_path / "labels"))
