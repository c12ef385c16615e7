"""Aggregates of a column that may be missing, in whole multiples of its resolution.

The quantities and aggregates of packaged features read columns that every event has. What somebody
declares over a column of their own counts the events that have a value, and no others.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from lib.feature import exact_arithmetic
from lib.feature.declaration import Deviation, Mean
from lib.feature.exact_arithmetic import Value
from lib.feature.measures import Key, Latest, Measure, Quantity, Total
from lib.feature.windows import Window

MOST_MULTIPLES = 2**31 - 1
"""Of the resolution; the squares of larger ones would not add up exactly in a store."""


@dataclass(frozen=True)
class Multiples:
    """Reads a number as whole multiples of `resolution`, halves to even, 0 where it is missing.

    Numbers beyond `MOST_MULTIPLES` are read as that many.
    """

    resolution: float

    def __call__(self, value: Any) -> Any:
        """One number, or an array of them."""
        multiples = value / self.resolution
        if isinstance(multiples, np.ndarray):
            limited = np.clip(np.nan_to_num(multiples), -MOST_MULTIPLES, MOST_MULTIPLES)
            return np.rint(limited).astype(np.int64)
        if multiples != multiples:  # noqa: PLR0124
            return 0
        return round(min(max(multiples, -MOST_MULTIPLES), MOST_MULTIPLES))


@dataclass(frozen=True)
class IsPresent:
    """Reads 1 where there is a number, and 0 where it is missing."""

    def __call__(self, value: Any) -> Any:
        """One number, or an array of them."""
        present = value == value  # noqa: PLR0124
        return present.astype(np.int64) if isinstance(present, np.ndarray) else int(present)


@cache
def multiples_of(column: str, resolution: float, squared: bool = False) -> Quantity:
    """The quantity of a column; the same arguments give the same object."""
    name = f"{column} in {resolution!r}{' squared' if squared else ''}"
    return Quantity(name, (column,), Multiples(resolution), squared)


@cache
def present_in(column: str) -> Quantity:
    """The quantity that counts events with a value of the column."""
    return Quantity(f"{column} present", (column,), IsPresent())


@dataclass(frozen=True)
class _OfPresent:
    """Totals of the events that have a value.

    Args:
        present: 1 for those events.
    """

    present: Quantity = field(kw_only=True)

    def _totals(
        self, key: Key, window: Window | None, without: str | None, *quantities: Quantity
    ) -> tuple[Measure, ...]:
        counted = (self.present, *quantities)
        return tuple(Total(key, quantity, window, without=without) for quantity in counted)


@dataclass(frozen=True)
class MeanOfPresent(_OfPresent, Mean):
    """The mean over events that have a value."""

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        """See `Aggregate`."""
        return self._totals(key, window, self.without, self.quantity)


@dataclass(frozen=True)
class DeviationOfPresent(_OfPresent, Deviation):
    """The sample standard deviation over events that have a value."""

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:
        """See `Aggregate`."""
        return self._totals(key, window, self.without, self.quantity, self.squares)


@dataclass(frozen=True)
class NewestValue:
    """The value of the newest event within `horizon` that has a value; `empty` without such.

    Args:
        quantity: whole multiples of the resolution.
        present: 1 for events that have a value; None where all have.
        horizon: how far back to look, microseconds.
        resolution: of the quantity.
    """

    quantity: Quantity
    present: Quantity | None
    horizon: int
    resolution: float

    def measures(self, key: Key, window: Window | None) -> tuple[Measure, ...]:  # noqa: ARG002
        """See `Aggregate`."""
        return (Latest(key, self.horizon, (self.quantity,), self.present),)

    def finish(self, parts: tuple[Value, ...], empty: float) -> Value:
        """See `Aggregate`."""
        age, value = parts
        return exact_arithmetic.choose(age < 0.0, empty, value * self.resolution)
