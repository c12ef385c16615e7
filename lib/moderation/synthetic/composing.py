"""Posts composed from pieces, labelled by what they were composed of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lib.moderation.model.inputs import Marks
from lib.moderation.model.outputs import Floats, Ints, ModelError, Presence
from lib.moderation.post import MODALITIES
from lib.moderation.synthetic.pieces import Pieces

COMPOSED_POLICIES = ("hate", "offensive", "violence", "prohibited_item", "contextual")
"""What composed posts are labelled for; `contextual` needs two modalities to be seen."""

_PATTERNS = {
    ("text",): 0.2,
    ("image",): 0.1,
    ("video",): 0.1,
    ("text", "image"): 0.25,
    ("text", "video"): 0.1,
    ("image", "video"): 0.1,
    ("text", "image", "video"): 0.15,
}


@dataclass(frozen=True)
class Recipe:
    """How posts are composed.

    Attributes:
        prohibited: kinds of images that violate `prohibited_item`.
        context: kinds of images that violate `contextual` beside a neutral text, and only then:
            neither the text nor the image alone says so.
        patterns: share of posts with each set of modalities.
        text_shares: share of each kind of text among texts.
        failed: share of images and clips that are taken to have failed to decode.
    """

    prohibited: frozenset[str]
    context: frozenset[str]
    patterns: Mapping[tuple[str, ...], float] = field(default_factory=lambda: dict(_PATTERNS))
    text_shares: Mapping[str, float] = field(
        default_factory=lambda: {"neutral": 0.5, "offensive": 0.3, "hate": 0.2}
    )
    failed: float = 0.02


@dataclass(frozen=True)
class Composed:
    """Posts as places of pieces.

    Attributes:
        text, image, clip: (n,) place of the piece, -1 where there is none.
        presence: (n, modalities), see `Presence`.
        targets: (n, policies) 0 or 1, in the order of `COMPOSED_POLICIES`. What failed to decode
            still counts: the post is what it is, seen or not.
    """

    text: Ints
    image: Ints
    clip: Ints
    presence: Marks
    targets: Floats

    def __len__(self) -> int:
        return len(self.presence)


def compose(pieces: Pieces, count: int, recipe: Recipe, seed: int) -> Composed:
    """Posts of pieces drawn at random, each piece as often as it happens to be drawn.

    Args:
        pieces: of every modality that the recipe's patterns ask for.
        count: posts.
        recipe: shares and meanings.
        seed: of the draws.

    Raises:
        ModelError: a pattern asks for a modality of which there is no piece.
    """
    rng = np.random.default_rng(seed)
    names = list(recipe.patterns)
    shares = np.array([recipe.patterns[name] for name in names])
    drawn = rng.choice(len(names), count, p=shares / shares.sum())
    has = np.array([[m in name for m in MODALITIES] for name in names])[drawn]
    for column, name in enumerate(MODALITIES):
        if has[:, column].any() and not pieces.kinds(name):
            raise ModelError(f"pieces: the recipe asks for {name}, but there is none")
    text = _drawn(pieces.text_kinds, has[:, 0], recipe.text_shares, rng)
    image = _drawn(pieces.image_kinds, has[:, 1], None, rng)
    clip = _drawn(pieces.clip_kinds, has[:, 2], None, rng)
    presence = np.where(has, np.int8(Presence.PRESENT), np.int8(Presence.ABSENT))
    failed = has & (rng.random(has.shape) < recipe.failed) & np.array([False, True, True])
    presence = np.where(failed, np.int8(Presence.FAILED), presence).astype(np.int8)
    return Composed(text, image, clip, presence, labels_of(pieces, text, image, clip, recipe))


def labels_of(pieces: Pieces, text: Ints, image: Ints, clip: Ints, recipe: Recipe) -> Floats:
    """Labels (n, policies) of posts composed of these pieces; -1 is none."""
    texts = _kinds(pieces.text_kinds, text)
    images = _kinds(pieces.image_kinds, image)
    clips = _kinds(pieces.clip_kinds, clip)
    in_context = np.isin(images, sorted(recipe.context)) & (texts == "neutral")
    columns = [
        texts == "hate",
        texts == "offensive",
        clips == "fight",
        np.isin(images, sorted(recipe.prohibited)),
        in_context,
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _drawn(
    kinds: tuple[str, ...],
    has: np.ndarray,
    shares: Mapping[str, float] | None,
    rng: np.random.Generator,
) -> Ints:
    indices = np.full(len(has), -1, dtype=np.int64)
    if not has.any():
        return indices
    weights = np.ones(len(kinds))
    if shares is not None:
        counts = {kind: kinds.count(kind) for kind in set(kinds)}
        weights = np.array([shares.get(kind, 0.0) / counts[kind] for kind in kinds])
    indices[has] = rng.choice(len(kinds), int(has.sum()), p=weights / weights.sum())
    return indices


def _kinds(kinds: tuple[str, ...], indices: Ints) -> np.ndarray:
    return np.array([*kinds, ""], dtype=object)[indices]
