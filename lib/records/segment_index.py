"""Where decisions stand in the segments of a directory, so that a look-up reads one line."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

from lib.records.json_codec import write_json
from lib.records.models import Decision
from lib.records.segment import decode_line, segments

_CHUNK_BYTES = 4 << 20
# the columns of a decision are written in their order: its names come first
_NAMES = re.compile(
    rb'[0-9a-f]{8} \d+ \{"system":("(?:[^"\\]|\\.)*"),"subject_id":("(?:[^"\\]|\\.)*"),'
)


class SegmentIndex:
    """Offsets of lines by system and subject, read on as segments grow. Safe for threads.

    A segment is read once; a look-up then costs one `stat` per segment and the lines it asks for.
    It keeps about 200 bytes of memory per decision that waits.

    Args:
        directory: of the segments, whoever writes them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._segments: dict[Path, _Segment] = {}

    def find(self, system: str, subject_id: str) -> list[Decision]:
        """Every decision about a subject that is in a segment now."""
        name = hash((write_json(system), write_json(subject_id)))
        with self._lock:
            self._read_on()
            lines = [line for segment in self._segments.values() for line in segment.lines_of(name)]
        decisions = (decode_line(line) for line in lines)
        return [
            decision
            for decision in decisions
            if decision is not None
            and (decision.system, decision.subject_id) == (system, subject_id)
        ]

    def _read_on(self) -> None:
        present = segments(self._directory)
        for old_path in self._segments.keys() - set(present):
            del self._segments[old_path]
        for path in present:
            self._segments.setdefault(path, _Segment(path)).read_on()


class _Segment:
    """What was read of one segment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        self._offsets: dict[int, tuple[int, ...]] = {}

    def read_on(self) -> None:
        """Note the lines that were appended since."""
        try:
            if self._path.stat().st_size <= self._end:
                return
            for offset, line in self._new_lines():
                if (names := _NAMES.match(line)) is not None:
                    self._note(hash((names[1], names[2])), offset)
        except FileNotFoundError:  # drained meanwhile
            self._offsets.clear()

    def lines_of(self, name: int) -> list[bytes]:
        """The lines under a name; none where a drain removed the segment."""
        try:
            return [self._line_at(at) for at in self._offsets.get(name, ())]
        except FileNotFoundError:
            return []

    def _note(self, name: int, offset: int) -> None:
        self._offsets[name] = (*self._offsets.get(name, ()), offset)

    def _new_lines(self) -> Iterator[tuple[int, bytes]]:
        with self._path.open("rb") as file:
            file.seek(self._end)
            rest = b""
            while chunk := file.read(_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield self._end, line
                    self._end += len(line) + 1

    def _line_at(self, offset: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.readline()
