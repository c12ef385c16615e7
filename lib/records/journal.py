"""Decisions that were answered and are not in the database yet, safe on the local disk."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from lib.durable import make_folder
from lib.records.errors import DecisionLogFullError
from lib.records.models import Decision
from lib.records.segment import SegmentWriter, segments
from lib.records.segment_index import SegmentIndex

_PAUSE_SECONDS = 1.0


class DecisionLog:
    """An append-only log on the local disk between the answer and the database.

    An appended decision survives a killed process at once and a power cut after
    `flush_interval`. A drain stores what living and dead processes of this machine left, and
    removes it only after the commit; a crash in between stores it again, which changes nothing.
    Each process opens its own log on the same directory. Safe for threads. `fault` says why the
    last sync failed, `pending_bytes` how much waits; both belong on a health page. A disk that is
    full refuses appends, keeps nobody from draining, and is used again once it has room.

    Args:
        directory: local directory (POSIX, `flock`); made if absent.
        flush_interval: seconds between syncs to the disk.
        max_bytes: refuse to grow beyond; counted over the directory at each drain.
        segment_bytes: begin a new file at the first sync after so many.
    """

    def __init__(
        self,
        directory: Path | str,
        flush_interval: float = 0.05,
        max_bytes: int = 1 << 30,
        segment_bytes: int = 16 << 20,
    ) -> None:
        self.directory = Path(directory)
        make_folder(self.directory)
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._appending = threading.Lock()
        self._syncing = threading.Lock()
        self._number = 0
        self._unsynced: list[bytes] = []
        self.fault: str | None = None
        self._writer: SegmentWriter | None = self._fresh()
        self._index = SegmentIndex(self.directory)
        self.pending_bytes = self._waiting_bytes()
        self._closing = threading.Event()
        self._flusher = threading.Thread(
            target=self._flush, args=(flush_interval,), name="decision-log", daemon=True
        )
        self._flusher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append_line(self, line: bytes) -> None:
        """Keep a line of `lib.records.segment.encode_row`, without waiting for the disk.

        Raises:
            DecisionLogFullError: the log would grow beyond `max_bytes`.
            OSError: the disk is full or gone.
        """
        with self._appending:
            if self.pending_bytes + len(line) > self._max_bytes:
                raise DecisionLogFullError(
                    f"{self.directory}: {self.pending_bytes} bytes wait for the database, "
                    f"at most {self._max_bytes} may; bring the database back or allow more"
                )
            self._write(line)

    def find(self, system: str, subject_id: str) -> Decision | None:
        """The first decision about a subject that no process of this machine has drained yet.

        Ask here before the database, not after: a drain in between moves it there.
        """
        return min(self._index.find(system, subject_id), key=decided_first, default=None)

    def sync(self) -> None:
        """Bring everything appended so far to the disk now.

        Raises:
            OSError: the disk failed. What it may have lost is written anew to another segment.
        """
        with self._syncing:
            with self._appending:
                writer, lines = self._writer, self._unsynced
                self._unsynced = []
            if writer is not None and lines:
                try:
                    writer.sync()
                except OSError:
                    # a second sync would succeed without the pages that the first one dropped
                    self._give_up(lines)
                    raise
        if writer is not None and writer.size >= self._segment_bytes:
            self.seal()

    def seal(self) -> None:
        """Give up what was appended so far, so that a drain of any process may take it.

        Needs no room on the disk: where there is none for another segment, the next append looks
        for it again.
        """
        with self._syncing:
            if self._writer is not None and self._writer.size:
                self._give_up()

    def measure(self) -> None:
        """Count again what waits: another process may have drained some of it."""
        with self._appending:
            self.pending_bytes = self._waiting_bytes()

    def close(self) -> None:
        """Sync and stop; what is not drained stays for the next drain of any process."""
        self._closing.set()
        self._flusher.join()
        with self._syncing, self._appending:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def _write(self, line: bytes) -> None:
        if self._writer is None:
            self._number += 1
            self._writer = SegmentWriter(self.directory, self._number)
        self._writer.append(line)
        self._unsynced.append(line)
        self.pending_bytes += len(line)

    def _fresh(self) -> SegmentWriter | None:
        """Another segment; None where the disk has no room for it."""
        self._number += 1
        try:
            return SegmentWriter(self.directory, self._number)
        except OSError as error:
            self.fault = f"{self.directory}: {error.strerror}"
            return None

    def _give_up(self, lost: list[bytes] | None = None) -> None:
        """Close the segment and go on in another, which gets the lines that are not surely kept."""
        # files are made and synced outside the lock that an append waits for
        fresh = self._fresh()
        with self._appending:
            sealed, self._writer = self._writer, fresh
            unsynced, self._unsynced = self._unsynced, []
        try:
            if sealed is not None:
                sealed.close()
        except OSError as error:
            self.fault = f"{self.directory}: {error.strerror}"
            lost = [*(lost or ()), *unsynced]
        with self._appending, suppress(OSError):
            for line in lost or ():
                self._write(line)

    def _flush(self, interval: float) -> None:
        pause = interval
        while not self._closing.wait(pause):
            try:
                self.sync()
                self.fault, pause = None, interval
            except OSError as error:
                self.fault = f"{self.directory}: {error.strerror}"
                pause = max(interval, _PAUSE_SECONDS)

    def _waiting_bytes(self) -> int:
        return sum(_size(path) for path in segments(self.directory))


def decided_first(decision: Decision) -> tuple[int, str]:
    """Orders decisions about one subject: the smallest one stands, in every place."""
    return decision.decided_at, decision.request_id


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
