"""What a decoder process and its caller send each other: JSON about it, then plain bytes.

Nothing is pickled. The caller believes nothing that a decoder says: counts, sizes and reasons are
checked before memory is taken for them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lib.moderation.media.limits import REASONS, Limits, MediaError

READY = b"ready\n"
"""What a decoder process sends first."""

_LENGTH_BYTES = 4
_ABOUT_BYTES = 1 << 16
_WORDS = 300


class MessageError(RuntimeError):
    """The other process sent something else than was agreed, or nothing."""


def write_request(
    stream: BinaryIO, kind: str, content: bytes, limits: Limits, samples: int, seconds: float
) -> None:
    """Write a medium to decode.

    Args:
        stream: to the decoder process.
        kind: `image` or `video`.
        content: encoded bytes.
        limits: what is refused.
        samples: frames wanted of a video.
        seconds: of CPU time that decoding may take.
    """
    about = {
        "kind": kind,
        "bytes": len(content),
        "limits": asdict(limits),
        "samples": samples,
        "seconds": seconds,
    }
    _write_about(stream, about)
    _write_all(stream, memoryview(content))


def read_request(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """What `write_request` wrote; None at the end of the stream."""
    length = stream.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        return None
    about = json.loads(stream.read(int.from_bytes(length, "big")))
    content = stream.read(about["bytes"])
    return None if len(content) < about["bytes"] else (about, content)


def write_frames(
    stream: BinaryIO,
    frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    times_s: NDArray[np.float64] | None = None,
    duration_s: float = 0.0,
    fault: MediaError | None = None,
    is_last: bool = False,
) -> None:
    """Write frames, uint8 (H, W, 3) each, and what could not be decoded beside them.

    Args:
        stream: to the caller.
        frames: each of its own size.
        times_s: of each frame, seconds.
        duration_s: playing time, seconds.
        fault: why something could not be decoded.
        is_last: whether the process ends after this answer.
    """
    about = {
        "shapes": [frame.shape for frame in frames],
        "times_s": [] if times_s is None else times_s.tolist(),
        "duration_s": duration_s,
        "fault": None if fault is None else [fault.reason, fault.words],
        "is_last": is_last,
    }
    _write_about(stream, about)
    for pixels in frames:
        _write_all(stream, np.ascontiguousarray(pixels).reshape(-1).data)


def read_frames(
    stream: BinaryIO, most_frames: int, most_side: int
) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
    """What `write_frames` wrote, within what the caller asked for.

    Args:
        stream: from the decoder process.
        most_frames: that may come.
        most_side: pixels of the longer side of a frame.

    Returns:
        `times_s`, `duration_s`, `fault` (a MediaError or None) and `is_last`; and the frames.

    Raises:
        MessageError: the stream ended, or holds something else.
    """
    length = int.from_bytes(_exactly(stream, _LENGTH_BYTES), "big")
    if length > _ABOUT_BYTES:
        raise MessageError(f"expected at most {_ABOUT_BYTES} bytes about frames, got {length}")
    try:
        about = json.loads(_exactly(stream, length))
        shapes = [_shape(shape, most_side) for shape in about["shapes"]]
        times = np.array(about["times_s"], dtype=np.float64)
        fault = _fault(about["fault"])
        duration, is_last = float(about["duration_s"]), bool(about["is_last"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MessageError(f"expected frames, got {type(error).__name__}: {error}") from error
    if len(shapes) > most_frames or times.shape not in {(0,), (len(shapes),)}:
        raise MessageError(f"expected at most {most_frames} frames, got {len(shapes)}")
    if not shapes and fault is None:
        raise MessageError("expected frames or a reason, got neither")
    frames = [
        np.frombuffer(_exactly(stream, prod(shape)), dtype=np.uint8).reshape(shape)
        for shape in shapes
    ]
    answer = {"times_s": times, "duration_s": duration, "fault": fault, "is_last": is_last}
    return answer, frames


def _write_about(stream: BinaryIO, about: Mapping[str, Any]) -> None:
    text = json.dumps(about).encode()
    _write_all(stream, memoryview(len(text).to_bytes(_LENGTH_BYTES, "big") + text))


def _write_all(stream: BinaryIO, content: memoryview) -> None:
    # an unbuffered pipe takes as much at a time as it has room for
    written = 0
    while written < len(content):
        written += stream.write(content[written:])


def _exactly(stream: BinaryIO, count: int) -> bytearray:
    content = bytearray(count)
    view = memoryview(content)
    filled = 0
    while filled < count:
        size = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not size:
            raise MessageError(f"expected {count} bytes, got {filled}")
        filled += size
    return content


def _shape(shape: Any, most_side: int) -> tuple[int, int, int]:
    height, width, channels = (int(side) for side in shape)
    if not (1 <= height <= most_side and 1 <= width <= most_side and channels == 3):
        raise ValueError(f"shape {shape!r}")
    return height, width, channels


def _fault(fault: Any) -> MediaError | None:
    if fault is None:
        return None
    reason, message = (str(part) for part in fault)
    return MediaError(reason if reason in REASONS else "broken", message[:_WORDS])
