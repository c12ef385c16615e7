"""Growth that the reference itself shows: a line through its days, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as t_distribution

from lib.monitoring.bins import Floats, Ints
from lib.monitoring.tempering import tempering

_FEWEST_DAYS = 14
_GROWS = 0.0001
"""A slope is shown below it: of a hundred figures without growth, none shows any in 99% of models;
what a smaller slope adds to a figure within months is within the luck of its days."""

_ALIKE = 1e-12


@dataclass(frozen=True)
class Trend:
    """A line through the days of the reference, which is 0 in their middle.

    Attributes:
        slope: by day.
        centre: day since 1970 on which it is 0.
        spread: sum of the squares of days from the centre, as far as days are independent.
    """

    slope: float = 0.0
    centre: float = 0.0
    spread: float = float("inf")

    @classmethod
    def fit(cls, residuals: Floats, days: Ints, degrees: float) -> Trend | None:
        """The line, where days grow or fall along it (t test at .01%); None where they do not.

        Days that resemble the day before count for fewer (`tempering`), so that a figure that
        wanders is not taken for one that grows.

        Args:
            residuals: (days,) of a level.
            days: (days,) since 1970.
            degrees: of freedom of the residuals.
        """
        if len(days) < _FEWEST_DAYS or degrees < FEWEST_DEGREES:
            return None
        centre = float(days.mean())
        away = days - centre
        spread = float((away**2).sum())
        slope = float(away @ residuals) / spread
        rest = residuals - slope * away
        independent = tempering(rest, np.arange(len(days)))
        variance = float((rest**2).sum()) / (degrees - 1.0)
        if variance <= _ALIKE:
            return None
        size = abs(slope) * np.sqrt(spread * independent / variance)
        freedom = max(1.0, (degrees - 1.0) * independent)
        shown = 2.0 * t_distribution.sf(size, freedom) < _GROWS
        return cls(slope, centre, spread * independent) if shown else None

    def at(self, days: Ints) -> Floats:
        """(n,) what the line adds to the level on days (n,) since 1970."""
        return np.asarray(self.slope * (days - self.centre))

    def leverage(self, days: Ints) -> Floats:
        """(n,) by which a day's variance is multiplied in the variance of the line there."""
        return np.asarray((days - self.centre) ** 2 / self.spread)


FEWEST_DEGREES = 4.0
LEVEL = Trend()
"""No growth."""
