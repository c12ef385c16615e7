"""The looks at an experiment: what each showed, and the bound that it had to pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.experiment.confidence_sequence import intrinsic_times, time_uniform_bound
from lib.experiment.declaration import Experiment
from lib.experiment.models import ExperimentChange
from lib.experiment.sequential import Continuation, conditional_power

SHARPEST_DAYS = 14.0
"""When the confidence sequence of an experiment without an end is the sharpest."""


@dataclass(frozen=True)
class LookTime:
    """When a look is, as far as bounds depend on it.

    Attributes:
        days: of ripe outcomes, since the start.
        fraction: of the planned time that they cover, 1 where no more is to come.
        correlation: of the estimate's error with that of the look before, 0 to 1.
    """

    days: float
    fraction: float
    correlation: float


@dataclass(frozen=True)
class PastLook:
    """A look as it is recorded.

    Attributes:
        as_of: when, microseconds since 1970 UTC.
        days, fraction, correlation: see `LookTime`.
        gain, low, high: money a week.
        z, bound: the estimate and its bound in standard errors.
        action: of its verdict.
    """

    as_of: int
    days: float
    fraction: float
    correlation: float
    gain: float
    low: float
    high: float
    z: float
    bound: float
    action: str

    @property
    def time(self) -> LookTime:
        """What bounds depend on."""
        return LookTime(self.days, self.fraction, self.correlation)


def recorded_looks(changes: Sequence[ExperimentChange]) -> tuple[PastLook, ...]:
    """The looks in the audit of an experiment, the earliest first."""
    looks = []
    for change in changes:
        look = change.detail.get("look") if change.action == "judged" else None
        if isinstance(look, Mapping):
            values: dict[str, object] = dict(look)
            looks.append(PastLook(**values))  # type: ignore[arg-type]
    return tuple(looks)


def look_bound(experiment: Experiment, times: Sequence[LookTime]) -> float:
    """The bound of the last of some looks, in standard errors on either side.

    Group-sequential where the experiment has an end, else of an always-valid sequence.
    """
    if experiment.until is not None:
        return _continued(experiment, times).looks[-1].boundary
    first = times[0].days / SHARPEST_DAYS
    later = [time.correlation for time in times[1:]]
    return float(time_uniform_bound(intrinsic_times(first, later, experiment.alpha))[-1])


def win_probability(
    experiment: Experiment, times: Sequence[LookTime], z: float, drift: float
) -> float:
    """Probability that the end promotes the challenger, were the expected z at the end this.

    Args:
        experiment: with an end.
        times: of all looks, the present one last, before the end.
        z: the estimate in standard errors now.
        drift: expected at the end.
    """
    running = _continued(experiment, times)
    fraction = times[-1].fraction
    final = running.boundary(1.0, float(np.sqrt(fraction)))
    return conditional_power(z, fraction, drift, final)


def _continued(experiment: Experiment, times: Sequence[LookTime]) -> Continuation:
    running = Continuation(experiment.alpha)
    for time in times:
        running.boundary(time.fraction, time.correlation)
    return running
