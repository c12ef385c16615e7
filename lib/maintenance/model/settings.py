"""What is fitted and how it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from lib.maintenance.feature_set import FeatureError
from lib.maintenance.history import Floats
from lib.survival.settings import HazardSettings

_FINE_HOURS, _FINE_UNTIL, _COARSE_HOURS = 6.0, 168.0, 24.0


@dataclass(frozen=True)
class ModelSettings:
    """The survival models, their blend and their alarm."""

    horizon_hours: float = 1440.0
    """how far curves reach; less where the data does not reach so far"""
    penalty: float = 0.01
    """ridge penalty of the Cox model"""
    network: HazardSettings = field(
        default_factory=lambda: HazardSettings(intervals=20, epochs=15, members=2)
    )
    """the deep survival network; its horizon is that of the model"""
    folds: int = 5
    """folds by machine: for the blend's weight, the intervals, and the report"""
    replicates: int = 8
    """small models on machines drawn with replacement, for the band around a curve"""
    replicate_epochs: int = 8
    """passes over the data of each of them"""
    level: float = 0.8
    """share of failures that the interval of the time to failure shall hold"""
    alarm_hours: float = 168.0
    """an alarm speaks of a failure within so long"""
    false_alarms: float = 0.5
    """false alarms per machine-month at which the alarm is set"""
    preventive: Literal["censor", "ignore"] = "censor"
    """what a planned service does to the wait for the next failure: it ends it unseen, or it
    does not count"""
    most_rows: int = 60_000
    """maximum number of training rows of one fit; a random sample if there are more"""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("horizon_hours", 48.0, 1e6),
            ("penalty", 0.0, 1e6),
            ("folds", 2, 100),
            ("replicates", 0, 1000),
            ("replicate_epochs", 1, 10_000),
            ("level", 0.01, 0.999),
            ("alarm_hours", 0.01, 1e6),
            ("false_alarms", 0.0, 1e6),
            ("most_rows", 100, 10**9),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise FeatureError(f"model: {name}: expected {low} to {high}, got {value}")

    def hazards(self, horizon: float) -> HazardSettings:
        """The network's settings with a horizon."""
        return replace(self.network, horizon=horizon)

    @property
    def small(self) -> ModelSettings:
        """Of a replicate: one network, fewer passes."""
        network = replace(self.network, members=1, epochs=self.replicate_epochs)
        return replace(self, network=network, replicates=0)


def time_grid(horizon: float) -> Floats:
    """Hours at which curves are kept, to the horizon.

    Every 6 in the first week, then every day; of a horizon shorter than a day, its 24 parts.
    """
    step = _FINE_HOURS if horizon >= _COARSE_HOURS else horizon / 24
    fine = np.arange(0.0, min(horizon, _FINE_UNTIL), step)
    coarse = np.arange(_FINE_UNTIL, horizon, _COARSE_HOURS)
    return np.unique(np.concatenate([fine, coarse, [horizon]]))
