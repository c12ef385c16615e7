"""Images from bytes, decoded within limits by Pillow.

The header is read first: an image that declares more pixels than allowed is refused before any of
them is decoded. Only formats that browsers show are opened (JPEG, PNG, WebP, GIF, BMP, AVIF).
Pixels come out as a viewer sees them: turned as EXIF says, transparency over white, CMYK, palettes
and 16-bit grey as 8-bit RGB. Profiles and texts are not read; of a JPEG with further pictures in
it (MPF: previews, gain maps) only the first is shown. A large image is held once: what it shows
over white, in RGB, is made of strips of it that are scaled down at once.
"""

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

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")

_ANIMATION_PIXELS = 8
"""Pixels of all frames of an animation that are decoded, in multiples of `image_pixels`."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_STRIP_PIXELS = 1 << 20
_GAP = 2.0
"""An image is averaged to no less than so many times the wanted size, and then resampled."""


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
    return np.array(_upright(_shrunk(image, side), image), dtype=np.uint8)


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    """A loaded image as RGB over white, its longer side at most `side` pixels; never scaled up."""
    width, height = image.size
    share = side / max(width, height)
    if share >= 1.0:
        return _opaque(image)
    size = max(1, round(width * share)), max(1, round(height * share))
    factor = max(1, int(1.0 / share / _GAP))
    box = (0.0, 0.0, width / factor, height / factor)
    return _averaged(image, factor).resize(size, Image.Resampling.BICUBIC, box)


def _upright(image: Image.Image, source: Image.Image) -> Image.Image:
    """An image turned as the EXIF of its source says; as it lies where that is broken."""
    try:
        turn = _TURNS.get(source.getexif().get(_ORIENTATION, 1))
    # a parser of foreign bytes raises whatever it meets
    except Exception:
        turn = None
    return image if turn is None else image.transpose(turn)


def _averaged(image: Image.Image, factor: int) -> Image.Image:
    """Each square of `factor` pixels as one, in RGB over white."""
    if factor == 1:
        return _opaque(image)
    width, height = image.size
    reduced = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        reduced.paste(_opaque(strip).reduce(factor), (0, top // factor))
    return reduced


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray((wide.clip(0, 0xFFFF) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
