"""Intervals by resampling entities, because one customer's payments are not independent."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A measure on all rows with the ends of its percentile interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    measure: Callable[[Rows], float],
    entities: npt.ArrayLike,
    seed: int,
    repeats: int = 200,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of `measure` over entities drawn with replacement.

    Cluster bootstrap: Field and Welsh, Bootstrapping clustered data, JRSS B 69 (2007). All rows of
    a drawn entity come along, as often as it was drawn.

    Args:
        measure: takes row numbers (with repeats) and answers a number; draws on which it raises
            ValueError (one class only) are left out.
        entities: (n,) whose row each is, for instance the user.
        seed: of the draws; the same seed gives the same interval.
        repeats: draws, 1 or more.
        level: share of the draws inside the interval, between 0 and 1.
    """
    if repeats < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"expected repeats >= 1 and 0 < level < 1, got {repeats} and {level}")
    codes = np.unique(np.asarray(entities), return_inverse=True)[1]
    rows = np.arange(len(codes))
    generator = np.random.default_rng(seed)
    draws = [
        drawn
        for _ in range(repeats)
        if (drawn := _one_draw(measure, rows, codes, generator)) is not None
    ]
    value = measure(rows)
    if not draws:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _one_draw(
    measure: Callable[[Rows], float], rows: Rows, codes: Rows, generator: np.random.Generator
) -> float | None:
    """The measure on one draw of entities, or None where the draw cannot be measured."""
    count = int(codes.max()) + 1
    times = np.bincount(generator.integers(0, count, count), minlength=count)
    try:
        return measure(np.repeat(rows, times[codes]))
    except ValueError:
        return None
