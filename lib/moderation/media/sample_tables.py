"""Counts in the tables of MP4 and MOV files, read before a demuxer builds its index of them.

ISO/IEC 14496-12: a table may state any number of samples without a byte for each, and a demuxer
takes 24 bytes or more for every one of them.
"""

from dataclasses import dataclass

from lib.moderation.media.limits import MediaError

MOST_SAMPLES = 500_000
"""Entries that the tables of one track, or of all fragments, may hold."""

_MOST_BOXES = 300_000
_DEEPEST = 8
_CONTAINERS = frozenset(
    (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"mvex", b"moof", b"traf")
)
# by table: where its count lies in the box, from its version on
_COUNTS = {
    b"stts": 4, b"ctts": 4, b"stsc": 4, b"stco": 4, b"co64": 4, b"stss": 4, b"elst": 4,
    b"stsz": 8, b"stz2": 8, b"trun": 4,
}  # fmt: skip
_HANDLER = 8
"""Where the kind of a track lies in its handler box."""


def check_sample_tables(content: bytes) -> None:
    """Refuse an MP4 whose tables state more entries than a video within limits has.

    Tracks of sound are not counted: uncompressed sound has a sample for each 20 microseconds, which
    costs a demuxer nothing.

    Raises:
        MediaError: too_many_frames.
    """
    _Tables(content).check()


@dataclass
class _Track:
    """What the boxes of one track say."""

    entries: int = 0
    is_sound: bool = False


class _Tables:
    """Walks through the boxes of a file."""

    def __init__(self, content: bytes) -> None:
        self._content, self._boxes = content, 0
        self._fragments = _Track()
        self._tracks: list[_Track] = []

    def check(self) -> None:
        """See `check_sample_tables`."""
        self._walk(0, len(self._content), self._fragments, 0)
        most = max(
            0 if table.is_sound else table.entries for table in [self._fragments, *self._tracks]
        )
        if most > MOST_SAMPLES:
            text = f"expected tables of at most {MOST_SAMPLES:,} entries, got {most:,}"
            raise MediaError("too_many_frames", text)

    def _walk(self, start: int, end: int, track: _Track, depth: int) -> None:
        while start + 8 <= end:
            self._boxes += 1
            if self._boxes > _MOST_BOXES:
                raise MediaError("broken", f"expected at most {_MOST_BOXES:,} boxes, got more")
            head = 8
            size = int.from_bytes(self._content[start : start + 4], "big")
            name = self._content[start + 4 : start + 8]
            if size == 1:
                head, size = 16, int.from_bytes(self._content[start + 8 : start + 16], "big")
            stop = end if size < head else min(start + size, end)
            self._read(name, start + head, stop, track, depth)
            start = stop

    def _read(self, name: bytes, start: int, end: int, track: _Track, depth: int) -> None:
        if name in _CONTAINERS and depth < _DEEPEST:
            if name == b"trak":
                track = _Track()
                self._tracks.append(track)
            self._walk(start, end, track, depth + 1)
        elif name == b"hdlr":
            track.is_sound |= self._content[start + _HANDLER : start + _HANDLER + 4] == b"soun"
        elif name in _COUNTS:
            offset = start + _COUNTS[name]
            track.entries += int.from_bytes(self._content[offset : offset + 4], "big")
