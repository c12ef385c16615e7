"""Decisions that were made: counted, written to the journal at once, to the database soon after."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.guarded_call import GuardedCall
from lib.records import (
    Decision,
    DecisionLog,
    DecisionLogFullError,
    DrainProcess,
    Fact,
    Json,
    LabelOutcome,
    Records,
    RecordsUnavailableError,
    Rescore,
)
from lib.records.decision_buffer import DecisionBuffer
from lib.records.draining import store_lines
from lib.records.journal import decided_first
from lib.records.models import Row, spelled_row
from lib.records.segment import encode_row
from serve.framework.json_log import JsonLog
from serve.framework.metrics import RECORD_FAULTS, Metrics
from serve.framework.problem import Problem, fault_fields, fault_text

_READ_SECONDS, _WRITE_SECONDS = 1.5, 10.0
_THREADS = 4
_LINES_AT_ONCE = 1_000
Answer = TypeVar("Answer")


class DecisionStore:
    """The journal and the database as one.

    A decision is written to the journal on the local disk and moved to the database from there.
    What the disk does not take (it is full, or the journal is at its limit) waits in memory, and
    is moved to the disk or, where the database answers, to the database. Once memory is full, too,
    `require_room` refuses further requests, so that no decision is answered that is kept nowhere.

    The database is asked in threads of its own, for 1.5 s where it is read and 10 s where it is
    written: one that hangs takes no thread of anything else, and is asked again every half second.

    Args:
        system: whose decisions these are, e.g. `fraud`.
        journal: on the local disk.
        records: the database.
        drainer: moves the one to the other.
        meter: counts what the journal did not take.
        log: says why.
    """

    def __init__(
        self,
        system: str,
        journal: DecisionLog,
        records: Records,
        drainer: DrainProcess,
        meter: Metrics,
        log: JsonLog,
    ) -> None:
        self._system = system
        self.journal, self.records, self._drainer = journal, records, drainer
        self._meter, self._log = meter, log
        self._migrated = False
        self._refused = False
        self._buffer = DecisionBuffer()
        self._threads = BoundedExecutor("records", _THREADS)
        self._drain_thread = BoundedExecutor("drain", 1)
        self._reads = GuardedCall("records", RecordsUnavailableError, _READ_SECONDS)
        self._writes = GuardedCall("records", RecordsUnavailableError, _WRITE_SECONDS)
        self.error: str | None = None

    @property
    def buffered_bytes(self) -> int:
        """Bytes of decisions that only this process's memory holds."""
        return self._buffer.bytes

    def require_room(self) -> None:
        """Call before a decision is made and anything counts.

        Raises:
            Problem: 503 where disk and memory are full of decisions.
        """
        if self._buffer.full:
            raise Problem.unavailable(
                "decisions cannot be stored temporarily; send the same request again"
            )

    def append(self, row: Row) -> None:
        """Writes the columns of a decision to the journal; refused, they wait in memory."""
        line = encode_row(spelled_row(row))
        try:
            self.journal.append_line(line)
        except (OSError, DecisionLogFullError) as error:  # the answer is more urgent than the disk
            self._buffer.add(row["subject_id"], line)
            self._meter.count(RECORD_FAULTS.name)
            if len(self._buffer) == 1:  # one line in the log for one full disk
                self.error = fault_text(error)
                self._log.write("journal-refused", "error", **fault_fields(error))

    async def find(self, subject_id: str) -> Decision | None:
        """The first decision about a subject, wherever it is kept.

        Raises:
            RecordsUnavailableError: the journal does not have it and the database is away.
        """
        return await self._read(lambda: self._find(subject_id))

    async def find_if_available(self, subject_id: str) -> Decision | None:
        """The same, and None where the database is away."""
        try:
            return await self.find(subject_id)
        except RecordsUnavailableError:
            return None

    async def labels_as_stored(self, subject_id: str) -> tuple[Fact, ...]:
        """Every fact about a subject, in the order in which it was stored."""
        return await self._read(lambda: self.records.labels_as_stored(self._system, subject_id))

    async def labels(self, subject_id: str) -> tuple[Fact, ...]:
        """Every fact about a subject, in the order in which it became known."""
        return await self._read(lambda: self.records.labels_for(self._system, subject_id))

    async def record_labels(self, facts: Sequence[Fact]) -> LabelOutcome:
        """Stores facts; a repeat changes nothing."""
        return await self._write(lambda: self.records.record_labels(facts))

    async def rescored(self, subject_id: str) -> Rescore | None:
        """How far the re-scoring of a fallback is."""
        return await self._read(lambda: self.records.rescore(self._system, subject_id))

    async def claim(self, most: int, worker: str, lease: int) -> list[Decision]:
        """The oldest fallbacks that wait to be scored again, for `lease` microseconds."""
        return await self._write(
            lambda: self.records.to_rescore(self._system, most, worker=worker, lease=lease)
        )

    async def fail(self, subject_id: str, fault: str) -> bool:
        """Lets a fallback that cannot be scored again wait; True where it is parked for good."""
        return await self._write(lambda: self.records.fail_rescore(self._system, subject_id, fault))

    async def give_back(self, subjects: Sequence[str]) -> None:
        """Ends claims of fallbacks that were not tried."""
        await self._write(lambda: self.records.give_back(self._system, subjects))

    async def mark_rescored(self, subject_id: str, answer: Mapping[str, Json], at: int) -> bool:
        """Keeps the model's answer beside the fallback's."""
        return await self._write(
            lambda: self.records.mark_rescored(self._system, subject_id, answer, at)
        )

    async def drain(self) -> None:
        """Moves the journal to the database; what cannot be moved stays. Never raises."""
        try:
            await self._drain_thread.run(self._drain)
        except Exception as error:  # told by readiness; tried again in a moment
            self.error = fault_text(error)
        else:
            self.error = None

    async def ping(self) -> None:
        """Returns if the database answers, else raises RecordsUnavailableError."""
        await self._read(lambda: self.records.rescore_backlog(self._system))

    def close(self) -> None:
        """Syncs the journal; what is not drained stays for the next process."""
        if lost := len(self._buffer):
            self._log.write("decisions-lost", "error", decisions=lost)
        self._threads.close()
        self._drain_thread.close()
        try:
            self.journal.close()
        finally:
            self._drainer.close()
            self.records.close()

    async def run_blocking(self, work: Callable[[], Answer]) -> Answer:
        """Does other work in the database, in these threads, within the time of a write.

        Raises:
            RecordsUnavailableError: the database is away.
        """
        return await self._write(work)

    async def _read(self, work: Callable[[], Answer]) -> Answer:
        return await self._reads.run(lambda: self._threads.run(work))

    async def _write(self, work: Callable[[], Answer]) -> Answer:
        return await self._writes.run(lambda: self._threads.run(work))

    def _find(self, subject_id: str) -> Decision | None:
        kept = (self._buffer.find(subject_id), self.journal.find(self._system, subject_id))
        pending = [decision for decision in kept if decision is not None]
        if pending:
            return min(pending, key=decided_first)
        return self.records.decision(self._system, subject_id)

    def _drain(self) -> None:
        """Frees the disk first, so that what waits in memory may have room there."""
        stored = False
        try:
            self._store_journal()
            stored = True
        finally:
            self._move_buffer(stored)

    def _store_journal(self) -> None:
        if not self._migrated:
            self.records.migrate()
            self._migrated = True
        if not self._refused:  # else what is sealed already says whether the database is back
            self.journal.seal()
        self.journal.measure()
        if self.journal.pending_bytes:
            self._refused = True
            self._drainer.drain()
            self._refused = False
            self.journal.measure()

    def _move_buffer(self, stored: bool) -> None:
        """To the disk; what it still refuses to the database, if that took the journal."""
        while lines := self._buffer.oldest(1):
            try:
                self.journal.append_line(lines[0][1])
            except (OSError, DecisionLogFullError):
                if not stored:
                    return
                break
            self._buffer.drop(1)
        for _ in range(0, len(self._buffer), _LINES_AT_ONCE):
            several = self._buffer.oldest(_LINES_AT_ONCE)
            refused = set(store_lines([line for _, line in several], self.records))
            for subject_id, line in several:
                if line in refused:  # they wait for a disk that can set them aside
                    self._buffer.add(subject_id, line)
            self._buffer.drop(len(several))
