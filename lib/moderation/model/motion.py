"""The linear model of motion statistics, for when clips are few."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from lib.moderation.model.frames import motion_statistics
from lib.moderation.model.outputs import Floats, Pixels
from lib.moderation.model.serialization import Files, Reader, arrays_bytes, read_arrays

_ARRAYS = "video-motion.safetensors"
_STRENGTH = 0.1


@dataclass(frozen=True)
class MotionModel:
    """Logistic regression over standardised statistics.

    Attributes:
        mean, spread: (statistics,) of training clips.
        weights: (statistics, policies).
        intercepts: (policies,).
    """

    mean: Floats
    spread: Floats
    weights: Floats
    intercepts: Floats

    def log_odds(self, clips: Sequence[Pixels]) -> Floats:
        """Log-odds (n, policies) of prepared clips (T, S, S, 3)."""
        return self.of_statistics(statistics_of(clips))

    def of_statistics(self, statistics: Floats) -> Floats:
        """Log-odds (n, policies) of `statistics_of` clips."""
        inputs = np.clip((statistics - self.mean) / self.spread, -5.0, 5.0)
        # row by row, so that one clip and many get the same answer to the bit
        return np.asarray((inputs[:, :, None] * self.weights).sum(axis=1) + self.intercepts)

    def files(self) -> Files:
        """Safetensors."""
        return {_ARRAYS: arrays_bytes(vars(self))}

    @classmethod
    def read(cls, reader: Reader) -> MotionModel:
        """As `files` stored it."""
        return cls(**read_arrays(reader(_ARRAYS)))


def statistics_of(clips: Sequence[Pixels]) -> Floats:
    """Motion statistics (n, statistics) of prepared clips, at least one."""
    return np.stack([motion_statistics(clip) for clip in clips])


def fit_motion(statistics: Floats, targets: Floats) -> MotionModel:
    """Weights from training clips.

    Args:
        statistics: (n, statistics).
        targets: (n, policies) within 0 and 1; NaN unknown. Shares of one half and more count as
            violations.
    """
    mean = statistics.mean(axis=0)
    spread = np.maximum(statistics.std(axis=0), 1e-6)
    inputs = np.clip((statistics - mean) / spread, -5.0, 5.0)
    weights = np.zeros((statistics.shape[1], targets.shape[1]))
    intercepts = np.zeros(targets.shape[1])
    for p in range(targets.shape[1]):
        is_known = ~np.isnan(targets[:, p])
        flags = targets[is_known, p] >= 0.5
        if not 0 < flags.sum() < len(flags):
            continue
        model = LogisticRegression(C=_STRENGTH, max_iter=2000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs[is_known], flags)
        weights[:, p], intercepts[p] = model.coef_[0], model.intercept_[0]
    return MotionModel(mean, spread, weights, intercepts)
