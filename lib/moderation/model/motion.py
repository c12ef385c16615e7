"""How things move in clips, and the linear model of it, for when clips are few."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from lib.moderation.model.outputs import Floats, Pixels, Singles
from lib.moderation.model.pixels import grey
from lib.moderation.model.serialization import Files, Reader, arrays_bytes, read_arrays

_ARRAYS = "video-motion.safetensors"
_STRENGTH = 0.1
_WINDOW, _STIFFNESS = 5, 20.0
_SPEEDS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)
_CELLS = 4


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


def flow(frames: Singles) -> Singles:
    """How far each pixel moves to the next frame (T-1, H, W, 2), in pixels (right, down).

    Lucas and Kanade, An iterative image registration technique (1981), one step at one scale:
    fast motion is underestimated, but it still stands out.

    Args:
        frames: (T, H, W) luminance; smoothed and scaled by its own spread beforehand.
    """
    spread = max(float(frames.std()), 1e-3)
    smooth = ndimage.gaussian_filter(frames / spread, (0.0, 1.0, 1.0))
    mean = 0.5 * (smooth[1:] + smooth[:-1])
    down, right = np.gradient(mean, axis=(1, 2))
    later = smooth[1:] - smooth[:-1]

    def summed(values: Singles) -> Singles:
        return np.asarray(ndimage.uniform_filter(values, (0, _WINDOW, _WINDOW)))

    a, b, c = summed(right * right), summed(right * down), summed(down * down)
    p, q = summed(right * later), summed(down * later)
    ridge = 1e-3 * _STIFFNESS
    a, c = a + ridge, c + ridge
    determinant = a * c - b * b
    return np.stack([(b * q - c * p) / determinant, (b * p - a * q) / determinant], axis=-1)


def motion_statistics(frames: Pixels) -> Floats:
    """What the motion of one clip is like, as numbers that do not tell where it was filmed.

    Speeds, their spread in space and over time, how suddenly they change (violent flows: Hassner,
    Itcher and Kliper-Gross 2012) and how disordered directions are.

    Args:
        frames: (T, S, S, 3) as `evenly_spaced` gives them, T at least 3.
    """
    shades = grey(frames)
    moved = flow(shades)
    moved = moved - np.median(moved, axis=(1, 2), keepdims=True)  # the camera's own motion
    speed = np.hypot(moved[..., 0], moved[..., 1]).astype(np.float64)
    change = np.abs(np.diff(shades, axis=0)).astype(np.float64)
    sudden = np.abs(np.diff(speed, axis=0))
    numbers = [_spread(values) for values in (speed, change, sudden)]
    numbers += [_cells(speed), _cells(change), _directions(moved, speed)]
    return np.concatenate(numbers)


def _spread(values: Floats) -> Floats:
    """Quantiles over space, their mean and spread over time, in logarithms."""
    flat = np.log1p(20.0 * values.reshape(len(values), -1))
    levels = np.quantile(flat, _SPEEDS, axis=1)
    means = flat.mean(axis=1)
    return np.concatenate(
        [levels.mean(axis=1), levels.std(axis=1), [means.max(), means.min(), means.std()]]
    )


def _cells(values: Floats) -> Floats:
    """Motion by cell of a grid, largest first, and how it wanders between cells."""
    t, height, width = values.shape
    edge_y, edge_x = height // _CELLS * _CELLS, width // _CELLS * _CELLS
    grid = values[:, :edge_y, :edge_x].reshape(
        t, _CELLS, edge_y // _CELLS, _CELLS, edge_x // _CELLS
    ).mean(axis=(2, 4)).reshape(t, -1)  # fmt: skip
    mean = np.sort(grid.mean(axis=0))[::-1]
    shares = grid / np.maximum(grid.sum(axis=1, keepdims=True), 1e-9)
    entropy = -(shares * np.log(shares + 1e-9)).sum(axis=1)
    return np.concatenate(
        [np.log1p(20.0 * mean[[0, 1, 3, 7, 15]]),
         [entropy.mean(), entropy.std(), np.abs(np.diff(shares, axis=0)).sum(axis=1).mean()]]
    )  # fmt: skip


def _directions(moved: Singles, speed: Floats) -> Floats:
    """Shares of eight directions, largest first, and how they disagree nearby and over time."""
    angle = np.arctan2(moved[..., 1], moved[..., 0])
    octant = ((angle + np.pi) / (2 * np.pi) * 8).astype(np.int64) % 8
    counts = np.stack([(speed * (octant == k)).sum(axis=(1, 2)) for k in range(8)], axis=1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    mean = np.sort(shares.mean(axis=0))[::-1]
    entropy = -(shares * np.log(shares + 1e-9)).sum(axis=1)
    divergence = np.gradient(moved[..., 0], axis=2) + np.gradient(moved[..., 1], axis=1)
    curl = np.gradient(moved[..., 1], axis=2) - np.gradient(moved[..., 0], axis=1)
    return np.concatenate(
        [mean[:4], [entropy.mean(), np.abs(np.diff(shares, axis=0)).sum(axis=1).mean()],
         np.log1p(20.0 * np.array([np.abs(divergence).mean(), np.abs(curl).mean()]))]
    )  # fmt: skip
