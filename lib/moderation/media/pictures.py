"""The pictures of a coded video stream at wanted moments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lib.moderation.media.limits import Limits, MediaError


@dataclass(frozen=True, slots=True)
class Coded:
    """One packet of a stream, one picture in it.

    Attributes:
        packet: as demuxed.
        stamp: when it is shown, in ticks of the stream.
        is_key: whether decoding can start at it.
    """

    packet: Packet[VideoStream]
    stamp: int
    is_key: bool


class Pictures:
    """Decodes single pictures of a stream, each group of pictures at most once.

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
        self._used = False
        codec.thread_count = 1
        codec.options = {"max_pixels": str(limits.video_pixels)}
        self.stamps: NDArray[np.int64] = np.unique([one.stamp for one in coded])
        """Moments of all pictures, in ticks, rising."""

    @property
    def duration_s(self) -> float:
        """Playing time in seconds: the last picture is shown as long as the usual one."""
        usual = float(np.median(np.diff(self.stamps))) if len(self.stamps) > 1 else 0.0
        return float(self.seconds(self.stamps[-1:])[0]) + usual * self._tick

    def seconds(self, stamps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Ticks as seconds from the first picture."""
        since: NDArray[np.float64] = (stamps - self.stamps[0]).astype(np.float64)
        return since * self._tick

    def at(self, stamps: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """The picture at each moment, or the next one after it that decodes.

        Args:
            stamps: ticks, rising.

        Yields:
            Its ticks and uint8 (H, W, 3) RGB, all of one size; no picture twice.
        """
        waiting = sorted(stamps.tolist())
        for start, end in self._groups():
            within = [one for one in waiting if one <= self._latest(start, end)]
            if not within:
                continue
            for frame in self._decoded(start, end):
                stamp = frame.pts if frame.pts is not None else within[0]
                if within and stamp >= within[0]:
                    yield stamp, self._pixels(frame)
                    within = [one for one in within if one > stamp]
                if not within:
                    break
            waiting = [one for one in waiting if one > self._latest(start, end)]

    @property
    def _tick(self) -> float:
        return float(self._coded[0].packet.time_base or 0)

    def _groups(self) -> list[tuple[int, int]]:
        """Where each group of pictures starts and ends among the packets."""
        starts = [place for place, one in enumerate(self._coded) if one.is_key and place]
        return list(pairwise([0, *starts, len(self._coded)]))

    def _latest(self, start: int, end: int) -> int:
        return max(one.stamp for one in self._coded[start:end])

    def _decoded(self, start: int, end: int) -> Iterator[VideoFrame]:
        if self._used:
            self._codec.flush_buffers()
        self._used = True
        for one in self._coded[start:end]:
            if time.monotonic() > self._deadline:
                raise MediaError(
                    "too_slow", f"decoding took over {self._limits.decode_seconds:g} s"
                )
            yield from self._codec.decode(one.packet)
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
        return np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height))
