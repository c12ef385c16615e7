"""Takes parts out of an image so that the hole tells nothing: neither its colour nor its outline.

Holes of one colour look like something to a model (a grey patch in a photo is unlike anything it
learnt from, and a patch of sky's mean colour is more sky), so what its answer does then says little
of what was taken out. Linear imputation of Rong et al., A consistent and efficient evaluation
strategy for attribution methods (ROAD, 2022), without its noise: every pixel of the hole is the
weighted mean of its neighbours, known or not.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from lib.moderation.model.outputs import Pixels

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
