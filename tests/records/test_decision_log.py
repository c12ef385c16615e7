import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.records import (
    DecisionLog,
    DecisionLogFullError,
    DrainOutcome,
    Records,
    RecordsError,
    RecordsUnavailableError,
)
from lib.records.database import Database
from lib.records.models import decision_from_row, spelled_row
from lib.records.segment import encode_row, read_segment
from tests.records.conftest import NOVEMBER, append, count_decisions, decision, drained, row_of

AWAY = "postgresql+psycopg://nobody@127.0.0.1:1/records"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "decisions"


@pytest.fixture
def log(directory: Path) -> Iterator[DecisionLog]:
    with DecisionLog(directory) as opened:
        yield opened


@pytest.fixture
def away() -> Iterator[Records]:
    """Records on a port where no database listens."""
    with Records(AWAY) as records:
        yield records


def journals(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.journal"))


def abandon(directory: Path, *subjects: str) -> Path:
    """Leave what a process leaves that died after appending these, and return the file."""
    with DecisionLog(directory) as log:
        path = log._writer.path
        for subject in subjects:
            append(log, decision(subject))
    return path


def test_an_appended_decision_reaches_the_database_as_it_was(
    log: DecisionLog, records: Records
) -> None:
    append(log, decision("t1", features={"amount": 0.1 + 0.2, "velocity_kmh": float("inf")}))
    assert drained(log, records) == DrainOutcome(stored=1)
    assert records.decision("fraud", "t1") == decision(
        "t1", features={"amount": 0.1 + 0.2, "velocity_kmh": float("inf")}
    )


def test_a_drained_decision_leaves_the_disk(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    append(log, decision("t1"))
    drained(log, records)
    assert log.pending_bytes == 0
    assert [path.stat().st_size for path in journals(directory)] == [0]
    assert drained(log, records) == DrainOutcome()


def test_a_decision_can_be_found_before_it_is_drained(log: DecisionLog, records: Records) -> None:
    append(log, decision("t1", decided_at=NOVEMBER, request_id="first"))
    append(log, decision("t1", decided_at=NOVEMBER + 1, request_id="second"))
    append(log, decision("t1", system="churn"))
    record = log.find("fraud", "t1")
    assert record is not None
    assert record.request_id == "first"
    assert log.find("fraud", "t") is None
    drained(log, records)
    assert log.find("fraud", "t1") is None


def test_another_process_of_the_machine_finds_it_too(log: DecisionLog, directory: Path) -> None:
    append(log, decision("Zoë 1"))
    with DecisionLog(directory) as other:
        assert other.find("fraud", "Zoë 1") == decision("Zoë 1")


def test_nothing_is_lost_while_the_database_is_away(
    log: DecisionLog, records: Records, away: Records
) -> None:
    append(log, decision("t1"))
    for _ in range(2):
        with pytest.raises(RecordsUnavailableError):
            drained(log, away)
    append(log, decision("t2"))
    assert [log.find("fraud", name) for name in ("t1", "t2")] == [decision("t1"), decision("t2")]
    assert drained(log, records) == DrainOutcome(stored=2)


def test_a_crash_between_commit_and_removal_stores_nothing_twice(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    path = abandon(directory, "t1", "t2")
    copy = path.read_bytes()
    drained(log, records)
    path.write_bytes(copy)
    assert drained(log, records) == DrainOutcome(repeated=2)
    assert count_decisions(records, "fraud") == 2


def test_what_a_living_process_writes_stays_with_it(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    with DecisionLog(directory) as other:
        append(other, decision("t1"))
        assert drained(log, records) == DrainOutcome()
        assert drained(other, records) == DrainOutcome(stored=1)


def test_a_process_killed_in_the_middle_loses_no_answered_decision(
    directory: Path, records: Records
) -> None:
    script = """
        import sys
        from lib.records import DecisionLog
        from tests.records.conftest import append, decision
        log = DecisionLog(sys.argv[1], flush_interval=3600)
        for number in range(10**9):
            append(log, decision(f"t{number}"))
            print(number, flush=True)
    """
    line = [sys.executable, "-c", textwrap.dedent(script), str(directory)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answered = 0
        while answered < 200:
            answered = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        answered = max([answered, *map(int, process.stdout.read().split())])
    with DecisionLog(directory) as log:
        stored = drained(log, records).stored
    assert stored in (answered + 1, answered + 2)
    assert records.decision("fraud", f"t{answered}") == decision(f"t{answered}")


def test_a_torn_last_line_is_counted_and_the_rest_is_kept(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    path = abandon(directory, "t1", "t2")
    path.write_bytes(path.read_bytes()[:-3])
    assert drained(log, records) == DrainOutcome(stored=1, torn=1)


def test_a_damaged_line_is_set_aside_and_the_rest_is_kept(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    path = abandon(directory, "t1", "t2", "t3")
    damaged = path.read_bytes().replace(b'"t2"', b'"tX"')
    path.write_bytes(damaged)
    assert drained(log, records) == DrainOutcome(stored=2, damaged=1)
    assert path.with_suffix(".damaged").read_bytes() == damaged.splitlines(keepends=True)[1]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 3000), flipped=st.integers(0, 3000))
def test_no_damage_makes_a_decision_that_was_never_made(
    tmp_path: Path, cut: int, flipped: int
) -> None:
    decisions = [decision(f"t{number}") for number in range(3)]
    content = bytearray(b"".join(encode_row(row_of(record)) for record in decisions))
    content[flipped % len(content)] ^= 0x10
    path = tmp_path / "damaged.journal"
    path.write_bytes(content[: cut % (len(content) + 1)])
    assert all(decision_from_row(row) in decisions for row in read_segment(path).rows)


def forbid(url: str, subject: str) -> None:
    """Let the database itself refuse one subject, as a constraint of an operator's would."""
    database = Database(url)
    with database.writing() as connection:
        if database.is_sqlite:
            refuse = "BEGIN SELECT RAISE(ABORT, 'forbidden'); END"
            condition = f"WHEN NEW.subject_id = '{subject}'"
            rule = f"CREATE TRIGGER forbid BEFORE INSERT ON decisions {condition} {refuse}"
        else:
            rule = f"ALTER TABLE decisions ADD CHECK (subject_id <> '{subject}')"
        connection.exec_driver_sql(rule)
    database.close()


def test_one_record_the_database_refuses_does_not_hold_up_the_others(
    log: DecisionLog, url: str, records: Records, directory: Path
) -> None:
    forbid(url, "t2")
    for number in range(5):
        append(log, decision(f"t{number}"))
    assert drained(log, records) == DrainOutcome(stored=4, rejected=1)
    (rejected,) = directory.glob("*.rejected")
    assert list(map(decision_from_row, read_segment(rejected).rows)) == [decision("t2")]
    assert drained(log, records) == DrainOutcome()


def test_a_full_log_refuses_and_says_what_to_do(directory: Path, records: Records) -> None:
    room = len(encode_row(row_of(decision("t1"))))
    with DecisionLog(directory, max_bytes=room) as log:
        append(log, decision("t1"))
        with pytest.raises(DecisionLogFullError, match="bring the database back"):
            append(log, decision("t2"))
        drained(log, records)
        append(log, decision("t2"))


def test_a_long_log_is_cut_into_files(directory: Path, records: Records) -> None:
    with DecisionLog(directory, segment_bytes=3000) as log:
        for number in range(20):
            append(log, decision(f"t{number:02}"))
            log.sync()
        assert len(journals(directory)) > 4
        assert drained(log, records) == DrainOutcome(stored=20)


def test_threads_that_append_while_others_drain_lose_nothing(
    directory: Path, records: Records
) -> None:
    with DecisionLog(directory, segment_bytes=20_000) as log, ThreadPoolExecutor(4) as pool:
        appending = [pool.submit(append, log, decision(f"t{number}")) for number in range(500)]
        while not all(job.done() for job in appending):
            drained(log, records)
        drained(log, records)
    assert count_decisions(records, "fraud") == 500


def test_a_closed_log_leaves_no_empty_file(directory: Path) -> None:
    abandon(directory)
    assert list(directory.iterdir()) == []


def test_a_row_is_kept_as_the_decision_it_describes(log: DecisionLog, directory: Path) -> None:
    odd = decision("t1", features={"amount": float("nan"), "velocity_kmh": float("inf")})
    row = row_of(odd) | {"features": dict(odd.features)}
    log.append_line(encode_row(spelled_row(row)))
    append(log, odd)
    (path,) = journals(directory)
    first, second = path.read_bytes().splitlines()
    assert first == second


def test_a_row_of_other_columns_is_refused_by_name() -> None:
    row = row_of(decision("t1"))
    del row["method"]
    with pytest.raises(RecordsError, match="method"):
        spelled_row(row)
