"""Whether an explanation is true to the model: what it names is taken out, the answer must fall.

The area under the deletion curve (Petsiuk, Das and Saenko, RISE, 2018). Smaller is more faithful.
It is held against taking out parts in random orders and, of images, against the same heat moved to
elsewhere: one connected hole takes out more than the same area in crumbs, wherever it lies.

Parts are taken out of an image so that the hole tells nothing: neither its colour nor its outline.
Linear imputation of Rong et al., A consistent and efficient evaluation strategy for attribution
methods (ROAD, 2022), without its noise: every pixel of the hole is the weighted mean of its
neighbours, known or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from lib.calibration import sigmoid
from lib.evaluation import Interval, bootstrap_interval
from lib.moderation.explanation.image import explain_image
from lib.moderation.explanation.text import explain_text, place_of, without
from lib.moderation.model.image import ImageModel
from lib.moderation.model.outputs import Floats, Ints, ModelError, Pixels
from lib.moderation.model.pixels import square
from lib.moderation.model.text import TextModel

_CELLS, _STEPS = 8, 6
Probabilities = Callable[[Sequence[Ints]], Floats]
"""Takes sets of deleted parts and answers a probability for each."""


@dataclass(frozen=True)
class Faithfulness:
    """Deletion by an explanation against deletion that knows nothing.

    Attributes:
        explained: mean area under the deletion curve of probabilities, by the explanation.
        random: the same, mean over random orders.
        gain: random less explained, with its interval over items; above 0 is better than chance.
        moved: the same as `random` by the explanation moved elsewhere; None of texts.
        moved_gain: moved less explained, likewise.
        items: how many were explained.
    """

    explained: float
    random: float
    gain: Interval
    moved: float | None
    moved_gain: Interval | None
    items: int


def deletion_area(probabilities: Probabilities, order: Ints, steps: int = _STEPS) -> float:
    """Mean chance while parts are deleted in an order, from none to all, in equal steps.

    Args:
        probabilities: of what is left.
        order: parts, first to be deleted first.
        steps: points after the first.
    """
    cuts = np.unique(np.round(np.linspace(0, len(order), steps + 1)).astype(int))
    levels = probabilities([order[:cut] for cut in cuts.tolist()])
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
    policy_index = place_of(model.policies, policy)
    areas = []
    rng = np.random.default_rng(seed)
    for text in texts:
        words = explain_text(model, text, policy)
        if len(words) < 2:
            continue
        spans = [(word.begin, word.end) for word in words]

        def probabilities_of(
            deleted: Sequence[Ints], text: str = text, spans: object = spans
        ) -> Floats:
            variants = [without(text, [spans[k] for k in indices.tolist()]) for indices in deleted]  # type: ignore[index]
            return _probabilities(model.answer(variants).log_odds[:, policy_index])

        shares = np.array([word.share for word in words])
        areas.append(
            (_area(probabilities_of, shares), _random(probabilities_of, len(shares), orders, rng))
        )
    return _summary(areas, seed)


def image_faithfulness(
    model: ImageModel, images: Sequence[Pixels], policy: str, orders: int, seed: int
) -> Faithfulness:
    """Cells of images, the hottest first, told by what is around them; see above and `imputed`.

    Args:
        model: of images.
        images: RGB (H, W, 3).
        policy: one of the model's.
        orders: random orders, and moves of the heat, of each image.
        seed: of those and of the interval.
    """
    policy_index = place_of(model.policies, policy)
    areas = []
    rng = np.random.default_rng(seed)
    cell = cells(model.size.side)
    count = int(cell.max()) + 1
    for image in images:
        pixels = square(image, model.size.side)

        def probabilities_of(deleted: Sequence[Ints], pixels: Pixels = pixels) -> Floats:
            variants = np.stack([imputed(pixels, np.isin(cell, indices)) for indices in deleted])
            return _probabilities(model.answer_squares(variants).log_odds[:, policy_index])

        heat = explain_image(model, image, policy)
        shares = np.bincount(cell.ravel(), heat.ravel()) / np.bincount(cell.ravel())
        elsewhere = [moved(shares.reshape(round(count**0.5), -1), rng) for _ in range(orders)]
        areas.append(
            (
                _area(probabilities_of, shares),
                _random(probabilities_of, count, orders, rng),
                float(
                    np.mean(
                        [
                            _area(probabilities_of, moved_shares.ravel())
                            for moved_shares in elsewhere
                        ]
                    )
                ),
            )
        )
    return _summary(areas, seed)


def moved(heat: Floats, rng: np.random.Generator) -> Floats:
    """A map (rows, columns) turned, mirrored and shifted around its edges at random."""
    turned = np.rot90(heat, int(rng.integers(4)))
    turned = turned[:, ::-1] if rng.random() < 0.5 else turned
    by = rng.integers(0, turned.shape)
    return np.roll(turned, tuple(by.tolist()), axis=(0, 1))


def cells(side: int) -> Ints:
    """(side, side) number of the cell of a grid that each pixel lies in."""
    indices = np.arange(side) * min(_CELLS, side) // side
    return np.asarray(indices[:, None] * min(_CELLS, side) + indices[None, :], dtype=np.int64)


def _area(probabilities: Probabilities, shares: Floats) -> float:
    return deletion_area(probabilities, np.argsort(-shares, kind="stable"))


def _random(
    probabilities: Probabilities, count: int, orders: int, rng: np.random.Generator
) -> float:
    return float(
        np.mean([deletion_area(probabilities, rng.permutation(count)) for _ in range(orders)])
    )


def _summary(areas: Sequence[tuple[float, ...]], seed: int) -> Faithfulness:
    if not areas:
        raise ModelError("explanations: expected at least one item to be explained, got none")
    explained, *others = np.array(areas).T
    gains = [_gain(other - explained, seed) for other in others]
    means = [float(other.mean()) for other in others]
    return Faithfulness(
        explained=float(explained.mean()),
        random=means[0],
        gain=gains[0],
        moved=means[1] if len(means) > 1 else None,
        moved_gain=gains[1] if len(gains) > 1 else None,
        items=len(areas),
    )


def _gain(differences: Floats, seed: int) -> Interval:
    return bootstrap_interval(
        lambda rows: float(differences[rows].mean()), np.arange(len(differences)), seed, 500
    )


def _probabilities(log_odds: Floats) -> Floats:
    return sigmoid(log_odds)


_SIDES, _CORNERS = 1.0 / 6.0, 1.0 / 12.0
_NEIGHBOURS = [
    (down, right, _CORNERS if down and right else _SIDES)
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if down or right
]


def imputed(image: Pixels, missing: NDArray[np.bool_]) -> Pixels:
    """An image (H, W, 3) whose missing pixels (H, W) are told by those around them.

    An image that is missing as a whole becomes its mean colour.
    """
    if not missing.any():
        return image
    output = image.copy()
    if missing.all():
        output[:] = image.mean(axis=(0, 1)).round()
        return output
    rows, columns = np.nonzero(missing)
    number = np.full(missing.shape, -1)
    number[rows, columns] = np.arange(len(rows))
    row_indices, others, weights = [], [], []
    total, rhs = np.zeros(len(rows)), np.zeros((len(rows), image.shape[2]))
    for down, right, weight in _NEIGHBOURS:
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < missing.shape[0]) & (x >= 0) & (x < missing.shape[1])
        indices = np.flatnonzero(inside)
        total[indices] += weight
        neighbour = number[y[indices], x[indices]]
        is_missing = neighbour >= 0
        row_indices.append(indices[is_missing])
        others.append(neighbour[is_missing])
        weights.append(np.full(int(is_missing.sum()), -weight))
        known_indices = indices[~is_missing]
        rhs[known_indices] += weight * image[y[known_indices], x[known_indices]]
    diagonal = np.arange(len(rows))
    system = scipy.sparse.csc_matrix(
        (
            np.concatenate([*weights, total]),
            (np.concatenate([*row_indices, diagonal]), np.concatenate([*others, diagonal])),
        )
    )
    values = np.asarray(scipy.sparse.linalg.splu(system).solve(rhs))
    output[rows, columns] = values.round().clip(0, 255)
    return output
