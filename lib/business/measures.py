"""Figures with 95% intervals: entities are drawn with replacement, all their rows together.

Rows of one customer or machine are not independent, so the cluster bootstrap is used: Field and
Welsh, Bootstrapping clustered data, JRSS B 69 (2007). Every figure of a page sees the same draws.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from lib.business.outcomes import Floats, Ints
from lib.evaluation import Interval

FEWEST_ENTITIES = 5
"""Fewer entities than this say nothing about how others would differ."""
_LEVEL = 0.95
_EMPTY = Interval(float("nan"), float("nan"), float("nan"))


class EntityBootstrap:
    """Draws of entities.

    Args:
        entities: (n,) ids of the rows.
        seed: of the draws.
        repeats: draws, 1 or more.
    """

    def __init__(self, entities: pa.ChunkedArray | pa.Array, seed: int, repeats: int = 200) -> None:
        if repeats < 1:
            raise ValueError(f"repeats: expected 1 or more, got {repeats}")
        column = entities.combine_chunks() if isinstance(entities, pa.ChunkedArray) else entities
        values = pc.unique(column)
        places = pc.index_in(column, value_set=values)
        self.codes: Ints = np.asarray(places.to_numpy(zero_copy_only=False), dtype=np.int64)
        self.count = len(values)
        self._seed, self._repeats = seed, repeats

    def interval(self, measure: Callable[[Floats], float]) -> Interval:
        """Interval of a measure of entities' weights (entities,); NaN where it has no value."""
        if not self.count:
            return _EMPTY
        value = measure(np.ones(self.count))
        if not np.isfinite(value) or self.count < FEWEST_ENTITIES:
            return Interval(float(value), float("nan"), float("nan"))
        drawn = np.array([measure(weights) for weights in self._draws()])
        drawn = drawn[np.isfinite(drawn)]
        if not len(drawn):
            return Interval(float(value), float("nan"), float("nan"))
        low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        return Interval(float(value), float(low), float(high))

    def ratio(self, numerator: ArrayLike, denominator: ArrayLike, scale: float = 1.0) -> Interval:
        """Interval of a sum over a sum of rows (n,), times `scale`; NaN where nothing is below."""
        above, below = self.by_entity(numerator), self.by_entity(denominator)

        def measure(weights: Floats) -> float:
            rows = float(weights @ below)
            return float(weights @ above) / rows * scale if rows else float("nan")

        return self.interval(measure)

    def total(self, values: ArrayLike, per: float = 1.0) -> Interval:
        """Interval of the sum of rows (n,), divided by `per`."""
        sums = self.by_entity(values)
        return self.interval(lambda weights: float(weights @ sums) / per)

    def quantile(self, values: ArrayLike, q: float) -> Interval:
        """Interval of a quantile of rows (n,); rows that are NaN do not count."""
        numbers = np.asarray(values, dtype=np.float64)
        order = np.argsort(numbers, kind="stable")
        order = order[~np.isnan(numbers[order])]
        numbers, codes = numbers[order], self.codes[order]

        def measure(weights: Floats) -> float:
            below = np.cumsum(weights[codes])
            if not len(below) or below[-1] == 0:
                return float("nan")
            return float(numbers[np.searchsorted(below, q * below[-1], side="left")])

        return self.interval(measure)

    def top_share(self, labels: ArrayLike, scores: ArrayLike, most: int) -> Interval:
        """Interval of the share of label 1 among the `most` highest scores (n,); NaN do not count.

        Of tied scores those that come first are taken; with fewer rows all of them.
        """
        flags, values = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
        order = np.argsort(-values, kind="stable")
        order = order[~np.isnan(values[order]) & ~np.isnan(flags[order])]
        flags, codes = flags[order], self.codes[order]

        def measure(weights: Floats) -> float:
            rows = weights[codes]
            kept = np.clip(most - (np.cumsum(rows) - rows), 0.0, rows)
            return float(kept @ flags / kept.sum()) if kept.any() else float("nan")

        return self.interval(measure)

    def by_entity(self, values: ArrayLike) -> Floats:
        """(entities,) sums of rows (n,); NaN counts as 0."""
        rows = np.nan_to_num(np.broadcast_to(np.asarray(values, np.float64), self.codes.shape))
        sums = np.bincount(self.codes, weights=rows, minlength=self.count)
        return sums.astype(np.float64)

    def _draws(self) -> Iterator[Floats]:
        generator = np.random.default_rng(self._seed)
        for _ in range(self._repeats):
            drawn = generator.integers(0, self.count, self.count)
            yield np.bincount(drawn, minlength=self.count).astype(np.float64)


@dataclass(frozen=True)
class Change(Interval):
    """A figure less the one before it, with the ends of its 95% interval."""


def change(now: Interval, before: Interval) -> Change:
    """The difference of two figures that were measured apart.

    The interval is made of both ends of both intervals (MOVER): Zou and Donner, Construction of
    confidence limits about effect measures, Statistics in Medicine 27 (2008). NaN where one has no
    interval.

    >>> change(Interval(5.0, 4.0, 6.0), Interval(2.0, 2.0, 2.0))
    Change(value=3.0, low=2.0, high=4.0)
    """
    value = now.value - before.value
    low = value - float(np.hypot(now.value - now.low, before.high - before.value))
    high = value + float(np.hypot(now.high - now.value, before.value - before.low))
    return Change(value, low, high)
