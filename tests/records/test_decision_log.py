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
from lib.records.segment import encode, read_segment
from tests.records.conftest import NOVEMBER, decision

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
            log.append(decision(subject))
    return path


def test_an_appended_decision_reaches_the_database_as_it_was(
    log: DecisionLog, records: Records
) -> None:
    log.append(decision("t1", features={"amount": 0.1 + 0.2, "velocity_kmh": float("inf")}))
    assert log.drain(records) == DrainOutcome(stored=1)
    assert records.decision("fraud", "t1") == decision(
        "t1", features={"amount": 0.1 + 0.2, "velocity_kmh": float("inf")}
    )


def test_a_drained_decision_leaves_the_disk(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    log.append(decision("t1"))
    log.drain(records)
    assert log.pending_bytes == 0
    assert [path.stat().st_size for path in journals(directory)] == [0]
    assert log.drain(records) == DrainOutcome()


def test_a_decision_can_be_found_before_it_is_drained(log: DecisionLog, records: Records) -> None:
    log.append(decision("t1", decided_at=NOVEMBER, request_id="first"))
    log.append(decision("t1", decided_at=NOVEMBER + 1, request_id="second"))
    log.append(decision("t1", system="churn"))
    record = log.find("fraud", "t1")
    assert record is not None
    assert record.request_id == "first"
    assert log.find("fraud", "t") is None
    log.drain(records)
    assert log.find("fraud", "t1") is None


def test_another_process_of_the_machine_finds_it_too(log: DecisionLog, directory: Path) -> None:
    log.append(decision("Zoë 1"))
    with DecisionLog(directory) as other:
        assert other.find("fraud", "Zoë 1") == decision("Zoë 1")


def test_nothing_is_lost_while_the_database_is_away(
    log: DecisionLog, records: Records, away: Records
) -> None:
    log.append(decision("t1"))
    for _ in range(2):
        with pytest.raises(RecordsUnavailableError):
            log.drain(away)
    log.append(decision("t2"))
    assert [record.subject_id for record in log.replay()] == ["t1", "t2"]
    assert log.drain(records) == DrainOutcome(stored=2)


def test_a_crash_between_commit_and_removal_stores_nothing_twice(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    path = abandon(directory, "t1", "t2")
    copy = path.read_bytes()
    log.drain(records)
    path.write_bytes(copy)
    assert log.drain(records) == DrainOutcome(repeated=2)
    assert records.decision_count("fraud") == 2


def test_what_a_living_process_writes_stays_with_it(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    with DecisionLog(directory) as other:
        other.append(decision("t1"))
        assert log.drain(records) == DrainOutcome()
        assert other.drain(records) == DrainOutcome(stored=1)


def test_a_process_killed_in_the_middle_loses_no_answered_decision(
    directory: Path, records: Records
) -> None:
    script = """
        import sys
        from lib.records import DecisionLog
        from tests.records.conftest import decision
        log = DecisionLog(sys.argv[1], flush_interval=3600)
        for number in range(10**9):
            log.append(decision(f"t{number}"))
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
        stored = log.drain(records).stored
    assert stored in (answered + 1, answered + 2)
    assert records.decision("fraud", f"t{answered}") == decision(f"t{answered}")


def test_a_torn_last_line_is_counted_and_the_rest_is_kept(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    path = abandon(directory, "t1", "t2")
    path.write_bytes(path.read_bytes()[:-3])
    assert log.drain(records) == DrainOutcome(stored=1, torn=1)


def test_a_damaged_line_is_set_aside_and_the_rest_is_kept(
    log: DecisionLog, records: Records, directory: Path
) -> None:
    path = abandon(directory, "t1", "t2", "t3")
    damaged = path.read_bytes().replace(b'"t2"', b'"tX"')
    path.write_bytes(damaged)
    assert log.drain(records) == DrainOutcome(stored=2, damaged=1)
    assert path.with_suffix(".damaged").read_bytes() == damaged.splitlines(keepends=True)[1]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 3000), flipped=st.integers(0, 3000))
def test_no_damage_makes_a_decision_that_was_never_made(
    tmp_path: Path, cut: int, flipped: int
) -> None:
    decisions = [decision(f"t{number}") for number in range(3)]
    content = bytearray(b"".join(map(encode, decisions)))
    content[flipped % len(content)] ^= 0x10
    path = tmp_path / "damaged.journal"
    path.write_bytes(content[: cut % (len(content) + 1)])
    assert all(record in decisions for record in read_segment(path).decisions)


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
        log.append(decision(f"t{number}"))
    assert log.drain(records) == DrainOutcome(stored=4, rejected=1)
    (rejected,) = directory.glob("*.rejected")
    assert read_segment(rejected).decisions == [decision("t2")]
    assert log.drain(records) == DrainOutcome()


def test_a_full_log_refuses_and_says_what_to_do(directory: Path, records: Records) -> None:
    room = len(encode(decision("t1")))
    with DecisionLog(directory, max_bytes=room) as log:
        log.append(decision("t1"))
        with pytest.raises(DecisionLogFullError, match="bring the database back"):
            log.append(decision("t2"))
        log.drain(records)
        log.append(decision("t2"))


def test_a_long_log_is_cut_into_files(directory: Path, records: Records) -> None:
    with DecisionLog(directory, segment_bytes=3000) as log:
        for number in range(20):
            log.append(decision(f"t{number:02}"))
            log.sync()
        assert len(journals(directory)) > 4
        assert [record.subject_id for record in log.replay()] == [f"t{n:02}" for n in range(20)]
        assert log.drain(records) == DrainOutcome(stored=20)


def test_threads_that_append_while_others_drain_lose_nothing(
    directory: Path, records: Records
) -> None:
    with DecisionLog(directory, segment_bytes=20_000) as log, ThreadPoolExecutor(4) as pool:
        appending = [pool.submit(log.append, decision(f"t{number}")) for number in range(500)]
        while not all(job.done() for job in appending):
            log.drain(records)
        log.drain(records)
    assert records.decision_count("fraud") == 500


def test_a_closed_log_leaves_no_empty_file(directory: Path) -> None:
    abandon(directory)
    assert list(directory.iterdir()) == []


def test_a_row_is_kept_as_the_decision_it_describes(log: DecisionLog, directory: Path) -> None:
    odd = decision("t1", features={"amount": float("nan"), "velocity_kmh": float("inf")})
    row = odd.to_row() | {"features": dict(odd.features)}
    log.append_row(row)
    log.append(odd)
    (path,) = journals(directory)
    first, second = path.read_bytes().splitlines()
    assert first == second


def test_a_row_of_other_columns_is_refused_by_name(log: DecisionLog) -> None:
    row = decision("t1").to_row()
    del row["method"]
    with pytest.raises(RecordsError, match="method"):
        log.append_row(row)
