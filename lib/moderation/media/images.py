"""Images from bytes, decoded within limits by Pillow.

The header is read first: an image that declares more pixels than allowed is refused before any of
them is decoded. Only formats that browsers show are opened (JPEG, PNG, WebP, GIF, BMP, AVIF).
Pixels come out as a viewer sees them: turned as EXIF says, transparency over white, CMYK, palettes
and 16-bit grey as 8-bit RGB.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lib.moderation.media.limits import Limits, MediaError

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")

_ANIMATION_PIXELS = 4
"""Pixels of all frames of an animation that are decoded, in multiples of `image_pixels`."""

_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decode_image(content: bytes, limits: Limits | None = None) -> Pixels:
    """The image, or the first frame of an animated one (`decode_frames` samples all of them).

    Args:
        content: an encoded image.
        limits: what is refused; an image longer than `image_side` is scaled down to it.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        MediaError: empty, too_large, too_many_pixels, truncated, broken or not_an_image.
    """
    limits = limits or Limits()
    with _opened(content, limits) as image:
        return _rgb(image, limits.image_side)


def decode_frames(content: bytes, limits: Limits | None = None) -> tuple[Pixels, ...]:
    """Frames of an animated image, the first always among them, spread evenly over its length.

    What happens late in an animation is as visible as its first frame. One frame of a still image.

    Args:
        content: an encoded image.
        limits: `animation_frames` is how many frames at most come back.

    Returns:
        uint8 (H, W, 3), RGB, each of the same size.

    Raises:
        MediaError: as `decode_image`; one broken frame refuses the whole.
    """
    limits = limits or Limits()
    with _opened(content, limits) as image:
        return tuple(_sampled(image, limits))


@contextmanager
def _opened(content: bytes, limits: Limits) -> Iterator[Image.Image]:
    """An image whose header is within limits; whatever a decoder raises becomes a MediaError."""
    _check_bytes(content, limits)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_pixels(image.size, limits)
            yield image
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise MediaError("too_many_pixels", str(error)) from error
    # decoders of foreign bytes raise whatever their format's parser meets
    except Exception as error:
        raise _refusal(content, error) from error


def _check_bytes(content: bytes, limits: Limits) -> None:
    if not content:
        raise MediaError("empty", "expected an image, got no bytes")
    if len(content) > limits.image_bytes:
        raise MediaError(
            "too_large",
            f"expected an image of at most {limits.image_bytes:,} bytes, got {len(content):,}",
        )


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.image_pixels:
        raise MediaError(
            "too_many_pixels",
            f"expected at most {limits.image_pixels:,} pixels, got {width} x {height}",
        )


def _refusal(content: bytes, error: Exception) -> MediaError:
    words = f"{type(error).__name__}: {error}"[:200]
    if "truncat" in str(error).lower() or _cut(content):
        return MediaError("truncated", f"expected a whole image; {words}")
    if isinstance(error, UnidentifiedImageError):
        return MediaError("not_an_image", f"expected one of {', '.join(FORMATS)}")
    return MediaError("broken", f"expected an image that can be decoded; {words}")


def _cut(content: bytes) -> bool:
    """Whether a RIFF file (WebP) says that it is longer than it is."""
    return content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content)


def _sampled(image: Image.Image, limits: Limits) -> Iterator[Pixels]:
    frames = int(getattr(image, "n_frames", 1))
    reachable = _ANIMATION_PIXELS * limits.image_pixels // (image.width * image.height)
    last = max(min(frames, reachable), 1) - 1
    wanted = min(limits.animation_frames, last + 1)
    for place in np.unique(np.linspace(0, last, wanted).round().astype(int)).tolist():
        image.seek(place)
        yield _rgb(image, limits.image_side)


def _rgb(image: Image.Image, side: int) -> Pixels:
    # a JPEG is decoded at half, a quarter or an eighth of its size where that is enough
    image.draft(image.mode, (side, side))
    image.load()
    opaque = _opaque(_upright(image))
    opaque.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.array(opaque, dtype=np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    # a viewer shows an image with broken EXIF as it lies
    except Exception:
        return image


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        wide = np.asarray(image).astype(np.int64)
        return Image.fromarray((wide.clip(0, 0xFFFF) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    # a copy: thumbnail() works in place, and a later frame builds on this one
    return image.copy() if image.mode == "RGB" else image.convert("RGB")
