"""What a change is called, and whether it is large enough to wake somebody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.monitoring.bins import Floats, Ints
from lib.monitoring.budget import SmallestEffects
from lib.monitoring.counts import magnitude_cells, magnitude_values
from lib.monitoring.figures import Aspect, Figure
from lib.monitoring.incident import Kind

_RESEMBLES = 0.5
"""A unit explains a change that it takes at least so much of away."""

_SHARE_FLOOR = 1e-4

_LINEAR = {
    "x1000": 1000.0,
    "x100": 100.0,
    "x10": 10.0,
    "x60": 60.0,
    "x3600": 3600.0,
    "x24": 24.0,
    "x1000000": 1e6,
    "x3.6 (m/s to km/h)": 3.6,
    "x1.609 (miles to km)": 1.609344,
    "x2.205 (kg to pounds)": 2.2046226,
    "x3.281 (m to feet)": 3.28084,
    "x25.4 (inches to mm)": 25.4,
    "x14.5 (bar to psi)": 14.503774,
    "x-1": -1.0,
}

Unit = Callable[[Floats], Floats]


def _units() -> Mapping[str, Unit]:
    def scaled(factor: float) -> Unit:
        return lambda values: values * factor

    units = {name: scaled(factor) for name, factor in _LINEAR.items()}
    units |= {
        _inverse(name): scaled(1.0 / factor) for name, factor in _LINEAR.items() if factor > 0
    }
    return units | {
        "degC to degF": lambda values: values * 1.8 + 32.0,
        "degF to degC": lambda values: (values - 32.0) / 1.8,
        "degC to K": lambda values: values + 273.15,
        "K to degC": lambda values: values - 273.15,
    }


def _inverse(name: str) -> str:
    factor, _, rest = name.removeprefix("x").partition(" (")
    if not rest:
        return f"/{factor}"
    first, _, second = rest.removesuffix(")").partition(" to ")
    return f"/{factor} ({second} to {first})"


UNITS = _units()


def unit_change(before: Mapping[int, int], after: Mapping[int, int]) -> str | None:
    """The unit in which values are now given, if another one explains most of a change.

    The reference's values are converted to each unit; the one whose distribution of magnitudes is
    nearest to that of the window is named, if its distance (the largest difference of distribution
    functions, Kolmogorov's) is below half of that without a change, and what is left is small.

    Args:
        before: rows of the reference by `magnitude_cells`.
        after: rows of windows by them.
    """
    if not before or not after:
        return None
    cells, rows = _arrays(before)
    target, target_rows = _arrays(after)
    values, now = magnitude_values(cells), magnitude_values(target)
    unchanged = _distance(values, rows, now, target_rows)
    distances = {
        name: _distance(unit(values), rows, now, target_rows) for name, unit in UNITS.items()
    }
    best = min(distances, key=lambda name: distances[name])
    is_better = distances[best] < _RESEMBLES * unchanged and distances[best] < 0.2
    return best if is_better and unchanged > 0.3 else None


def _arrays(magnitudes: Mapping[int, int]) -> tuple[Ints, Floats]:
    cells = np.array(sorted(magnitudes), dtype=np.int64)
    return cells, np.array([magnitudes[cell] for cell in cells.tolist()], dtype=np.float64)


def _distance(first: Floats, first_rows: Floats, second: Floats, second_rows: Floats) -> float:
    """Kolmogorov's distance; half a cell of magnitude on either side counts as equal."""
    a, b = magnitude_cells(first), magnitude_cells(second)
    grid = np.unique(np.concatenate([a, b]))
    exact = _cumulated(a, first_rows, grid)
    wide = (_cumulated(b + step, second_rows, grid) for step in (-1, 0, 1))
    low, _, high = sorted_stack(list(wide))
    gap = np.maximum(np.maximum(low - exact, exact - high), 0.0)
    return float(gap.max())


def sorted_stack(rows: Sequence[Floats]) -> Floats:
    """Rows (k, n) sorted at each place."""
    return np.sort(np.stack(rows), axis=0)


def _cumulated(cells: Ints, rows: Floats, grid: Ints) -> Floats:
    order = np.argsort(cells, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(rows[order])]) / max(float(rows.sum()), 1.0)
    return np.asarray(sums[np.searchsorted(cells[order], grid, side="right")])


