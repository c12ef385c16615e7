"""The pictures of a coded video stream at wanted moments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lib.moderation.media.limits import Limits, MediaError

Picture = tuple[int, NDArray[np.uint8]]
"""When it is shown, in ticks of its stream; and uint8 (H, W, 3), RGB."""


class _FalseKeyError(Exception):
    """A packet that calls itself a key starts with a picture that needs earlier ones."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One packet of a stream, one picture in it.

    Attributes:
        packet: as demuxed.
        stamp: when it is shown, in ticks of the stream.
        is_key: whether decoding can start at it, as the container says.
    """

    packet: Packet[VideoStream]
    stamp: int
    is_key: bool


class Pictures:
    """Decodes single pictures of a stream, and of the others only those that these build on.

    Args:
        codec: the stream's decoder, not used yet.
        coded: at least one packet, in the order of decoding.
        limits: of pixels, of the longer side of what comes out.
        deadline: of the monotonic clock.
    """

    def __init__(
        self, codec: VideoCodecContext, coded: list[Coded], limits: Limits, deadline: float
    ) -> None:
        self._codec, self._coded, self._limits, self._deadline = codec, coded, limits, deadline
        self._size: tuple[int, int] | None = None
        self._quarters: int | None = None
        self._used, self._fed = False, 0
        codec.thread_count = 1
        codec.options = {"max_pixels": str(limits.video_pixels)}
        self.stamps: NDArray[np.int64] = np.unique([packet.stamp for packet in coded])
        """Moments of all pictures, in ticks, rising."""

    @property
    def duration_s(self) -> float:
        """Playing time in seconds: the last picture is shown as long as the usual one."""
        return self._ticks * self._tick

    @property
    def _ticks(self) -> float:
        usual = float(np.median(np.diff(self.stamps))) if len(self.stamps) > 1 else 0.0
        return float(self.stamps[-1] - self.stamps[0]) + usual

    def shown_at(self, shares: NDArray[np.float64]) -> NDArray[np.int64]:
        """The moments, each once, of the pictures that are on show at shares of the playing time.

        By time and not by number: a thousand frames of a second's length weigh a second.
        """
        moments = self.stamps[0] + shares * self._ticks
        indices = np.searchsorted(self.stamps, moments, side="right") - 1
        stamps: NDArray[np.int64] = self.stamps[np.unique(indices)]
        return stamps

    def seconds(self, stamps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Ticks as seconds from the first picture."""
        since: NDArray[np.float64] = (stamps - self.stamps[0]).astype(np.float64)
        return since * self._tick

    def at(self, stamps: NDArray[np.int64]) -> list[Picture]:
        """The picture at each moment, or the next one after it that decodes, and its ticks.

        Args:
            stamps: ticks, rising.

        Returns:
            Ticks and uint8 (H, W, 3) RGB, all of one size; no picture twice.
        """
        targets = sorted(stamps.tolist())
        try:
            return self._pictures_at(targets, self._keys())
        except _FalseKeyError:
            # a player goes through from the start and so do we: else what it shows stays unseen
            return self._pictures_at(targets, [])

    def _keys(self) -> list[tuple[int, int]]:
        """Place and ticks of every packet that decoding can start at, as the container says."""
        return [(index, packet.stamp) for index, packet in enumerate(self._coded) if packet.is_key]

    def _pictures_at(self, targets: list[int], keys: list[tuple[int, int]]) -> list[Picture]:
        pictures: list[Picture] = []
        frames, self._fed = self._decoded(0), 0
        for stamp in targets:
            if pictures and pictures[-1][0] >= stamp:
                continue
            # a picture before a key may come behind it and need what went before it, too
            start = max((index for index, ticks in keys if ticks <= stamp), default=0)
            if start > self._fed:
                frames = self._decoded(start)
            pictures += self._first_from(stamp, frames)
        return pictures

    def _first_from(self, stamp: int, frames: Iterator[VideoFrame]) -> Iterator[Picture]:
        for frame in frames:
            ticks = stamp if frame.pts is None else frame.pts
            if ticks >= stamp:
                yield ticks, self._pixels(frame)
                return

    @property
    def _tick(self) -> float:
        return float(self._coded[0].packet.time_base or 0)

    def _decoded(self, start: int) -> Iterator[VideoFrame]:
        """Frames from a packet on; the decoder forgets what it had."""
        if self._used:
            self._codec.flush_buffers()
        self._used, certain = True, not start
        for index in range(start, len(self._coded)):
            self._fed = index
            if time.monotonic() > self._deadline:
                raise MediaError(
                    "too_slow", f"decoding took over {self._limits.decode_seconds:g} s"
                )
            for frame in self._codec.decode(self._coded[index].packet):
                if not (certain or frame.key_frame):
                    raise _FalseKeyError
                certain = True
                yield frame
        yield from self._codec.decode(None)

    def _pixels(self, frame: VideoFrame) -> NDArray[np.uint8]:
        if frame.width * frame.height > self._limits.video_pixels:
            raise MediaError(
                "too_many_pixels",
                f"expected at most {self._limits.video_pixels:,} pixels, "
                f"got {frame.width} x {frame.height}",
            )
        if self._size is None:
            share = min(1.0, self._limits.video_side / max(frame.width, frame.height))
            self._size = max(1, round(frame.width * share)), max(1, round(frame.height * share))
        width, height = self._size
        # a scaler's threads would take more memory for their stacks than a picture
        small = frame.reformat(width=width, height=height, format="rgb24", threads=1)
        pixels = np.asarray(small.to_ndarray())
        return np.rot90(pixels, self._turns(frame))

    def _turns(self, frame: VideoFrame) -> int:
        """Quarter turns, counter-clockwise, as the first frame says for all."""
        if self._quarters is None:
            self._quarters = round(frame.rotation / 90) % 4
        return self._quarters
