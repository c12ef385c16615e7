"""Columns on one scale, with what is missing filled in and flagged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.survival.outcomes import Floats, SurvivalError

_FARTHEST = 8.0
_RARE = 0.005


@dataclass(frozen=True)
class Scaling:
    """Standard scores of training rows; missing values become the mean, 0.

    Attributes:
        names: all columns, in order.
        used: (used,) places of the columns that vary in the training rows.
        mean, scale: (used,) of the training rows, missing values left out.
        flagged: (flags,) places of columns whose being missing is a column of its own.
    """

    names: tuple[str, ...]
    used: npt.NDArray[np.int64]
    mean: Floats
    scale: Floats
    flagged: npt.NDArray[np.int64]

    @classmethod
    def fit(cls, names: tuple[str, ...], rows: Floats, *, flags: bool = True) -> Scaling:
        """Of training rows (n, columns).

        Raises:
            SurvivalError: no column varies, or names and columns differ.
        """
        if rows.ndim != 2 or rows.shape[1] != len(names):
            raise SurvivalError(f"expected {len(names)} columns, got shape {rows.shape}")
        is_finite = np.isfinite(rows)
        counts = np.maximum(is_finite.sum(axis=0), 1)
        mean = np.where(is_finite, rows, 0.0).sum(axis=0) / counts
        squares = np.where(is_finite, rows - mean, 0.0) ** 2
        deviation = np.sqrt(squares.sum(axis=0) / counts)
        varies = (deviation > 1e-9 * np.maximum(np.abs(mean), 1.0)) & (is_finite.sum(axis=0) > 1)
        if not varies.any():
            raise SurvivalError(f"none of the {len(names)} columns varies in the training rows")
        used = np.flatnonzero(varies)
        flagged = _flagged(~is_finite) if flags else np.empty(0, dtype=np.int64)
        return cls(names, used, mean[used], deviation[used], flagged)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that come out."""
        missing = tuple(f"{self.names[column]} missing" for column in self.flagged)
        return tuple(self.names[column] for column in self.used) + missing

    def apply(self, rows: Floats) -> Floats:
        """(n, used + flags) of rows (n, columns); scores end at 8 standard deviations."""
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise SurvivalError(f"expected {len(self.names)} columns, got shape {rows.shape}")
        scores = (rows[:, self.used] - self.mean) / self.scale
        scores = np.where(np.isfinite(scores), np.clip(scores, -_FARTHEST, _FARTHEST), 0.0)
        missing = (~np.isfinite(rows[:, self.flagged])).astype(np.float64)
        return np.concatenate([scores, missing], axis=1)

    def to_json(self) -> dict[str, Any]:
        """For a file; `from_json` gives the same back, to the last bit."""
        return {
            "names": list(self.names),
            "used": self.used.tolist(),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "flagged": self.flagged.tolist(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Scaling:
        """Raises SurvivalError where lengths or places cannot be meant."""
        names = tuple(str(name) for name in stored["names"])
        used, flagged = (np.array(stored[key], dtype=np.int64) for key in ("used", "flagged"))
        mean, scale = (np.array(stored[key], dtype=np.float64) for key in ("mean", "scale"))
        columns = np.concatenate([used, flagged])
        if not len(used) == len(mean) == len(scale) or (columns >= len(names)).any():
            raise SurvivalError("the scaling of columns does not fit their names")
        if (columns < 0).any() or not np.isfinite(mean).all() or not (scale > 0).all():
            raise SurvivalError("the scaling of columns holds invalid values")
        return cls(names, used, mean, scale, flagged)


def _flagged(missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Columns often enough missing and often enough there, one of those missing together."""
    share = missing.mean(axis=0)
    candidates = np.flatnonzero((share > _RARE) & (share < 1.0 - _RARE))
    _, first = np.unique(missing[:, candidates], axis=1, return_index=True)
    return np.sort(candidates[first])
