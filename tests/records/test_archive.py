"""Days in the archive read as days in the table do, and nothing is removed that is not there."""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.records import Decision, Records, RecordsError, RecordsUnavailableError
from lib.records.archive_files import ArchiveFile, read_rows, verify
from lib.records.archiving import archive_day, days_before, delete_archived, open_archive
from lib.records.database import Database
from lib.records.decision_store import files
from lib.records.partitions import DAY, partitions
from tests.records.conftest import NOVEMBER, SECOND, count_decisions, decision, keep_decisions


def numbered_decision(number: int, day: int, **changes: object) -> Decision:
    at = NOVEMBER + day * DAY + number * SECOND
    features = {"amount": float(number), "hour_of_day": float("nan"), "é": float("inf")}
    return decision(
        f"t{day}-{number:03d}",
        event_time=at,
        received_at=at,
        decided_at=at,
        features=features,
        **changes,
    )


@pytest.fixture
def database(url: str, records: Records):
    opened = Database(url)
    yield opened
    opened.close()


def archived_files(database: Database) -> list[ArchiveFile]:
    with database.reading() as connection:
        return files(connection)


def test_archived_days_read_like_the_table(
    records: Records, database: Database, tmp_path: Path
) -> None:
    batch = [numbered_decision(number, day) for day in range(3) for number in range(40)]
    other = [numbered_decision(number, 0, system="churn", rule_id="r") for number in range(3)]
    keep_decisions(records, batch + other)
    before = list(map(repr, records.decisions("fraud", 0, 2**62)))
    days = days_before(database, NOVEMBER + 2 * DAY)
    for day in days:
        archive_day(database, open_archive(str(tmp_path / "archive")), day, NOVEMBER)
    assert [str(day) for day in days] == ["2026-11-23", "2026-11-24"]
    assert sorted(file.rows for file in archived_files(database)) == [3, 40, 40]
    assert list(map(repr, records.decisions("fraud", 0, 2**62))) == before
    decision = records.decision("fraud", "t0-007")
    assert repr(decision) == repr(batch[7])
    several = records.list_decisions("fraud", ["t2-001", "none", "t0-007", "t1-039"])
    assert repr(several) == repr([batch[7], batch[79], batch[81]])
    assert count_decisions(records, "fraud") == 120
    if not database.is_sqlite:
        with database.reading() as connection:
            names = [partition.name for partition in partitions(connection)]
        assert names == ["decisions_p20261125", "decisions_p20261126"]
    assert keep_decisions(records, [batch[7], numbered_decision(99, 0)]).stored == 1


def test_a_day_that_is_archived_while_decisions_are_read_is_read_whole(
    records: Records, database: Database, tmp_path: Path
) -> None:
    batch = [numbered_decision(number, day) for day in range(3) for number in range(700)]
    keep_decisions(records, batch)
    expected = [decision.subject_id for decision in batch]
    for moved_after in (0, 650, 1_450):
        reading = records.decisions("fraud", 0, 2**62)
        subjects = [next(reading).subject_id for _ in range(moved_after)]
        for day in days_before(database, NOVEMBER + (1 if moved_after < 1_000 else 2) * DAY)[:1]:
            archive_day(database, open_archive(str(tmp_path / "archive")), day, NOVEMBER)
        assert [*subjects, *(decision.subject_id for decision in reading)] == expected


def test_whoever_reads_decisions_may_take_its_time(url: str, records: Records) -> None:
    keep_decisions(records, [numbered_decision(number, 0) for number in range(2_500)])
    idle_ms = "&options=-cidle_in_transaction_session_timeout=1000"
    limit = "" if url.startswith("sqlite") else idle_ms
    with Records(f"{url}{limit}") as hurried:
        number = 0
        for number, _ in enumerate(hurried.decisions("fraud", 0, 2**62), 1):
            if number % 1_000 == 1:
                time.sleep(1.2)
        assert number == 2_500


def test_an_archive_may_be_a_bucket(records: Records, database: Database) -> None:
    """fsspec's memory file system stands for a bucket."""
    keep_decisions(records, [numbered_decision(1, 0), numbered_decision(2, 0)])
    (day,) = days_before(database, NOVEMBER + DAY)
    uri = open_archive(f"memory://archive-{'sqlite' if database.is_sqlite else 'postgresql'}")
    assert archive_day(database, uri, day, NOVEMBER).deleted == 2
    assert repr(records.decision("fraud", "t0-002")) == repr(numbered_decision(2, 0))
    assert len(list(records.decisions("fraud", 0, 2**62))) == 2
    assert delete_archived(database, NOVEMBER + DAY) == 2
    assert count_decisions(records, "fraud") == 0


