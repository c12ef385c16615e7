"""Decisions that the local disk does not take, in memory until it or the database does."""

import threading
from collections import deque

from lib.records.journal import decided_first
from lib.records.models import Decision
from lib.records.segment import decode_line

_LARGEST_BYTES = 64 << 20


class DecisionBuffer:
    """A queue of lines of a decision log, bounded by their bytes. Safe for threads.

    It takes what it is given even when it is full, for that was answered already; who answers asks
    `full` first.

    Args:
        most_bytes: full from then on.
    """

    def __init__(self, most_bytes: int = _LARGEST_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._lines: deque[tuple[str, bytes]] = deque()
        self._by_subject: dict[str, list[bytes]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def full(self) -> bool:
        """Whether no further decision should be made."""
        return self.bytes >= self._most

    def add(self, subject_id: str, line: bytes) -> None:
        """Keep a line about a subject behind all others."""
        with self._lock:
            self._lines.append((subject_id, line))
            self._by_subject.setdefault(subject_id, []).append(line)
            self.bytes += len(line)

    def oldest(self, most: int) -> list[tuple[str, bytes]]:
        """The subjects and lines that came first, which stay."""
        with self._lock:
            return [self._lines[index] for index in range(min(most, len(self._lines)))]

    def drop(self, count: int) -> None:
        """Let go of the lines that came first: they are kept elsewhere."""
        with self._lock:
            for _ in range(count):
                subject_id, line = self._lines.popleft()
                self.bytes -= len(line)
                lines = self._by_subject[subject_id]
                lines.pop(0)
                if not lines:
                    del self._by_subject[subject_id]

    def find(self, subject_id: str) -> Decision | None:
        """The first decision about a subject that is here."""
        with self._lock:
            lines = tuple(self._by_subject.get(subject_id, ()))
        decisions = [decision for line in lines if (decision := decode_line(line)) is not None]
        return min(decisions, key=decided_first, default=None)
