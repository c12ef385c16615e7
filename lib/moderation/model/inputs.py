"""Decoded posts as the models take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lib.feature.attribute_values import AttributeValue
from lib.moderation.model.outputs import Ints, ModelError, Pixels, Presence
from lib.moderation.post import MODALITIES
from lib.moderation.text_matching.folding import shows

Marks = NDArray[np.int8]


@dataclass(frozen=True)
class PostInputs:
    """What one post says and shows, decoded.

    Attributes:
        text: None where there is none.
        images: RGB uint8 (H, W, 3) of those that could be decoded; of an animated one its frames.
        clip: RGB uint8 frames (T, H, W, 3), or None.
        failed: modalities of which something was there but could not be decoded. A text cannot
            fail; of several images one is enough to be judged by, and the post still counts as
            failed only where none could be decoded.
        image_frames: how many of `images` are frames of the same image, in their order; empty
            where each is an image of its own.
        attributes: of the post by name, as they came; what is missing is left out.
    """

    text: str | None = None
    images: tuple[Pixels, ...] = ()
    clip: Pixels | None = None
    failed: frozenset[str] = frozenset()
    image_frames: tuple[int, ...] = ()
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.image_frames and sum(self.image_frames) != len(self.images):
            raise ModelError(
                f"image_frames: expected {len(self.images)} in sum, got {self.image_frames}"
            )
        if unknown := self.failed - set(MODALITIES):
            raise ModelError(
                f"failed: expected some of {', '.join(MODALITIES)}, got {sorted(unknown)}"
            )

    @property
    def presence(self) -> tuple[Presence, Presence, Presence]:
        """Of each modality, in the order of `MODALITIES`."""
        has = (shows(self.text), bool(self.images), self.clip is not None)
        text, image, video = (
            Presence.PRESENT if there else Presence.FAILED if name in self.failed
            else Presence.ABSENT
            for name, there in zip(MODALITIES, has, strict=True)
        )  # fmt: skip
        return text, image, video


@dataclass(frozen=True)
class Batch:
    """Posts sorted out by modality.

    Attributes:
        presence: (n, modalities) `Presence`.
        texts: those of the posts `text_rows`.
        images: all of them, in order of posts; `image_rows` says whose each is.
        clips: those of the posts `clip_rows`.
    """

    presence: Marks
    texts: tuple[str, ...]
    text_rows: Ints
    images: tuple[Pixels, ...]
    image_rows: Ints
    clips: tuple[Pixels, ...]
    clip_rows: Ints

    def __len__(self) -> int:
        return len(self.presence)


def batch_of(posts: Sequence[PostInputs]) -> Batch:
    """Posts as one batch."""
    marks = np.array([post.presence for post in posts], dtype=np.int8).reshape(-1, len(MODALITIES))
    is_present = marks == Presence.PRESENT
    texts = [posts[row].text or "" for row in np.flatnonzero(is_present[:, 0]).tolist()]
    images = [(row, image) for row, post in enumerate(posts) for image in post.images]
    clips = [(row, post.clip) for row, post in enumerate(posts) if post.clip is not None]
    return Batch(
        presence=marks,
        texts=tuple(texts),
        text_rows=np.flatnonzero(is_present[:, 0]),
        images=tuple(image for _, image in images),
        image_rows=np.array([row for row, _ in images], dtype=np.int64),
        clips=tuple(clip for _, clip in clips),
        clip_rows=np.array([row for row, _ in clips], dtype=np.int64),
    )
