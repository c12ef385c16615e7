"""Explanations as JSON: words with their places, heat maps as PNG, moments of a clip."""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image

from lib.moderation.explanation.image import explain_image
from lib.moderation.explanation.text import explain_text
from lib.moderation.explanation.video import explain_video
from lib.moderation.model.outputs import Floats, Pixels

_DIGITS = 4


def text_to_json(model: Any, text: str, policy: str) -> dict[str, Any]:
    """Words `[begin, end)` of the original text with what each adds to the log-odds."""
    words = explain_text(model, text, policy)
    return {"words": [asdict(word) | {"share": _short(word.share)} for word in words]}


def image_to_json(model: Any, images: Pixels, policy: str) -> dict[str, Any]:
    """A heat map for each image (k, S, S, 3): grey PNG in base 64, to be laid over the image."""
    return {"heat_png": [_png(explain_image(model, image, policy)) for image in images]}


def video_to_json(model: Any, frames: Pixels, policy: str) -> dict[str, Any]:
    """Segments of a clip, from 0 to 1 of its length, with what each adds to the log-odds."""
    segments = explain_video(model, frames, policy)
    return {
        "segments": [
            {name: _short(value) for name, value in asdict(segment).items()} for segment in segments
        ]
    }


TO_JSON: Mapping[str, Callable[..., dict[str, Any]]] = {
    "text": text_to_json,
    "image": image_to_json,
    "video": video_to_json,
}
"""By modality: from a model, what it was given, and a policy."""


def _short(value: float) -> float:
    return round(float(value), _DIGITS)


def _png(heat: Floats) -> str:
    written = io.BytesIO()
    Image.fromarray(np.round(255.0 * np.clip(heat, 0.0, 1.0)).astype(np.uint8)).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()
