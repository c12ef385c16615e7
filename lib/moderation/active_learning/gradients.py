"""Gradient embeddings of the last layer, without ever writing them down.

Ash et al., Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds, ICLR 2020
(BADGE). The gradient of a post's loss, at the label that the model itself would give, by the
weights of the last layer is the outer product of a residual (k,) and the embedding (d,). Products
of two such gradients are products of two small ones, so that d x k numbers per post are not needed.
"""

import numpy as np
import numpy.typing as npt

from lib.moderation.active_learning.pool import Bools, Floats, Pool

_CHUNK = 65_536


def residuals(probabilities: Floats, exclusive: bool) -> npt.NDArray[np.float32]:
    """(n, k) probabilities less the label that the model would give: one class, or each policy."""
    difference = np.array(probabilities, dtype=np.float32)
    if exclusive:
        difference[np.arange(len(difference)), difference.argmax(axis=1)] -= 1.0
        return difference
    return difference - (difference >= 0.5)


class Spread:
    """Squared distances of all posts to the nearest post chosen so far, in gradients.

    Memory beyond the pool's: (n, k) float32, and three float64 per post. A choice costs one pass
    over the embeddings, in pieces of `chunk` rows.
    """

    def __init__(self, pool: Pool, chunk: int = _CHUNK) -> None:
        self._pool, self._chunk = pool, chunk
        self._residuals = residuals(pool.probabilities, pool.exclusive)
        self._lengths = np.empty(len(pool))
        for part in self._parts():
            piece = np.asarray(pool.embeddings[part], dtype=np.float32)
            self._lengths[part] = np.einsum("ij,ij->i", piece, piece, dtype=np.float64)
        sizes = np.einsum("ij,ij->i", self._residuals, self._residuals, dtype=np.float64)
        self._squares = sizes * self._lengths
        self.distances = self._squares.copy()
        self._begun = False

    def choose(self, row: int) -> npt.NDArray[np.float64]:
        """Take a post in, and return (n,) cosines of all embeddings with its own.

        Before the first, distances are those from zero, the gradient of what is certain.
        """
        pool, cosines = self._pool, np.empty(len(self._pool))
        centre = np.asarray(pool.embeddings[row], dtype=np.float32)
        for part in self._parts():
            close = np.asarray(pool.embeddings[part], dtype=np.float32) @ centre
            alike = (self._residuals[part] @ self._residuals[row]).astype(np.float64)
            apart = self._squares[part] + self._squares[row] - 2.0 * alike * close
            apart = np.maximum(apart, 0.0)
            nearest = np.minimum(self.distances[part], apart) if self._begun else apart
            self.distances[part] = nearest
            scale = np.sqrt(self._lengths[part] * self._lengths[row])
            cosines[part] = close / np.where(scale > 0, scale, np.inf)
        self._begun = True
        self.distances[row] = 0.0
        return cosines

    def draw(self, allowed: Bools, generator: np.random.Generator) -> int | None:
        """One of the allowed posts, by squared distance (k-means++); None where none is allowed.

        Where all of them are at no distance, each is as probable as the next.
        """
        weights = np.where(allowed, self.distances, 0.0).cumsum()
        if len(weights) and weights[-1] > 0:
            point = generator.random() * weights[-1]
            return int(min(np.searchsorted(weights, point, side="right"), len(weights) - 1))
        rows = np.flatnonzero(allowed)
        return int(generator.choice(rows)) if len(rows) else None

    def _parts(self) -> list[slice]:
        count = len(self._pool)
        return [slice(start, start + self._chunk) for start in range(0, count, self._chunk)]
