"""Jobs read a window of decisions and labels: in the process or on Ray, the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.framework.decision_source import (
    DecisionOptions,
    DecisionSource,
    DecisionSourceError,
    window_time,
)
from jobs.framework.options import read_options
from lib.contract import ContractError
from lib.records import Records
from lib.records.decision_reading import TimeRange
from lib.records.decision_table import decision_table, label_table
from tests.records.conftest import NOVEMBER, decision, fact, keep_decisions

DAY = 86_400_000_000
START = NOVEMBER // DAY * DAY
# Ray Data warns of its own settings
pytestmark = pytest.mark.filterwarnings("default")
OPTIONS = DecisionOptions(since="2026-11-23", until="2026-11-26")


def many(count: int = 60) -> list:
    times = [START + number * (3 * DAY // count) for number in range(count)]
    return [
        decision(f"t{number}", event_time=at, received_at=at + 1, features={"amount": number})
        for number, at in enumerate(times)
    ]


@pytest.fixture
def records(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/records.db"
    with closing(Records(url)) as opened:
        opened.migrate()
        keep_decisions(opened, many())
        opened.record_labels([fact("t1"), fact("t2", value=False)])
    return url


def summed(tables: Iterator[pa.Table]) -> pa.Table:
    rows = total = 0
    for table in tables:
        rows += table.num_rows
        total += pc.sum(table["feature_amount"]).as_py() or 0
    return pa.table({"rows": [rows], "total": [total]})


@pytest.mark.parametrize("kept", ["records", "parquet"])
@pytest.mark.usefixtures("ray_on_two_cores")
def test_ray_and_this_process_read_the_same(records: str, tmp_path: Path, kept: str) -> None:
    options = replace(OPTIONS, records=records)
    if kept == "parquet":
        table = decision_table(many(), "user_id")
        pq.write_table(table, tmp_path / "decisions.parquet", row_group_size=10)
        options = replace(OPTIONS, decisions=str(tmp_path / "decisions.parquet"))
    options.check()
    local, spread = (DecisionSource(options, "fraud") for _ in range(2))
    assert sorted(local.table()["subject_id"].to_pylist()) == sorted(d.subject_id for d in many())
    parts = pa.concat_tables(list(spread.on_ray(summed)))
    assert pc.sum(parts["rows"]).as_py() == 60
    assert pc.sum(parts["total"]).as_py() == sum(range(60))
    assert local.counts == spread.counts
    assert local.lines()[1] == "decisions read              60"


def test_labels_come_from_the_records_or_from_a_file(records: str, tmp_path: Path) -> None:
    source = DecisionSource(replace(OPTIONS, records=records), "fraud")
    assert source.labels()["subject_id"].to_pylist() == ["t1", "t2"]
    pq.write_table(label_table([fact("t9")]), tmp_path / "labels.parquet")
    options = replace(OPTIONS, records=records, labels=str(tmp_path / "labels.parquet"))
    options.check()
    assert DecisionSource(options, "fraud").labels()["subject_id"].to_pylist() == ["t9"]
    export = replace(OPTIONS, decisions="decisions.parquet")
    assert DecisionSource(export, "fraud").labels().num_rows == 0


def test_an_empty_window_says_where_decisions_are(records: str) -> None:
    source = DecisionSource(
        DecisionOptions(records=records, since="2020-01-01", until="2020-02-01"), "fraud"
    )
    with pytest.raises(DecisionSourceError) as refused:
        list(source.tables())
    assert str(refused.value).startswith("no decisions of fraud from 2020-01-01T00:00:00+00:00 to ")
    assert "those in the records are from 2026-11-23T00:00:00" in str(refused.value)
    with pytest.raises(DecisionSourceError, match="there are none at all in the records"):
        list(DecisionSource(replace(OPTIONS, records=records), "churn").tables())


def test_clocks_that_disagree_are_refused_and_few_such_rows_left_out(tmp_path: Path) -> None:
    rows = [replace(row, received_at=row.event_time - 2 * DAY) for row in many(100)[:8]]
    for broken, number in ((rows[:3], 97), (rows, 92)):
        table = decision_table([*many(100)[-number:], *broken], "user_id")
        pq.write_table(table, tmp_path / "decisions.parquet")
        options = replace(OPTIONS, decisions=str(tmp_path / "decisions.parquet"))
        source = DecisionSource(options, "fraud")
        if len(broken) == 3:
            assert source.table().num_rows == 97
            assert source.counts.left_out.total() == 3
        else:
            with pytest.raises(DecisionSourceError, match="clocks disagree: 8 of 100 decisions"):
                source.table()


def test_the_window_is_of_days_or_of_times_with_an_offset() -> None:
    assert OPTIONS.window(0) == TimeRange(START, START + 3 * DAY)
    assert window_time("--to", "2026-11-23T02:00:00+02:00") == START
    assert window_time("--to", "2026-11-23T00:00Z") == START
    usual = DecisionOptions().window(START + 5)
    assert usual == TimeRange(START - 28 * DAY, START)
    options = read_options(DecisionOptions, ["--from", "2026-11-23", "--to", "2026-11-24"])
    assert options.window(0) == TimeRange(START, START + DAY)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-23T00:00:00", "20261123", ""])
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(ContractError, match=r"--from: expected a date such as .*, got "):
        window_time("--from", text)


def test_options_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="expected --records or --decisions"):
        OPTIONS.check()
    backwards = replace(OPTIONS, decisions="d", since="2026-11-27")
    with pytest.raises(ContractError, match="expected a window that ends after it begins"):
        backwards.check()
    absent = replace(OPTIONS, records=f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(ValueError, match="expected a database that a service wrote"):
        absent.check()
