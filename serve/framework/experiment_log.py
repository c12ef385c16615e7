"""What both models said, on its way to the records: in memory for a second, bounded."""

from __future__ import annotations

from collections import deque

from lib.experiment.models import ExperimentDecision
from lib.experiment.writer_process import WriterProcess
from lib.records import RecordsError

_MOST_ROWS = 50_000
_ROWS_AT_ONCE = 2_000


class ExperimentLog:
    """Rows of experiments that are not stored yet.

    What a killed replica had in memory is lost; the judge computes arms again from the key and
    sees which rows lack.

    Args:
        writer: stores them.
    """

    def __init__(self, writer: WriterProcess) -> None:
        self._writer = writer
        self._rows: deque[ExperimentDecision] = deque()
        self.lost = 0
        self.stored = 0

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, row: ExperimentDecision) -> None:
        """Keeps a row until it is stored; where too many wait, it is lost and counted."""
        if len(self._rows) >= _MOST_ROWS:
            self.lost += 1
            return
        self._rows.append(row)

    def flush(self) -> None:
        """Stores what waits; blocks, so it is called in a thread.

        Raises:
            RecordsUnavailableError: the database is away; what is not stored waits.
        """
        while self._rows:
            rows = [self._rows[k] for k in range(min(len(self._rows), _ROWS_AT_ONCE))]
            try:
                self.stored += self._writer.insert_decisions(rows)
            except RecordsError:  # it would be refused again, and hold up the others
                self.lost += len(rows)
            for _ in rows:
                self._rows.popleft()
