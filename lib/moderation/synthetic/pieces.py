"""Texts, images and clips of known kinds, from which posts are composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.moderation.model.outputs import Ints, ModelError, Pixels
from lib.moderation.post import MODALITIES

TEXT_KINDS = ("neutral", "offensive", "hate")
CLIP_KINDS = ("calm", "fight")


@dataclass(frozen=True)
class Pieces:
    """What posts are made of.

    Attributes:
        texts: (texts,) of them.
        text_kinds: of each, one of `TEXT_KINDS`.
        images: RGB uint8 (H, W, 3).
        image_kinds: of each, any words.
        clips: RGB uint8 (T, H, W, 3).
        clip_kinds: of each, one of `CLIP_KINDS`.
    """

    texts: tuple[str, ...]
    text_kinds: tuple[str, ...]
    images: tuple[Pixels, ...]
    image_kinds: tuple[str, ...]
    clips: tuple[Pixels, ...]
    clip_kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        _same_length("texts", self.texts, self.text_kinds)
        _same_length("images", self.images, self.image_kinds)
        _same_length("clips", self.clips, self.clip_kinds)
        _require_known("text_kinds", self.text_kinds, TEXT_KINDS)
        _require_known("clip_kinds", self.clip_kinds, CLIP_KINDS)

    def kinds(self, modality: str) -> tuple[str, ...]:
        """Kinds of the pieces of a modality."""
        return {"text": self.text_kinds, "image": self.image_kinds, "video": self.clip_kinds}[
            modality
        ]

    def take(self, texts: Ints, images: Ints, clips: Ints) -> Pieces:
        """Some of the pieces."""
        return Pieces(
            tuple(self.texts[k] for k in texts.tolist()),
            tuple(self.text_kinds[k] for k in texts.tolist()),
            tuple(self.images[k] for k in images.tolist()),
            tuple(self.image_kinds[k] for k in images.tolist()),
            tuple(self.clips[k] for k in clips.tolist()),
            tuple(self.clip_kinds[k] for k in clips.tolist()),
        )


def split_rows(pieces: Pieces, shares: Sequence[float], seed: int) -> list[tuple[Ints, Ints, Ints]]:
    """Places of texts, images and clips in parts of given shares.

    Each kind is alike in all parts, and no piece is in two.

    Args:
        pieces: all of them.
        shares: of each part, adding up to 1.
        seed: of the draw.

    Raises:
        ModelError: shares do not add up to 1.
    """
    if not np.isclose(sum(shares), 1.0) or min(shares) < 0.0:
        raise ModelError(f"shares: expected numbers that add up to 1, got {list(shares)}")
    rng = np.random.default_rng(seed)
    texts, images, clips = (_parts(pieces.kinds(name), shares, rng) for name in MODALITIES)
    return list(zip(texts, images, clips, strict=True))


def _parts(
    kinds: Sequence[str], shares: Sequence[float], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    parts: list[list[int]] = [[] for _ in shares]
    edges = np.cumsum(shares)
    for kind in sorted(set(kinds)):
        rows = rng.permutation([k for k, piece_kind in enumerate(kinds) if piece_kind == kind])
        cuts = np.round(edges[:-1] * len(rows)).astype(int)
        for part, some in zip(parts, np.split(rows, cuts), strict=True):
            part.extend(some.tolist())
    return [np.array(sorted(part), dtype=np.int64) for part in parts]


def _same_length(name: str, pieces: Sequence[object], kinds: Sequence[str]) -> None:
    if len(pieces) != len(kinds):
        raise ModelError(f"{name}: expected a kind for each, got {len(pieces)} and {len(kinds)}")


def _require_known(name: str, kinds: Sequence[str], known_kinds: Sequence[str]) -> None:
    if unknown := sorted(set(kinds) - set(known_kinds)):
        raise ModelError(f"{name}: expected some of {', '.join(known_kinds)}, got {unknown}")
