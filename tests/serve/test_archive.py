"""Decisions while the disk, the journal or the database fails: none is lost, none is doubled."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.durable import RotatingFile
from lib.records import DecisionLog, DrainOutcome, DrainProcess, Records, RecordsUnavailableError
from lib.records.decision_buffer import DecisionBuffer
from lib.records.draining import drain
from lib.records.models import Row
from lib.records.records import DecisionOutcome
from serve.framework import Problem
from serve.framework.decision_store import RECORD_FAULTS, DecisionStore
from serve.framework.json_log import JsonLog
from tests.records.conftest import NOVEMBER, decision, row_of
from tests.serve.prometheus_metrics import PrometheusMetrics

pytestmark = pytest.mark.anyio
LINE_BYTES = 900


class Faults:
    """What fails at the moment."""

    def __init__(self) -> None:
        self.disk_full = self.no_files = self.database_away = self.sync_fails = False

    def end(self) -> None:
        self.__init__()  # type: ignore[misc]


class Database(Records):
    """Records that are away on demand."""

    def __init__(self, url: str, faults: Faults) -> None:
        super().__init__(url)
        self._faults = faults

    def record_rows(self, rows: Iterable[Row]) -> DecisionOutcome:
        if self._faults.database_away:
            raise RecordsUnavailableError("away")
        return super().record_rows(rows)


class DrainHere:
    """Drains in this process."""

    def __init__(self, directory: Path, records: Records) -> None:
        self._directory, self._records = directory, records

    def drain(self) -> DrainOutcome:
        return drain(self._directory, self._records)

    def close(self) -> None:
        """Nothing to end."""


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


@contextmanager
def failing(faults: Faults) -> Iterator[None]:
    """The disk of journals fails as `faults` say."""
    real = {"write": os.write, "open": os.open, "fsync": os.fsync}

    def write(descriptor: int, data: bytes) -> int:
        if faults.disk_full and b'"subject_id"' in bytes(data):
            # what fits is written, as a disk does
            return real["write"](descriptor, bytes(data)[:40])
        return real["write"](descriptor, data)

    def opened(path: Any, flags: int, *mode: int, **more: Any) -> int:
        if faults.no_files and str(path).endswith(".tmp") and "journal" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real["open"](path, flags, *mode, **more)

    def fsync(descriptor: int) -> None:
        if faults.sync_fails and _path_of(descriptor).suffix == ".journal":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real["fsync"](descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.records.segment.os.write", write)
        patch.setattr("lib.records.segment.os.open", opened)
        patch.setattr("lib.records.segment.os.fsync", fsync)
        yield


@contextmanager
def archive_in(folder: Path, faults: Faults, most_bytes: int = 1 << 30) -> Iterator[DecisionStore]:
    records = Database(f"sqlite:///{folder}/records.db", faults)
    journal = DecisionLog(folder / "journal", flush_interval=3600, max_bytes=most_bytes)
    archive = DecisionStore(
        "fraud",
        journal,
        records,
        cast(DrainProcess, DrainHere(folder / "journal", records)),
        PrometheusMetrics([RECORD_FAULTS]),
        JsonLog("fraud", RotatingFile(folder / "log.jsonl")),
    )
    archive._buffer = DecisionBuffer(most_bytes=4 * LINE_BYTES)
    yield archive
    archive.close()


def row(number: int) -> Mapping[str, Any]:
    return row_of(decision(f"t{number}", decided_at=NOVEMBER + number))


async def stored(archive: DecisionStore) -> list[str]:
    decisions = archive.records.decisions("fraud", 0, 2**60)
    return sorted(record.subject_id for record in decisions)


async def test_a_full_disk_is_drained_first_and_used_again(tmp_path: Path) -> None:
    faults = Faults()
    with failing(faults), archive_in(tmp_path, faults) as archive:
        archive.append(dict(row(1)))
        faults.disk_full = faults.no_files = True
        for number in (2, 3):
            archive.append(dict(row(number)))
        decision = await archive.find("t3")
        assert decision is not None
        assert decision.subject_id == "t3"
        assert archive.buffered_bytes > 0
        assert archive.error is not None
        await archive.drain()
        assert await stored(archive) == ["t1", "t2", "t3"]
        assert (archive.error, archive.buffered_bytes) == (None, 0)
        archive.append(dict(row(4)))
        faults.end()
        for _ in range(2):  # to the journal, and on
            await archive.drain()
        assert await stored(archive) == ["t1", "t2", "t3", "t4"]


async def test_a_journal_at_its_limit_goes_on_in_memory_and_then_refuses(tmp_path: Path) -> None:
    faults = Faults()
    with failing(faults), archive_in(tmp_path, faults, most_bytes=2 * LINE_BYTES) as archive:
        faults.database_away = True
        answered = 0
        while not archive._buffer.full:
            archive.require_room()
            archive.append(dict(row(answered)))
            answered += 1
        with pytest.raises(Problem) as refused:
            archive.require_room()
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        assert 4 < answered < 20
        await archive.drain()
        assert "RecordsUnavailableError" in str(archive.error)
        faults.end()
        await archive.drain()
        await archive.drain()
        assert await stored(archive) == sorted(f"t{number}" for number in range(answered))
        archive.require_room()
        assert archive.error is None


async def test_what_a_failed_sync_may_have_lost_is_written_anew(tmp_path: Path) -> None:
    faults = Faults()
    with failing(faults), archive_in(tmp_path, faults) as archive:
        archive.append(dict(row(1)))
        poisoned = archive.journal._writer
        assert poisoned is not None
        faults.sync_fails = True
        with pytest.raises(OSError, match="Input/output"):
            archive.journal.sync()
        faults.end()
        os.truncate(poisoned.path, 0)  # the pages that were dropped
        assert archive.journal.find("fraud", "t1") is not None
        await archive.drain()
        assert await stored(archive) == ["t1"]


async def test_a_journal_has_few_files_however_long_the_database_is_away(tmp_path: Path) -> None:
    faults = Faults()
    with failing(faults), archive_in(tmp_path, faults) as archive:
        faults.database_away = True
        for number in range(50):
            archive.append(dict(row(number)))
            await archive.drain()
        assert len(list(archive.journal.directory.glob("*.journal"))) <= 2
        faults.end()
        await archive.drain()
        await archive.drain()
        assert await stored(archive) == sorted(f"t{number}" for number in range(50))
        assert archive.journal.pending_bytes == 0


DOINGS = ("decide", "decide", "decide", "retry", "drain", "sync", "end")
STEPS = st.lists(
    st.sampled_from((*DOINGS, "disk_full", "no_files", "database_away", "sync_fails")), max_size=40
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
@pytest.mark.parametrize("most_bytes", [3 * LINE_BYTES, 1 << 30])
async def test_every_decision_that_was_answered_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], most_bytes: int
) -> None:
    faults, folder, answered = Faults(), tmp_path_factory.mktemp("archive"), 0
    with failing(faults), archive_in(folder, faults, most_bytes) as archive:
        for step in steps:
            if step == "decide":
                try:
                    archive.require_room()
                except Problem:
                    continue
                archive.append(dict(row(answered)))
                answered += 1
            elif step == "retry" and answered:
                archive.append(dict(row(answered - 1)))
            elif step == "drain":
                await archive.drain()
            elif step == "sync":
                try:
                    archive.journal.sync()
                except OSError:
                    assert faults.sync_fails
            elif step == "end":
                faults.end()
            elif step not in ("retry"):
                setattr(faults, step, True)
            for number in range(answered):
                assert faults.database_away or await archive.find(f"t{number}") is not None
        faults.end()
        for _ in range(3):
            await archive.drain()
        assert (archive.error, archive.buffered_bytes) == (None, 0)
        assert await stored(archive) == sorted(f"t{number}" for number in range(answered))


def test_a_log_on_a_full_disk_fails_no_request(tmp_path: Path) -> None:
    class Full(RotatingFile):
        full = True

        def write(self, content: bytes) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "full")
            super().write(content)

    file = Full(tmp_path / "log.jsonl")
    log = JsonLog("fraud", file)
    for number in range(10_500):
        log.write("request", number=number)
    log.write("fault", "error")
    log.flush()
    file.full = False
    log.flush()
    log.write("request")
    log.flush()
    text = (tmp_path / "log.jsonl").read_text()
    assert '"number":10499' in text
    assert '"number":0}' not in text
    assert '"log-lines-lost","lines":501' in text
