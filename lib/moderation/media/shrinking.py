"""Decoded images scaled down to what models see, a strip at a time.

A large image is held once: what it shows over white, in RGB, is made of strips of it that are
scaled down at once.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

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


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """A loaded image as RGB over white, its longer side at most `side` pixels; never scaled up."""
    width, height = image.size
    share = side / max(width, height)
    if share >= 1.0:
        return _opaque(image)
    size = max(1, round(width * share)), max(1, round(height * share))
    factor = max(1, int(1.0 / share / _GAP))
    box = (0.0, 0.0, width / factor, height / factor)
    return _averaged(image, factor).resize(size, Image.Resampling.BICUBIC, box)


def upright(image: Image.Image, source: Image.Image) -> Image.Image:
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