def clock_shift(before: Ints, after: Ints) -> int:
    """By how many hours the profile (24,) of events is shifted; 0 where no shift explains it.

    Args:
        before: rows (24,) of the reference by hour of the day.
        after: rows (24,) of windows.
    """
    usual = (before + 0.5) / (before + 0.5).sum()
    now = after / max(float(after.sum()), 1.0)
    gains = [float(now @ np.log(np.roll(usual, shift) / usual)) for shift in range(-11, 13)]
    best = int(np.argmax(gains))
    unlike = float(now @ np.log(np.maximum(now, 1e-12) / usual))
    return best - 11 if gains[best] > _RESEMBLES * unlike else 0


@dataclass(frozen=True)
class Effect:
    """How large a change is.

    Attributes:
        size: on the scale of the smallest effect.
        least: the smallest that counts.
    """

    size: float
    least: float

    @property
    def is_worth(self) -> bool:
        """Whether it is worth waking somebody for."""
        return self.size >= self.least

    def is_gross(self, times: float) -> bool:
        """Whether it is so many times the smallest; a factor, its power."""
        return self.size >= (self.least**times if self.least > 1.0 else self.least * times)


def effect_of(figure: Figure, first: int, last: int, least: SmallestEffects) -> Effect:
    """The effect in a figure's direction over windows `first` to `last`."""
    before, after = figure.change(first, last)
    change = figure.sign * (after - before)
    if figure.aspect is Aspect.SHARE:
        odds = np.exp(figure.sign * (_logit(after) - _logit(before)))
        return Effect(change if odds >= least.odds else 0.0, least.share)
    if figure.aspect is Aspect.ROWS:
        return Effect(float(np.exp(change)), least.rows)
    return Effect(change, getattr(least, _LEAST[figure.aspect]) if figure.aspect in _LEAST else 0.5)


_LEAST = {
    Aspect.MEAN: "mean",
    Aspect.SPREAD: "spread",
    Aspect.MISSING: "missing",
    Aspect.NEW: "new_value",
    Aspect.REPEATED: "duplicates",
    Aspect.CLOCK: "clock",
}
"""Fields of `SmallestEffects`; the other aspects are shares of rows, of which half must agree."""


def _logit(share: float) -> float:
    clipped = min(max(share, _SHARE_FLOOR), 1.0 - _SHARE_FLOOR)
    return float(np.log(clipped / (1.0 - clipped)))


def kind_of(figure: Figure, first: int, last: int) -> Kind:
    """The kind that a figure alone speaks of."""
    if figure.aspect is Aspect.ROWS:
        return Kind.MORE_ROWS if figure.sign > 0 else Kind.FEWER_ROWS
    if figure.aspect is Aspect.SHARE:
        before, after = figure.change(first, last)
        has_vanished = figure.sign < 0 and after < _VANISHED * before
        return Kind.VANISHED_VALUE if has_vanished else Kind.SHARE_MOVED
    return _KINDS[figure.aspect]


_VANISHED = 0.1
_KINDS = {
    Aspect.MEAN: Kind.MEAN_MOVED,
    Aspect.SPREAD: Kind.SPREAD_MOVED,
    Aspect.MISSING: Kind.MISSING_SHARE,
    Aspect.NEW: Kind.NEW_VALUE,
    Aspect.REPEATED: Kind.DUPLICATED_ROWS,
    Aspect.CLOCK: Kind.CLOCK_SHIFTED,
    Aspect.ABSENT: Kind.NOT_COMPUTED,
    Aspect.CONSTANT: Kind.CONSTANT,
}
