"""Composed posts as models take them, and what their pieces are worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.outputs import Floats, Presence
from lib.moderation.post import MODALITIES
from lib.moderation.synthetic.composing import Composed
from lib.moderation.synthetic.pieces import Pieces, split_rows


def split_pieces(pieces: Pieces, shares: Sequence[float], seed: int) -> tuple[Pieces, ...]:
    """Parts of pieces; see `split_rows`."""
    return tuple(pieces.take(*rows) for rows in split_rows(pieces, shares, seed))


def piece_targets(posts: Composed, modality: str, count: int) -> Floats:
    """What each of `count` pieces of a modality is worth knowing by itself (count, policies).

    The share of the posts with that piece that violate each policy; NaN for pieces in no post.
    """
    indices = {"text": posts.text, "image": posts.image, "video": posts.clip}[modality]
    used = indices >= 0
    total = np.zeros((count, posts.targets.shape[1]))
    np.add.at(total, indices[used], posts.targets[used])
    uses = np.bincount(indices[used], minlength=count)[:, None]
    return np.where(uses > 0, total / np.maximum(uses, 1), np.nan)


def inputs_of(posts: Composed, pieces: Pieces) -> list[PostInputs]:
    """The posts themselves."""
    inputs = []
    for row, marks in enumerate(posts.presence):
        failed = [name for k, name in enumerate(MODALITIES) if marks[k] == Presence.FAILED]
        text, image, clip = marks == Presence.PRESENT
        inputs.append(
            PostInputs(
                text=pieces.texts[posts.text[row]] if text else None,
                images=(pieces.images[posts.image[row]],) if image else (),
                clip=pieces.clips[posts.clip[row]] if clip else None,
                failed=frozenset(failed),
            )
        )
    return inputs
