"""Decisions that were made: written to the journal at once, to the database soon after."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from lib.records import (
    Decision,
    DecisionLog,
    Drainer,
    Fact,
    Json,
    LabelOutcome,
    Records,
    RecordsUnavailableError,
    Rescore,
)
from lib.records.entries import Row
from serve.gateway.log import JsonLog
from serve.gateway.meter import Instrument, Meter

RECORD_FAULTS = Instrument(
    "forewarn_record_faults", "decisions that the journal did not take at first"
)
_MOST_WAITING = 100_000


class Archive:
    """The journal and the database as one.

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
        drainer: Drainer,
        meter: Meter,
        log: JsonLog,
    ) -> None:
        self._system = system
        self.journal, self.records, self._drainer = journal, records, drainer
        self._meter, self._log = meter, log
        self._migrated = False
        self._waiting: deque[Row] = deque(maxlen=_MOST_WAITING)
        self.error: str | None = None

    def keep(self, row: Row) -> None:
        """Writes the columns of a decision to the journal; refused, they wait for the next try."""
        try:
            self.journal.append_row(row)
        except OSError as error:  # the answer is more urgent than a full disk
            self._waiting.append(row)
            self._meter.count(RECORD_FAULTS.name)
            self.error = str(error)
            self._log.write("journal-refused", "error", error=str(error))

    async def find(self, subject_id: str) -> Decision | None:
        """The first decision about a subject, wherever it is kept.

        Raises:
            RecordsUnavailableError: the journal does not have it and the database is away.
        """
        return await asyncio.to_thread(self._find, subject_id)

    async def find_here(self, subject_id: str) -> Decision | None:
        """The same, and None where the database is away."""
        try:
            return await self.find(subject_id)
        except RecordsUnavailableError:
            return None

    async def labels(self, subject_id: str) -> tuple[Fact, ...]:
        """Every fact about a subject, in the order in which it became known."""
        return await asyncio.to_thread(self.records.labels_for, self._system, subject_id)

    async def learn(self, facts: Sequence[Fact]) -> LabelOutcome:
        """Stores facts; a repeat changes nothing."""
        return await asyncio.to_thread(self.records.record_labels, facts)

    async def rescored(self, subject_id: str) -> Rescore | None:
        """How far the re-scoring of a fallback is."""
        return await asyncio.to_thread(self.records.rescore, self._system, subject_id)

    async def claim(self, most: int, worker: str, now: int, lease: int) -> list[Decision]:
        """The oldest fallbacks that wait to be scored again, for `lease` microseconds."""

        def claim() -> list[Decision]:
            return self.records.to_rescore(self._system, most, worker=worker, now=now, lease=lease)

        return await asyncio.to_thread(claim)

    async def mark(self, subject_id: str, answer: Mapping[str, Json], at: int) -> bool:
        """Keeps the model's answer beside the fallback's."""
        return await asyncio.to_thread(
            self.records.mark_rescored, self._system, subject_id, answer, at
        )

    async def drain(self) -> None:
        """Moves the journal to the database; what cannot be moved stays. Never raises."""
        try:
            await asyncio.to_thread(self._drain)
        except Exception as error:  # told by readiness; tried again in a moment
            self.error = str(error)
        else:
            self.error = None

    async def ping(self) -> None:
        """Returns if the database answers, else raises RecordsUnavailableError."""
        await asyncio.to_thread(self.records.rescore_backlog, self._system)

    def close(self) -> None:
        """Syncs the journal; what is not drained stays for the next process."""
        self.journal.close()
        self._drainer.close()
        self.records.close()

    def _find(self, subject_id: str) -> Decision | None:
        return self.journal.find(self._system, subject_id) or self.records.decision(
            self._system, subject_id
        )

    def _drain(self) -> None:
        if not self._migrated:
            self.records.migrate()
            self._migrated = True
        while self._waiting:
            self.journal.append_row(self._waiting[0])
            self._waiting.popleft()
        self.journal.seal()
        self.journal.measure()
        if self.journal.pending_bytes:
            self._drainer.drain()
            self.journal.measure()
