"""Images and clips as the models see them."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib.moderation.model.outputs import ModelError, Pixels, Singles

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def square(image: Pixels, side: int) -> Pixels:
    """The whole image squeezed to `side` pixels high and wide: nothing at an edge is cut off.

    Args:
        image: (H, W, 3) RGB, uint8.
        side: pixels.

    Raises:
        ModelError: it is of another form.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
        raise ModelError(
            f"image: expected uint8 of shape (height, width, 3), got {image.dtype} of shape "
            f"{image.shape}"
        )
    if image.shape[:2] == (side, side):
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))


def squares(images: Sequence[Pixels], side: int) -> Pixels:
    """Images (n, side, side, 3)."""
    if not len(images):
        return np.zeros((0, side, side, 3), dtype=np.uint8)
    return np.stack([square(image, side) for image in images])


def evenly_spaced(frames: Pixels, count: int, side: int) -> Pixels:
    """`count` frames over the whole clip, each `side` pixels high and wide.

    Args:
        frames: (T, H, W, 3) RGB, at least one; short clips repeat frames.
        count: T of the answer.
        side: H and W of the answer.

    Raises:
        ModelError: the clip is of another form.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise ModelError(
            f"clip: expected uint8 of shape (frames, height, width, 3), got {frames.dtype} of "
            f"shape {frames.shape}"
        )
    positions = np.round(np.linspace(0, len(frames) - 1, count)).astype(np.int64)
    return np.stack([square(frames[position], side) for position in positions.tolist()])


def grey(frames: Pixels) -> Singles:
    """Luminance (..., H, W) within 0 and 1 of RGB (..., H, W, 3), after Rec. 601."""
    return np.asarray(frames @ _LUMA / np.float32(255.0), dtype=np.float32)


def normalised(pixels: Pixels, device: str) -> Tensor:
    """Inputs (..., 3, S, S) of pixels (..., S, S, 3), scaled as ImageNet's weights expect."""
    tensor = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).to(device)
    mean, spread = (torch.tensor(values, device=device) for values in (_MEAN, _SPREAD))
    return ((tensor.float() / 255.0 - mean) / spread).movedim(-1, -3).contiguous()
