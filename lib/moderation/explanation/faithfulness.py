"""Whether an explanation is true to the model: what it names is deleted, and the answer must fall.

The area under the deletion curve (Petsiuk, Das and Saenko, RISE, 2018), against deletion in many
random orders. Smaller is more faithful.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lib.calibration import sigmoid
from lib.evaluation import Interval, bootstrap_interval
from lib.moderation.explanation.image import explain_image
from lib.moderation.explanation.text import explain_text, place_of, without
from lib.moderation.model.answers import Floats, Ints, Pixels
from lib.moderation.model.image import ImageModel
from lib.moderation.model.pixels import square
from lib.moderation.model.text import TextModel

_CELLS, _STEPS = 8, 6


@dataclass(frozen=True)
class Faithfulness:
    """Deletion by an explanation against deletion at random.

    Attributes:
        explained: mean area under the deletion curve of probabilities, by the explanation.
        random: the same, mean over random orders.
        gain: random less explained, with its interval over items; above 0 is better than chance.
        items: how many were explained.
    """

    explained: float
    random: float
    gain: Interval
    items: int


def deletion_area(
    chances: Callable[[Sequence[Ints]], Floats], order: Ints, steps: int = _STEPS
) -> float:
    """Mean chance while parts are deleted in an order, from none to all, in equal steps.

    Args:
        chances: takes sets of deleted parts and answers a probability for each.
        order: parts, first to be deleted first.
        steps: points after the first.
    """
    cuts = np.unique(np.round(np.linspace(0, len(order), steps + 1)).astype(int))
    levels = chances([order[:cut] for cut in cuts.tolist()])
    return float(np.trapezoid(levels, cuts / max(cuts[-1], 1)))


def text_faithfulness(
    model: TextModel, texts: Sequence[str], policy: str, orders: int, seed: int
) -> Faithfulness:
    """Words of texts, those that speak most for a violation first.

    Args:
        model: of texts.
        texts: two words each, or more; others are left out.
        policy: one of the model's.
        orders: random orders of each text.
        seed: of those orders and of the interval.
    """
    place = place_of(model.policies, policy)
    areas = []
    rng = np.random.default_rng(seed)
    for text in texts:
        words = explain_text(model, text, policy)
        if len(words) < 2:
            continue
        spans = [(word.begin, word.end) for word in words]

        def chances(deleted: Sequence[Ints], text: str = text, spans: object = spans) -> Floats:
            gone = [without(text, [spans[k] for k in one.tolist()]) for one in deleted]  # type: ignore[index]
            return _chances(model.answer(gone).log_odds[:, place])

        shares = np.array([word.share for word in words])
        areas.append(_areas(chances, shares, orders, rng))
    return _summary(areas, seed)


def image_faithfulness(
    model: ImageModel, images: Sequence[Pixels], policy: str, orders: int, seed: int
) -> Faithfulness:
    """Cells of images, the hottest first, replaced by the image's mean colour; see above."""
    place = place_of(model.policies, policy)
    areas = []
    rng = np.random.default_rng(seed)
    for image in images:
        seen = square(image, model.size.side)
        heat = explain_image(model, image, policy).both
        cell = cells(model.size.side)

        def chances(deleted: Sequence[Ints], seen: Pixels = seen, cell: Ints = cell) -> Floats:
            mean = seen.mean(axis=(0, 1)).astype(np.uint8)
            gone = np.stack(
                [np.where(np.isin(cell, one)[..., None], mean, seen) for one in deleted]
            )
            return _chances(model.answer_squares(gone).log_odds[:, place])

        shares = np.bincount(cell.ravel(), heat.ravel()) / np.bincount(cell.ravel())
        areas.append(_areas(chances, shares, orders, rng))
    return _summary(areas, seed)


def cells(side: int) -> Ints:
    """(side, side) number of the cell of a grid that each pixel lies in."""
    place = np.arange(side) * min(_CELLS, side) // side
    return np.asarray(place[:, None] * min(_CELLS, side) + place[None, :], dtype=np.int64)


def _areas(
    chances: Callable[[Sequence[Ints]], Floats],
    shares: Floats,
    orders: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    explained = deletion_area(chances, np.argsort(-shares, kind="stable"))
    random = [deletion_area(chances, rng.permutation(len(shares))) for _ in range(orders)]
    return explained, float(np.mean(random))


def _summary(areas: Sequence[tuple[float, float]], seed: int) -> Faithfulness:
    explained, random = np.array(areas).reshape(-1, 2).T
    gain = bootstrap_interval(
        lambda rows: float((random - explained)[rows].mean()), np.arange(len(areas)), seed, 500
    )
    return Faithfulness(float(explained.mean()), float(random.mean()), gain, len(areas))


def _chances(log_odds: Floats) -> Floats:
    return sigmoid(log_odds)