def test_what_came_late_is_archived_by_the_next_run_beside_the_first(
    records: Records, database: Database, tmp_path: Path
) -> None:
    (day,) = _archived(records, database, tmp_path, [numbered_decision(1, 0)])
    keep_decisions(records, [numbered_decision(2, 0)])
    assert archive_day(database, str(tmp_path), day, NOVEMBER).deleted == 1
    assert archive_day(database, str(tmp_path), day, NOVEMBER).deleted == 0
    assert len(archived_files(database)) == 2
    assert [record.subject_id for record in records.decisions("fraud", 0, 2**62)] == [
        "t0-001",
        "t0-002",
    ]


def test_a_day_stays_while_a_decision_waits_to_be_scored_again(
    records: Records, database: Database, tmp_path: Path
) -> None:
    keep_decisions(records, [numbered_decision(1, 0, method="fallback"), numbered_decision(2, 0)])
    (day,) = days_before(database, NOVEMBER + DAY)
    assert archive_day(database, str(tmp_path), day, NOVEMBER).waiting == 1
    assert archived_files(database) == []
    records.mark_rescored("fraud", "t0-001", {}, NOVEMBER)
    assert archive_day(database, str(tmp_path), day, NOVEMBER).deleted == 2


def test_a_run_that_was_cut_off_after_the_files_goes_on(
    records: Records, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_decisions(records, [numbered_decision(1, 0), numbered_decision(2, 0)])
    (day,) = days_before(database, NOVEMBER + DAY)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lib.records.archiving._remove_archived", lambda *_: None)
    monkeypatch.setattr("lib.records.archiving._drop", cut)
    if database.is_sqlite:
        archive_day(database, str(tmp_path), day, NOVEMBER)
    else:
        with pytest.raises(KeyboardInterrupt):
            archive_day(database, str(tmp_path), day, NOVEMBER)
    monkeypatch.undo()
    both = [record.subject_id for record in records.decisions("fraud", 0, 2**62)]
    assert both == ["t0-001", "t0-002"]
    archive_day(database, str(tmp_path), day, NOVEMBER)
    assert [record.subject_id for record in records.decisions("fraud", 0, 2**62)] == both
    assert days_before(database, NOVEMBER + DAY) == []


def test_a_file_that_was_changed_or_is_gone_is_named(
    records: Records, database: Database, tmp_path: Path
) -> None:
    _archived(records, database, tmp_path, [numbered_decision(1, 0), numbered_decision(2, 0)])
    (file,) = archived_files(database)
    verify(file)
    path = tmp_path / file.path
    assert path.stat().st_mode & 0o077 == 0
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 1), path)
    with pytest.raises(RecordsError, match="expected 2 rows"):
        verify(file)
    path.unlink()
    with pytest.raises(RecordsUnavailableError, match="it is gone; restore it"):
        list(read_rows(file))


def test_archived_days_go_with_their_ids(
    records: Records, database: Database, tmp_path: Path
) -> None:
    _archived(records, database, tmp_path, [numbered_decision(1, 0)])
    assert delete_archived(database, NOVEMBER + DAY, count_only=True) == 1
    assert records.decision("fraud", "t0-001") is not None
    assert delete_archived(database, NOVEMBER) == 0
    assert delete_archived(database, NOVEMBER + DAY) == 1
    assert records.decision("fraud", "t0-001") is None
    assert list(tmp_path.rglob("*.parquet")) == []
    assert keep_decisions(records, [numbered_decision(1, 0)]).stored == 1


def test_an_archive_with_credentials_in_its_uri_is_refused() -> None:
    with pytest.raises(RecordsError, match="without credentials"):
        open_archive("s3://key:secret@bucket/decisions")


def _archived(records: Records, database: Database, folder: Path, batch: list[Decision]) -> list:
    keep_decisions(records, batch)
    days = days_before(database, NOVEMBER + DAY)
    for day in days:
        archive_day(database, str(folder), day, NOVEMBER)
    return days


def same(first: pa.Table, other: pa.Table) -> bool:
    """NaN is not equal to itself, so rows are compared by how they are written."""
    return first.schema == other.schema and repr(first.to_pylist()) == repr(other.to_pylist())
