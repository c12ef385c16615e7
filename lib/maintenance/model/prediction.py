"""What a model says of one machine."""

from __future__ import annotations

from dataclasses import dataclass

HORIZONS = {"24h": 24.0, "72h": 72.0, "7d": 168.0, "30d": 720.0}
"""Hours of the horizons that are answered."""


@dataclass(frozen=True, slots=True)
class Driver:
    """What raises or lowers the risk.

    Attributes:
        what: a sensor, a code, a service clock or the age.
        effect: how much lower the chance of a failure would be, were it as usual.
        feature: the feature of it that is farthest from usual.
        value: of that feature; None where it is missing.
        usual: the median in training.
    """

    what: str
    effect: float
    feature: str
    value: float | None
    usual: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Everything that is answered about one machine at one time.

    Attributes:
        chances: P(failure within) by horizon's name; None where training did not reach so far.
        hours: grid of the curve, from 0.
        survival: S at these hours.
        low, high: of the band in which S lies, as far as the number of machines in training goes.
        median_hours: of the time to failure; None: beyond the last hour.
        mean_hours: restricted to the last hour.
        likely_hours: interval of the time to failure; an end at the last hour says "or later".
        modes: chance of each mode, if it fails within the horizon.
        drivers: the largest first.
        alarm: whether the chance within the alarm's hours is at its threshold or above.
    """

    probabilities: dict[str, float | None]
    hours: tuple[float, ...]
    survival: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    median_hours: float | None
    mean_hours: float
    likely_hours: tuple[float, float]
    modes: dict[str, float]
    drivers: tuple[Driver, ...]
    alarm: bool

    @property
    def likely_mode(self) -> str:
        """The likeliest of `modes`."""
        return max(self.modes.items(), key=lambda entry: entry[1])[0]
