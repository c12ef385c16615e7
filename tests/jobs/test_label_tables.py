"""Labels of the records beside those of files: each event once, what is new counted by its time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from jobs.framework import label_tables
from jobs.framework.label_tables import LabelCount
from jobs.maintenance.retrain import RetrainConfig
from lib.contract import TIME, ContractError
from lib.maintenance.contracts import FAILURES
from tests.jobs.retraining_records import add_fact
from tests.records.conftest import empty_records

HOUR = 3_600_000_000
NOON = 1_780_000_000_000_000


def reported(*rows: tuple[str, int]) -> pa.Table:
    names, times = zip(*rows, strict=True)
    columns = {
        "machine_id": pa.array(names),
        "event_time": pa.array(times, pa.int64()).cast(TIME),
        "failure_mode": pa.array(["seal"] * len(rows)),
    }
    return pa.table(columns)


@pytest.fixture
def records(tmp_path: Path) -> str:
    url = empty_records(tmp_path)
    for machine, hours, value in (
        ("a", 0, True),
        ("a", 100, True),
        ("a", 100, False),
        ("b", 5, True),
        ("c", 500, True),
    ):
        at, later = NOON + hours * HOUR, 0 if value else HOUR
        add_fact(url, "maintenance", machine, "failure", at, value=value, received_after=later)
    return url


def test_events_are_those_that_stand_at_a_time(records: str) -> None:
    events = label_tables.recorded_events(records, "maintenance", ("failure",), NOON + 200 * HOUR)
    assert events["subject_id"].to_pylist() == ["a", "b"]


def test_an_event_that_a_file_reports_within_a_day_counts_once(records: str) -> None:
    events = label_tables.recorded_events(records, "maintenance", ("failure",), 2**61)
    table = reported(("a", NOON + 23 * HOUR), ("b", NOON + 40 * HOUR), ("d", NOON))
    more = label_tables.without_repeats(events, table, "machine_id", 24 * HOUR)
    assert more["subject_id"].to_pylist() == ["b", "c"]
    assert label_tables.without_repeats(events, table.slice(0, 0), "machine_id", 1) is events


def test_what_is_later_than_the_mark_is_new() -> None:
    times = label_tables.times_of(reported(("a", NOON), ("b", NOON + 1)), "event_time")
    count = LabelCount({"failed": NOON, "closed": 7}, NOON + HOUR)
    count.add("failed", times)
    count.add("closed", [])
    count.add("received", times)
    assert count.new == 3
    assert count.marks == {"failed": NOON + 1, "closed": 7, "received": NOON + 1}


def test_a_time_that_has_not_come_hides_no_label_that_follows() -> None:
    first = LabelCount({}, NOON)
    first.add("failed", [NOON - 1, NOON + 500 * HOUR])
    assert (first.new, first.marks) == (1, {"failed": NOON - 1})
    second = LabelCount(first.marks, NOON + 2 * HOUR)
    second.add("failed", [NOON - 1, NOON + HOUR, NOON + 500 * HOUR])
    assert (second.new, second.marks) == (1, {"failed": NOON + HOUR})


def test_labels_that_were_written_are_kept_unless_others_lie_there(tmp_path: Path) -> None:
    config = RetrainConfig(output=str(tmp_path))
    tables = label_tables.write_tables(config, {FAILURES: [reported(("a", NOON))]})
    count = LabelCount({}, NOON)
    count.add("failed", [NOON])
    written = label_tables.new_labels(count, 1, tables)
    known = {"new": 1, "total": 1, "marks": written.marks, "tables": ["failures"]}
    assert label_tables.kept_labels(config, known, written.digest) == written
    assert label_tables.kept_labels(config, {}, "") is None
    label_tables.write_tables(config, {FAILURES: [reported(("b", NOON))]})
    assert label_tables.kept_labels(config, known, written.digest) is None
    (tmp_path / "labels/failures.parquet").unlink()
    assert label_tables.kept_labels(config, known, written.digest) is None


def test_a_table_that_is_nowhere_stays_away(tmp_path: Path) -> None:
    config = RetrainConfig(output=str(tmp_path))
    assert label_tables.write_tables(config, {FAILURES: [FAILURES.schema.empty_table()]}) == {}
    named = label_tables.write_tables(config, {FAILURES: [reported(("a", NOON))]})
    labels = label_tables.new_labels(LabelCount({}, NOON), 1, named)
    assert label_tables.as_options(labels) == {
        "failures": str(tmp_path / "labels/failures.parquet"),
        "mapping_failures": None,
    }
    assert len(labels.digest) == 64


def test_a_file_that_breaks_its_contract_is_refused(tmp_path: Path) -> None:
    (tmp_path / "failures.csv").write_text("machine,when\na,b\n")
    config = RetrainConfig(output=str(tmp_path), failures=str(tmp_path / "failures.csv"))
    with pytest.raises(ContractError, match="machine_id"):
        label_tables.given_rows(config, FAILURES)
