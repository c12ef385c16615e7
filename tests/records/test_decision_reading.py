"""A window of decisions is read in pieces from the records and from Parquet, each row once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.records import Records
from lib.records.archiving import archive_day
from lib.records.database import absolute_address
from lib.records.decision_export import ExportError, open_export
from lib.records.decision_reading import (
    AHEAD,
    DecisionReader,
    ExportedDecisions,
    Piece,
    ReadCounts,
    RecordedDecisions,
    TimeRange,
    screen,
)
from lib.records.decision_table import DECISION_SCHEMA, LABEL_SCHEMA, decision_table
from tests.records.conftest import NOVEMBER, decision, keep_decisions, migrated

DAY = 86_400_000_000
START = NOVEMBER // DAY * DAY
WINDOW = TimeRange(START, START + 3 * DAY)


def many(count: int = 40, **changes: object) -> list:
    step = 3 * DAY // count
    return [
        decision(
            f"t{number}",
            event_time=START + number * step,
            received_at=START + number * step + 1,
            **changes,
        )
        for number in range(count)
    ]


def subjects(reader: DecisionReader, pieces: list[Piece]) -> list[str]:
    return sorted(
        name
        for piece in pieces
        for table in reader.read(piece)
        for name in table["subject_id"].to_pylist()
    )


@pytest.fixture
def filled(url: str) -> Iterator[str]:
    with migrated(Records(url)) as records:
        keep_decisions(records, many())
        yield url


@pytest.mark.parametrize("parallel", [1, 7, 50])
def test_pieces_of_the_records_hold_each_decision_once(filled: str, parallel: int) -> None:
    reader = RecordedDecisions(filled, "fraud")
    pieces = reader.pieces(WINDOW, parallel)
    assert len(pieces) >= parallel
    assert subjects(reader, pieces) == sorted(row.subject_id for row in many())


def test_archived_days_are_read_too(filled: str, tmp_path: Path) -> None:
    with Records(filled) as records:
        day = date.fromordinal(date(1970, 1, 1).toordinal() + START // DAY)
        moved = archive_day(records._database, str(tmp_path / "archive"), day, START + 9 * DAY)
        assert moved.deleted > 0
        assert records.event_time_bounds("fraud") == (START, many()[-1].event_time)
    reader = RecordedDecisions(filled, "fraud")
    assert len(subjects(reader, reader.pieces(WINDOW, 3))) == len(many())


def export(folder: Path, table: pa.Table, rows: int = 7) -> str:
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "part.parquet", row_group_size=rows)
    return str(folder)


def test_pieces_of_an_export_hold_each_decision_of_the_window_once(tmp_path: Path) -> None:
    table = decision_table([*many(), decision("late", event_time=WINDOW.until)], "user_id")
    reader = ExportedDecisions(export(tmp_path / "export", table))
    assert subjects(reader, reader.pieces(WINDOW, 1)) == sorted(row.subject_id for row in many())


def test_an_export_may_have_other_widths_and_lack_what_is_optional(tmp_path: Path) -> None:
    table = decision_table(many(3), "user_id")
    columns = {
        "subject_id": table["subject_id"].cast(pa.large_string()),
        **{
            name: table[name].cast(pa.timestamp("ns", "Europe/Berlin"))
            for name in ("event_time", "received_at", "decided_at")
        },
        "decision": table["decision"].dictionary_encode(),
        "method": table["method"],
        "score": table["score"].cast(pa.float32()),
        "feature_amount": pa.array([1, 2, None], pa.int16()),
    }
    reader = ExportedDecisions(export(tmp_path / "export", pa.table(columns)))
    (piece,) = reader.pieces(WINDOW, 1)
    (read,) = reader.read(piece)
    assert read.schema.names == [*DECISION_SCHEMA.names, "feature_amount"]
    assert read["event_time"].to_pylist() == table["event_time"].to_pylist()
    assert read["feature_amount"].to_pylist() == [1.0, 2.0, None]
    assert read["rule_hits"].null_count == 3


def test_wrong_columns_of_an_export_are_all_named(tmp_path: Path) -> None:
    table = decision_table(many(2), "user_id").drop_columns(["decision"])
    table = table.append_column("amuont", pa.array([1.0, 2.0]))
    table = table.set_column(
        table.schema.get_field_index("event_time"), "event_time", pa.array([1, 2])
    )
    folder = export(tmp_path / "export", table)
    with pytest.raises(ExportError) as refused:
        open_export(folder, DECISION_SCHEMA, "--decisions", features=True)
    message = str(refused.value)
    assert "decision: absent;" in message
    assert "amuont: unknown;" in message
    assert "or feature_amuont if it is a feature" in message
    assert "event_time: expected timestamp[us, tz=UTC], got int64" in message


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.parquet").write_text("text")
    for path in (tmp_path / "labels.parquet", tmp_path / "none", tmp_path):
        with pytest.raises(ExportError, match=r"--labels .*: expected Parquet files"):
            open_export(str(path), LABEL_SCHEMA, "--labels", features=False)


def test_rows_that_cannot_be_used_are_counted_by_reason() -> None:
    table = decision_table(many(4), "user_id")
    methods = pa.array(["model", None, "model", "model"])
    table = table.set_column(table.schema.get_field_index("method"), "method", methods)
    ahead = table["event_time"].to_pylist()
    times = [*ahead[:3], ahead[3].replace(year=ahead[3].year + 1)]
    index = table.schema.get_field_index("event_time")
    table = table.set_column(
        index, table.schema.field(index), pa.array(times, pa.timestamp("us", "UTC"))
    )
    counts = ReadCounts()
    assert screen(table, counts)["subject_id"].to_pylist() == ["t0", "t2"]
    assert (counts.rows, counts.used) == (4, 2)
    assert counts.left_out == Counter({"no method": 1, AHEAD: 1})


def test_a_range_is_cut_at_days_of_utc() -> None:
    half = TimeRange(START + DAY // 2, START + 2 * DAY)
    assert half.days == [
        TimeRange(START + DAY // 2, START + DAY),
        TimeRange(START + DAY, START + 2 * DAY),
    ]
    assert str(TimeRange(START, START + DAY)) == (
        "2026-11-23T00:00:00+00:00 to 2026-11-24T00:00:00+00:00"
    )


def test_a_relative_file_is_named_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_address("sqlite:///records.db") == f"sqlite:///{tmp_path}/records.db"
    monkeypatch.setenv("RECORDS", "postgresql+psycopg://u:secret@h/d")
    assert absolute_address("env:RECORDS") == "env:RECORDS"
