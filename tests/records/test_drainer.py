"""The drain that runs in a process of its own, real processes all."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.records import DecisionLog, DrainOutcome, DrainProcess, Records, RecordsError
from tests.records.conftest import append, count_decisions, decision


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records.sqlite'}"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    with DecisionLog(tmp_path / "decisions") as opened:
        yield opened


@pytest.fixture
def drainer(log: DecisionLog, url: str) -> Iterator[DrainProcess]:
    opened = DrainProcess(log.directory, url)
    yield opened
    opened.close()


def stored(url: str) -> int:
    with Records(url) as records:
        records.migrate()
        return count_decisions(records, "fraud")


def test_what_is_sealed_is_stored_and_what_is_written_stays(log, drainer, url):
    append(log, decision("t1"))
    log.seal()
    append(log, decision("t2"))
    assert drainer.drain() == DrainOutcome(stored=1)
    log.measure()
    assert stored(url) == 1
    assert log.pending_bytes > 0
    record = log.find("fraud", "t2")
    assert record is not None
    log.seal()
    assert drainer.drain() == DrainOutcome(stored=1)
    log.measure()
    assert log.pending_bytes == 0


def test_those_who_answer_go_before_the_drain_where_cores_are_short(log, drainer):
    append(log, decision("t1"))
    log.seal()
    drainer.drain()
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, drainer._process.pid) > ours
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


def test_a_killed_drain_is_replaced_and_loses_nothing(log, drainer, url):
    append(log, decision("t1"))
    log.seal()
    drainer.drain()
    first = drainer._process
    first.kill()
    first.wait()
    append(log, decision("t2"))
    log.seal()
    with pytest.raises(RecordsError, match=r"the drain's process ended with -9"):
        drainer.drain()
    drainer.drain()
    assert drainer._process.pid != first.pid
    assert stored(url) == 2


def test_a_database_that_is_away_is_named_and_everything_stays(log):
    drainer = DrainProcess(log.directory, "postgresql+psycopg://nobody:secret@127.0.0.1:1/records")
    append(log, decision("t1"))
    log.seal()
    with pytest.raises(RecordsError, match=r"nobody:\*\*\*@127\.0\.0\.1:1/records"):
        drainer.drain()
    command = Path(f"/proc/{drainer._process.pid}/cmdline").read_bytes()
    assert b"secret" not in command
    drainer.close()
    assert log.find("fraud", "t1") is not None


def test_a_url_that_is_none_ends_the_process_and_says_so(log):
    drainer = DrainProcess(log.directory, "mysql://nobody@127.0.0.1/records")
    with pytest.raises(RecordsError, match=r"the drain's process ended with 1"):
        drainer.drain()
    drainer.close()


def test_closing_drains_what_was_given_up_before(tmp_path, url):
    drainer = DrainProcess(tmp_path / "decisions", url)
    with DecisionLog(tmp_path / "decisions") as log:
        append(log, decision("t1"))
        log.seal()
        drainer.drain()
        append(log, decision("t2"))
    drainer.close()
    assert stored(url) == 2


def test_decisions_of_a_killed_process_reach_the_database_at_once(tmp_path, url):
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from lib.records import DecisionLog, DrainProcess
        from tests.records.conftest import append, decision
        log, drainer = DecisionLog(Path(sys.argv[1])), DrainProcess(Path(sys.argv[1]), sys.argv[2])
        drainer.drain()
        append(log, decision("t1"))
        print("appended", flush=True)
        time.sleep(60)
    """)
    command = [sys.executable, "-c", program, str(tmp_path / "decisions"), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"appended\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 20
    while stored(url) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
