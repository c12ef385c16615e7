"""A file that only grows, put aside when it is large or old, so that it never fills the disk."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lib.durable.files import PRIVATE_FILE, locked, make_folder, narrow


class RotatingFile:
    """Appends to a file of mode 600 that rotates: `app.log` becomes `app.log.1`, that `.2`.

    Several processes may append to one file, and other programs (logrotate) may rename or remove
    it: each looks at every write whether the name is still that of the file it has open. A
    rotation is done by one of them under a lock. Not safe for threads.

    Args:
        path: the file; folders above it are made, mode 700.
        most_bytes: larger than that it is put aside.
        most_files: so many that were put aside are kept; 0 keeps none.
        most_seconds: older ones that were put aside are removed, and a file as old is put aside;
            0 sets no age.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: int = 64 << 20,
        most_files: int = 8,
        most_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._clock = path, clock
        self._most_bytes, self._most_files = most_bytes, most_files
        self._most_seconds = most_seconds
        self._descriptor: int | None = None

    def write(self, content: bytes) -> None:
        """Append whole lines, after a rotation where one is due.

        Raises:
            OSError: the disk is full or gone.
        """
        descriptor = self._current()
        if self._is_due(descriptor, len(content)):
            self._rotate(descriptor)
            descriptor = self._current()
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _current(self) -> int:
        """The file that bears the name now."""
        if self._descriptor is not None and not _is_at(self._descriptor, self._path):
            self.close()
        if self._descriptor is None:
            make_folder(self._path.parent)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._descriptor = os.open(self._path, flags, PRIVATE_FILE)
            narrow(self._path)
            if self._most_seconds > 0 and os.fstat(self._descriptor).st_size == 0:
                self._mark_beginning()
        return self._descriptor

    def _is_due(self, descriptor: int, more: int) -> bool:
        size = os.fstat(descriptor).st_size
        if size == 0:
            return False
        return size + more > self._most_bytes or (
            self._most_seconds > 0 and self._is_old(self._begun())
        )

    def _begun(self) -> float:
        """When the file was begun: its first rotation wrote it down as the lock file's time."""
        with suppress(FileNotFoundError):
            return self._lock.stat().st_mtime
        self._mark_beginning()
        return self._clock()

    def _is_old(self, since: float) -> bool:
        return self._most_seconds > 0 and self._clock() - since > self._most_seconds

    @property
    def _lock(self) -> Path:
        return self._path.with_name(f".{self._path.name}.lock")

    def _mark_beginning(self) -> None:
        with locked(self._lock):
            os.utime(self._lock, (self._clock(), self._clock()))

    def _rotate(self, descriptor: int) -> None:
        with locked(self._lock):
            if not _is_at(descriptor, self._path):
                return  # another process did it
            if self._most_files == 0:
                self._path.unlink(missing_ok=True)
            for number in range(self._most_files, 0, -1):
                source = self._aside(number - 1) if number > 1 else self._path
                with suppress(FileNotFoundError):
                    source.replace(self._aside(number))
            for number in range(1, self._most_files + 1):
                self._remove_old(self._aside(number))
            os.utime(self._lock, (self._clock(), self._clock()))

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _remove_old(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            if self._is_old(path.stat().st_mtime):
                path.unlink()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
