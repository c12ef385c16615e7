"""One file of a decision log: a line per decision, each with its length and checksum.

A line is `<crc32 in hex> <bytes> <JSON>`; the file's owner holds an exclusive `flock` on it for
as long as it lives, so that whoever gets the lock knows that nobody writes any more.
"""

import fcntl
import os
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.durable import replace_file, sync
from lib.records.json_codec import read_json, write_json
from lib.records.models import Decision, Row, decision_from_row, is_decision_row

SUFFIX = ".journal"


@dataclass(frozen=True)
class SegmentContent:
    """What a segment holds.

    Attributes:
        rows: columns of the decisions whose line is whole, in the order in which they were
            appended.
        damaged: lines with a wrong length or checksum, or that are no decision.
        torn: bytes after the last line end: an append that never finished.
    """

    rows: list[Row]
    damaged: list[bytes]
    torn: bytes


class SegmentWriter:
    """Appends to a new segment in `directory`. Not safe for threads: the log holds the lock."""

    def __init__(self, directory: Path, number: int) -> None:
        self.path = directory / f"{number:08d}-{uuid.uuid4().hex}{SUFFIX}"
        self.size = 0
        draft = self.path.with_suffix(".tmp")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._descriptor = os.open(draft, flags, 0o600)
        try:
            # locked before it has its name: a drain never takes a living segment for a dead one
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(self.path)
            sync(directory)
        except BaseException:
            os.close(self._descriptor)
            draft.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            raise

    def append(self, line: bytes) -> None:
        """Hand a line to the operating system: it survives this process, not a power cut.

        Raises:
            OSError: the disk is full or gone; the segment is as it was before.
        """
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                raise OSError(f"{self.path}: wrote {written} of {len(line)} bytes; is it full?")
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(line)

    def sync(self) -> None:
        """Bring every line to the disk: it survives a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and give up the segment, for a drain to take; an empty one goes at once.

        Raises:
            OSError: the sync failed; the segment is given up all the same.
        """
        try:
            if self.size == 0:
                self.path.unlink(missing_ok=True)
            else:
                self.sync()
        finally:
            os.close(self._descriptor)


def encode_row(row: Row) -> bytes:
    """Write the columns of a decision as one line.

    Raises:
        ValueError: they hold a value that JSON cannot.
    """
    # the names come first, where `SegmentIndex` looks for them
    row = {"system": row["system"], "subject_id": row["subject_id"], **row}
    payload = write_json(row)
    return b"%08x %d %s\n" % (zlib.crc32(payload), len(payload), payload)


def read_segment(path: Path) -> SegmentContent:
    """Read a segment, also one that is being written or whose owner died in the middle."""
    *lines, torn = path.read_bytes().split(b"\n")
    rows, damaged = [], []
    for line in lines:
        row = decode_row(line)
        if row is None:
            damaged.append(line)
        else:
            rows.append(row)
    return SegmentContent(rows, damaged, torn)


def decode_line(line: bytes) -> Decision | None:
    """The decision of a line; None where the line is not whole."""
    row = decode_row(line)
    return None if row is None else decision_from_row(row)


def decode_row(line: bytes) -> Row | None:
    """The columns of the decision of a line; None where the line is not whole."""
    try:
        checksum, length, payload = line.rstrip(b"\n").split(b" ", 2)
        if int(length) != len(payload) or int(checksum, 16) != zlib.crc32(payload):
            return None
        row = read_json(payload)
    except ValueError:
        return None
    return row if is_decision_row(row) else None


def drop_lines(
    directory: Path, is_dropped: Callable[[Row | None, bytes], bool], *, count_only: bool
) -> int:
    """Take lines out of what drains left aside (`*.rejected`, `*.damaged`); returns how many.

    Args:
        directory: of the logs.
        is_dropped: says of a line's columns (None where it cannot be read) and bytes whether it
            goes.
        count_only: leave the files as they are.
    """
    dropped = 0
    for path in sorted([*directory.glob("*.rejected"), *directory.glob("*.damaged")]):
        lines = path.read_bytes().splitlines()
        left = [line for line in lines if not is_dropped(decode_row(line), line)]
        dropped += len(lines) - len(left)
        if count_only or len(left) == len(lines):
            continue
        if left:
            replace_file(path, b"\n".join([*left, b""]))
        else:
            path.unlink()
    return dropped


def segments(directory: Path) -> list[Path]:
    """Every segment of a directory, in the order in which each process wrote its own."""
    return sorted(directory.glob(f"*{SUFFIX}"))


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold a segment that nobody writes or drains; False where somebody does, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # another drain may have removed it between the open and the lock
        yield os.fstat(descriptor).st_nlink > 0
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
