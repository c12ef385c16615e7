"""The next batch for people to decide: uncertain, diverse, fair to rare policies, partly random."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from lib.moderation.active_learning.gradients import Spread
from lib.moderation.active_learning.pool import Bools, Pool, Rows, SelectionError, entropy, margin

Method = Literal["badge", "entropy", "margin", "random"]
METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True, kw_only=True)
class SelectionSettings:
    """How a batch is chosen.

    Attributes:
        method: `badge` (uncertain and diverse), `entropy` or `margin` (uncertain alone), `random`.
        random_share: of the batch drawn evenly from all that is not labelled, 0 to 1, so that
            measures on it speak for the pool.
        quotas: at least this share of the rest for posts that lean to a policy, by its column.
        same_cosine: embeddings this close are the same post; above 1 compares none.

    Raises:
        SelectionError: names the field, what was expected and what came.
    """

    method: Method = "badge"
    random_share: float = 0.08
    quotas: Mapping[int, float] = field(default_factory=dict)
    same_cosine: float = 0.98

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SelectionError(
                f"method: expected one of {', '.join(METHODS)}, got {self.method!r}"
            )
        if not 0.0 <= self.random_share <= 1.0:
            raise SelectionError(f"random_share: expected 0 to 1, got {self.random_share}")
        if any(share < 0 for share in self.quotas.values()) or sum(self.quotas.values()) > 1.0:
            raise SelectionError(
                f"quotas: expected shares of 0 or more, 1 in all, got {dict(self.quotas)}"
            )


@dataclass(frozen=True)
class Selection:
    """m chosen posts, in the order of choice, those drawn at random first.

    Attributes:
        rows: (m,) their places in the pool.
        random: (m,) whether drawn at random.
        propensity: (m,) chance of each post that was not labelled to be drawn at random, for
            weighing those that were; NaN for the others, which say nothing of the pool.
    """

    rows: Rows
    random: Bools
    propensity: npt.NDArray[np.float64]


def select_batch(
    pool: Pool, size: int, seed: int, settings: SelectionSettings | None = None
) -> Selection:
    """Choose `size` posts, fewer where the pool has no more that differ.

    The random ones are drawn first, from everything that is not labelled, duplicates included.
    The others are neither labelled, nor the same as a labelled or chosen one.

    Args:
        pool: what there is.
        size: 1 or more.
        seed: of all draws; the same seed gives the same batch.
        settings: how.

    Raises:
        SelectionError: the size is below 1, or a quota is for a column that is not there.
    """
    chosen_by = settings or SelectionSettings()
    _require(pool, size, chosen_by)
    generator = np.random.default_rng(seed)
    open_rows = np.flatnonzero(~pool.labelled)
    share = 1.0 if chosen_by.method == "random" else chosen_by.random_share
    count = min(round(share * size), len(open_rows))
    drawn = generator.choice(open_rows, count, replace=False).astype(np.int64)
    rest: list[int] = []
    if count < size and chosen_by.method != "random":
        batch = _Batch(pool, chosen_by, generator)
        for row in drawn.tolist():
            batch.take(row)
        rest = batch.fill(size - count)
    rows = np.concatenate([drawn, np.array(rest, dtype=np.int64)])
    random = np.arange(len(rows)) < count
    probability = count / len(open_rows) if len(open_rows) else 0.0
    return Selection(rows, random, np.where(random, probability, np.nan))


class _Batch:
    """The part of a batch that is not random, as it grows."""

    def __init__(self, pool: Pool, settings: SelectionSettings, generator: Generator) -> None:
        self._pool, self._settings, self._generator = pool, settings, generator
        self._free = pool.free()
        self._spread = Spread(pool)
        self._certainty = _certainty(pool, settings.method)

    def fill(self, count: int) -> list[int]:
        """Quotas first, the rarest policy before the others, then whatever is best."""
        chosen: list[int] = []
        leaning = self._pool.leaning
        for policy in sorted(
            self._settings.quotas, key=lambda quota_policy: (leaning == quota_policy).sum()
        ):
            quota = min(int(self._settings.quotas[policy] * count), count - len(chosen))
            chosen += self._some(quota, leaning == policy)
        return chosen + self._some(count - len(chosen), np.ones(len(leaning), dtype=np.bool_))

    def take(self, row: int) -> None:
        """Count a post as chosen, and keep all that are the same as it from being chosen."""
        self._free[row] = False
        keys = self._pool.keys
        if keys is not None and keys[row] >= 0:
            self._free &= keys != keys[row]
        # a pass over all embeddings, where something is to be learned from it
        if self._settings.method == "badge" or self._settings.same_cosine <= 1.0:
            self._free &= self._spread.choose(row) < self._settings.same_cosine

    def _some(self, count: int, among: Bools) -> list[int]:
        rows: list[int] = []
        for _ in range(count):
            row = self._next(self._free & among)
            if row is None:
                break
            rows.append(row)
            self.take(row)
        return rows

    def _next(self, allowed: Bools) -> int | None:
        if self._certainty is None:
            return self._spread.draw(allowed, self._generator)
        return int(np.where(allowed, self._certainty, np.inf).argmin()) if allowed.any() else None


def _certainty(pool: Pool, method: Method) -> npt.NDArray[np.float64] | None:
    """(n,) what the least certain comes first by; None where chance decides."""
    if method == "entropy":
        return -entropy(pool.probabilities, pool.exclusive)
    return margin(pool.probabilities, pool.exclusive) if method == "margin" else None


def _require(pool: Pool, size: int, settings: SelectionSettings) -> None:
    if size < 1:
        raise SelectionError(f"size: expected 1 or more, got {size}")
    columns = pool.probabilities.shape[1]
    wrong = [column for column in settings.quotas if not 0 <= column < columns]
    if wrong:
        raise SelectionError(f"quotas: expected columns 0 to {columns - 1}, got {wrong}")
