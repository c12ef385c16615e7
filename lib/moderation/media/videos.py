"""Videos from bytes, sampled within limits by PyAV (FFmpeg).

Only MP4/MOV, Matroska/WebM and AVI are opened, each by its own demuxer as its first bytes say:
FFmpeg's own guess would follow playlists to wherever their author wants. All packets are read
before any is decoded, which takes no more memory than the bytes at hand: frames and playing time
are counted instead of believed, and only groups of pictures that hold a wanted frame are decoded.
"""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lib.moderation.media.frame_decoder import Coded, Pictures
from lib.moderation.media.limits import Limits, MediaError, check_bytes, refusal
from lib.moderation.media.sample_tables import check_sample_tables

SAMPLES = 16
"""Frames of a clip unless told otherwise."""

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg")
"""Decoders that are used; others are refused."""

_COVER = Disposition.attached_pic

_PROBING = {"probesize": "5000000", "analyzeduration": "0"}


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames sampled from a video.

    Attributes:
        frames: uint8 (T, H, W, 3), RGB.
        times_s: float64 (T,), seconds from the first frame of the video, rising.
        duration_s: playing time in seconds, as its frames say.
    """

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    duration_s: float


def decode_video(content: bytes, limits: Limits | None = None, samples: int = SAMPLES) -> Clip:
    """At most `samples` frames, those shown in the middle of equal parts of the playing time.

    They come as a player shows them, turned as the file says.

    Args:
        content: an encoded video; its sound is not read.
        limits: what is refused; frames longer than `video_side` are scaled down to it.
        samples: frames wanted, at least 1; fewer come back where the video has fewer.

    Raises:
        MediaError: empty, too_large, not_a_video, too_many_pixels, no_frames, too_many_frames,
            too_long, truncated, broken, or too_slow to decode.
    """
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, got {samples}")
    limits = limits or Limits()
    deadline = time.monotonic() + limits.decode_seconds
    with _opened(content, limits) as container:
        stream = _stream(container, limits)
        coded = _coded(container, stream, limits, deadline)
        return _clip(Pictures(stream.codec_context, coded, limits, deadline), samples)


@contextmanager
def _opened(content: bytes, limits: Limits) -> Iterator[InputContainer]:
    """A container; whatever FFmpeg or its binding raises becomes a MediaError."""
    kind = container_of(content, limits)
    if kind == "mp4":
        check_sample_tables(content)
    options = _PROBING | {"max_pixels": str(limits.video_pixels)}
    try:
        with av.open(
            io.BytesIO(content),
            mode="r",
            format=kind,
            options=options,
            metadata_errors="replace",
            io_open=_no_other_file,
        ) as container:
            yield container
    except MediaError:
        raise
    # a demuxer of foreign bytes raises whatever it meets
    except Exception as error:
        reason = "truncated" if isinstance(error, av.error.EOFError) else "broken"
        raise refusal(error, reason, "expected a video that can be decoded") from error


def container_of(content: bytes, limits: Limits) -> str:
    """The demuxer for the container, by its first bytes.

    Raises:
        MediaError: empty, too_large or not_a_video.
    """
    check_bytes(content, limits.video_bytes, "a video")
    if content[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
        return "mp4"
    if content[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if content[:4] == b"RIFF" and content[8:12] == b"AVI ":
        return "avi"
    raise MediaError("not_a_video", "expected MP4, MOV, WebM, Matroska or AVI")


def _no_other_file(url: str, *_: object) -> None:
    raise MediaError("broken", f"expected a video in one file, got a reference to {url[:100]!r}")


def _stream(container: InputContainer, limits: Limits) -> VideoStream:
    # covers are pictures, too, but no player plays them
    streams = [track for track in container.streams.video if not track.disposition & _COVER]
    if not streams:
        raise MediaError("no_frames", "expected a video, got a file with no pictures in it")
    if len(streams) > 1:
        raise MediaError("broken", f"expected one track of pictures, got {len(streams)}")
    stream = streams[0]
    codec = stream.codec_context
    if codec is None or codec.name not in CODECS:
        name = "an unknown one" if codec is None else codec.name
        raise MediaError("not_a_video", f"expected one of {', '.join(CODECS)}, got {name}")
    if codec.width * codec.height > limits.video_pixels:
        raise MediaError(
            "too_many_pixels",
            f"expected at most {limits.video_pixels:,} pixels, got {codec.width} x {codec.height}",
        )
    return stream


def _coded(
    container: InputContainer, stream: VideoStream, limits: Limits, deadline: float
) -> list[Coded]:
    """The stream's packets in the order of decoding."""
    packets: list[Coded] = []
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if len(packets) >= limits.video_frames:
            raise MediaError("too_many_frames", f"expected at most {limits.video_frames:,} frames")
        if time.monotonic() > deadline:
            raise MediaError("too_slow", f"reading took over {limits.decode_seconds:g} s")
        stamp = packet.dts if packet.pts is None else packet.pts
        packets.append(Coded(packet, len(packets) if stamp is None else stamp, packet.is_keyframe))
    if not packets:
        raise MediaError("no_frames", "expected at least one frame, got none")
    _check_duration(packets, stream, limits)
    return packets


def _check_duration(coded: list[Coded], stream: VideoStream, limits: Limits) -> None:
    stamps = [packet.stamp for packet in coded]
    seconds = float((max(stamps) - min(stamps)) * (stream.time_base or 0))
    if seconds > limits.video_seconds:
        raise MediaError(
            "too_long", f"expected at most {limits.video_seconds:g} s, got {seconds:.1f} s"
        )


def _clip(pictures: Pictures, samples: int) -> Clip:
    middles = (np.arange(samples) + 0.5) / samples
    sampled = pictures.at(pictures.shown_at(middles))
    if not sampled:
        raise MediaError("no_frames", "expected at least one frame that can be decoded, got none")
    times = pictures.seconds(np.array([stamp for stamp, _ in sampled]))
    frames = np.stack([pixels for _, pixels in sampled])
    return Clip(frames, times, pictures.duration_s)
