"""Images from bytes, decoded within limits by Pillow.

The header is read first: an image that declares more pixels than allowed is refused before any of
them is decoded. Only formats that browsers show are opened (JPEG, PNG, WebP, GIF, BMP, AVIF).
Pixels come out as a viewer sees them: turned as EXIF says, transparency over white, CMYK, palettes
and 16-bit grey as 8-bit RGB. Profiles and texts are not read; of a JPEG with further pictures in
it (MPF: previews, gain maps) only the first is shown.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lib.moderation.media.animations import gif_frames, png_without_metadata
from lib.moderation.media.limits import Limits, MediaError, check_bytes, refusal
from lib.moderation.media.shrinking import shrunk, upright

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")

_ANIMATION_PIXELS = 8
"""Pixels of all frames of an animation that are decoded, in multiples of `image_pixels`."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What was decoded of an image.

    Attributes:
        frames: uint8 (H, W, 3), RGB; one of a still image.
        fault: why a part of an animation was not looked at; None where all of it could be.
    """

    frames: tuple[Pixels, ...]
    fault: MediaError | None = None


def decode_frames(content: bytes, limits: Limits | None = None) -> Frames:
    """Frames of an animated image, the first always among them, spread evenly over its length.

    What happens late in an animation is as visible as its first frame. Frames before a broken one
    are kept, and the fault says that there was more.

    Args:
        content: an encoded image.
        limits: what is refused; an image longer than `image_side` is scaled down to it, and
            `animation_frames` is how many frames at most come back.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        MediaError: empty, too_large, too_many_pixels, truncated, broken or not_an_image: the first
            frame cannot be decoded.
    """
    limits = limits or Limits()
    with _opened(content, limits) as (image, count):
        return _sampled(image, count, content, limits)


def check_image_bytes(content: bytes, limits: Limits) -> None:
    """Refuse bytes that are none or too many.

    Raises:
        MediaError: empty or too_large.
    """
    check_bytes(content, limits.image_bytes, "an image")


@contextmanager
def _opened(content: bytes, limits: Limits) -> Iterator[tuple[Image.Image, int]]:
    """An image whose header is within limits, and its frames; all else becomes a MediaError."""
    check_image_bytes(content, limits)
    try:
        image_bytes, later = content, 0
        if content.startswith(b"\x89PNG"):
            image_bytes, later = png_without_metadata(content)
        with Image.open(io.BytesIO(image_bytes), formats=FORMATS) as image:
            _check_pixels(image.size, limits)
            yield image, _count(image, content, later, limits)
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError("too_many_pixels", str(error)) from error
    # decoders of foreign bytes raise whatever their format's parser meets
    except Exception as error:
        raise _refusal(content, error) from error


def _count(image: Image.Image, content: bytes, later: int, limits: Limits) -> int:
    """Frames that a viewer plays, at least 1; counted up to one beyond the limit."""
    if image.format == "GIF":
        return max(1, gif_frames(content, limits.animation_length + 1))
    if image.format == "PNG":
        return min(int(getattr(image, "n_frames", 1)), later + 1)
    # a JPEG with an index of further pictures (MPO) shows its first
    return int(getattr(image, "n_frames", 1)) if image.format in {"WEBP", "AVIF"} else 1


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.image_pixels:
        raise MediaError(
            "too_many_pixels",
            f"expected at most {limits.image_pixels:,} pixels, got {width} x {height}",
        )


def _refusal(content: bytes, error: Exception) -> MediaError:
    if isinstance(error, MemoryError):
        return refusal(error, "too_large", "")
    if "truncat" in str(error).lower() or _cut(content):
        return refusal(error, "truncated", "expected a whole image")
    if isinstance(error, UnidentifiedImageError):
        return MediaError("not_an_image", f"expected one of {', '.join(FORMATS)}")
    return refusal(error, "broken", "expected an image that can be decoded")


def _cut(content: bytes) -> bool:
    """Whether a RIFF file (WebP) says that it is longer than it is."""
    return content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content)


def _sampled(image: Image.Image, count: int, content: bytes, limits: Limits) -> Frames:
    deadline = time.monotonic() + limits.image_seconds
    budget = _ANIMATION_PIXELS * limits.image_pixels // (image.width * image.height)
    last = max(min(count, budget, limits.animation_length), 1) - 1
    frame_count = min(limits.animation_frames, last + 1)
    frames: list[Pixels] = []
    for index in np.unique(np.linspace(0, last, frame_count).round().astype(int)).tolist():
        try:
            if frames and time.monotonic() > deadline:
                raise MediaError("too_slow", f"decoding took over {limits.image_seconds:g} s")
            if index:
                image.seek(index)
            frames.append(_rgb(image, limits.image_side))
        # the frames before it are what a viewer shows, too
        except Exception as error:
            if not frames:
                raise
            fault = error if isinstance(error, MediaError) else _refusal(content, error)
            return Frames(tuple(frames), fault)
    if last + 1 < count:
        message = f"expected at most {last + 1:,} frames of this size; the later ones were not seen"
        return Frames(tuple(frames), MediaError("too_many_frames", message))
    return Frames(tuple(frames))


def _rgb(image: Image.Image, side: int) -> Pixels:
    # a JPEG is decoded at half, a quarter or an eighth of its size where that is enough
    image.draft(image.mode, (side, side))
    image.load()
    return np.array(upright(shrunk(image, side), image), dtype=np.uint8)
