"""Columns on one scale, with what is missing filled in and flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.survival.outcomes import Floats, SurvivalError

_FARTHEST = 8.0
_RARE = 0.005


def _no_codes() -> npt.NDArray[np.int64]:
    return np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class Scaling:
    """Standard scores of training rows; missing values become the mean, 0.

    As numbers codes of categories mean nothing, so each code is a column of its own; a code that
    has none becomes the mean, as a missing one does.

    Attributes:
        names: all columns, in order.
        used: (used,) places of the columns that vary in the training rows.
        mean, scale: (used,) of the training rows, missing values left out.
        flagged: (flags,) places of columns whose being missing is a column of its own.
        coded: (codes, 2) place of a column that holds codes, and a code with a column of its own.
        shares: (codes,) share of the training rows with each.
    """

    names: tuple[str, ...]
    used: npt.NDArray[np.int64]
    mean: Floats
    scale: Floats
    flagged: npt.NDArray[np.int64]
    coded: npt.NDArray[np.int64] = field(default_factory=_no_codes)
    shares: Floats = field(default_factory=lambda: np.empty(0))

    @classmethod
    def fit(
        cls,
        names: tuple[str, ...],
        rows: Floats,
        *,
        flags: bool = True,
        categorical: Sequence[int] = (),
    ) -> Scaling:
        """Of training rows (n, columns).

        Args:
            names: of the columns.
            rows: of training.
            flags: whether being missing is a column of its own.
            categorical: places of columns that hold codes; rare codes get no column.

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
        varies[list(categorical)] = False
        coded, shares = _codes_of(rows, categorical)
        if not varies.any() and not len(coded):
            raise SurvivalError(f"none of the {len(names)} columns varies in the training rows")
        used = np.flatnonzero(varies)
        flagged = _flagged(~is_finite) if flags else np.empty(0, dtype=np.int64)
        return cls(names, used, mean[used], deviation[used], flagged, coded, shares)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that come out."""
        missing = tuple(f"{self.names[column]} missing" for column in self.flagged)
        codes = tuple(f"{self.names[column]} = {code}" for column, code in self.coded.tolist())
        return tuple(self.names[column] for column in self.used) + missing + codes

    def apply(self, rows: Floats) -> Floats:
        """(n, used + flags + codes) of rows (n, columns); scores end at 8 standard deviations."""
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise SurvivalError(f"expected {len(self.names)} columns, got shape {rows.shape}")
        scores = (rows[:, self.used] - self.mean) / self.scale
        scores = np.where(np.isfinite(scores), np.clip(scores, -_FARTHEST, _FARTHEST), 0.0)
        missing = (~np.isfinite(rows[:, self.flagged])).astype(np.float64)
        if not len(self.coded):
            return np.concatenate([scores, missing], axis=1)
        return np.concatenate([scores, missing, self._code_scores(rows)], axis=1)

    def _code_scores(self, rows: Floats) -> Floats:
        """(n, codes) standard scores of having each code."""
        columns = self.coded[:, 0]
        hits = rows[:, columns] == self.coded[:, 1]
        has_column = np.stack([hits[:, columns == own].any(axis=1) for own in columns], axis=1)
        scores = (hits - self.shares) / np.sqrt(self.shares * (1.0 - self.shares))
        return np.where(has_column, np.clip(scores, -_FARTHEST, _FARTHEST), 0.0)

    def to_json(self) -> dict[str, Any]:
        """For a file; `from_json` gives the same back, to the last bit."""
        stored: dict[str, Any] = {
            "names": list(self.names),
            "used": self.used.tolist(),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "flagged": self.flagged.tolist(),
        }
        if len(self.coded):
            stored |= {"coded": self.coded.tolist(), "shares": self.shares.tolist()}
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Scaling:
        """Raises SurvivalError where lengths or places cannot be meant."""
        names = tuple(str(name) for name in stored["names"])
        used, flagged = (np.array(stored[key], dtype=np.int64) for key in ("used", "flagged"))
        mean, scale = (np.array(stored[key], dtype=np.float64) for key in ("mean", "scale"))
        coded = np.array(stored.get("coded", []), dtype=np.int64).reshape(-1, 2)
        shares = np.array(stored.get("shares", []), dtype=np.float64)
        columns = np.concatenate([used, flagged, coded[:, 0]])
        if not len(used) == len(mean) == len(scale) or (columns >= len(names)).any():
            raise SurvivalError("the scaling of columns does not fit their names")
        if (columns < 0).any() or not np.isfinite(mean).all() or not (scale > 0).all():
            raise SurvivalError("the scaling of columns holds invalid values")
        if len(coded) != len(shares) or not ((shares > 0.0) & (shares < 1.0)).all():
            raise SurvivalError("the scaling of columns holds invalid shares of codes")
        return cls(names, used, mean, scale, flagged, coded, shares)


def _codes_of(rows: Floats, categorical: Sequence[int]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Columns with codes that are neither rare nor nearly everywhere, and the share of each."""
    pairs, shares = [], []
    for column in categorical:
        values = rows[:, column]
        codes, counts = np.unique(values[np.isfinite(values)], return_counts=True)
        for code, share in zip(codes.tolist(), (counts / max(len(rows), 1)).tolist(), strict=True):
            if _RARE <= share <= 1.0 - _RARE:
                pairs.append((column, int(code)))
                shares.append(share)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(shares, dtype=np.float64)


def _flagged(missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Columns often enough missing and often enough there, one of those missing together."""
    share = missing.mean(axis=0)
    candidates = np.flatnonzero((share > _RARE) & (share < 1.0 - _RARE))
    _, first = np.unique(missing[:, candidates], axis=1, return_index=True)
    return np.sort(candidates[first])
