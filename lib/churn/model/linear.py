"""The linear half: a ridge-penalised logistic regression of squashed features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lib.churn.target import Floats

_RARE = 0.01


@dataclass(frozen=True)
class Squash:
    """Features as inputs of mean 0 and deviation 1: sign(x) ln(1 + |x|), a missing one its mean.

    Attributes:
        mean, scale: (features,) of squashed training values.
        missing: (m,) places of features that get an input of their own for being missing.
        coded: (c, 2) place of a categorical feature, and a code that gets an input of its own; as
            numbers codes mean nothing, so such features have a scale of infinity.
    """

    mean: Floats
    scale: Floats
    missing: NDArray[np.int64]
    coded: NDArray[np.int64]

    def apply(self, matrix: Floats) -> Floats:
        """Inputs (rows, features + m + c) of features (rows, features)."""
        absent = np.isnan(matrix)
        squashed = np.sign(matrix) * np.log1p(np.abs(matrix))
        inputs = np.where(absent, 0.0, (squashed - self.mean) / self.scale)
        codes = matrix[:, self.coded[:, 0]] == self.coded[:, 1]
        return np.hstack([inputs, absent[:, self.missing], codes])


def fit_squash(matrix: Floats, categorical: Sequence[int] = ()) -> Squash:
    """Means and deviations of training rows; constant features come to 0.

    Args:
        matrix: (rows, features).
        categorical: places of features that are codes; rare codes get no input.
    """
    absent = np.isnan(matrix)
    squashed = np.where(absent, 0.0, np.sign(matrix) * np.log1p(np.abs(np.nan_to_num(matrix))))
    count = np.maximum((~absent).sum(0), 1)
    mean = squashed.sum(0) / count
    deviation = np.sqrt((np.where(absent, 0.0, squashed - mean) ** 2).sum(0) / count)
    share = absent.mean(0)
    some = np.flatnonzero((share > 0.0) & (share < 1.0))
    scale = np.where(deviation > 1e-9, deviation, np.inf)
    scale[list(categorical)] = np.inf
    coded = [
        (place, code)
        for place in categorical
        for code, share in zip(*_shares(matrix[:, place]), strict=True)
        if _RARE <= share <= 1.0 - _RARE
    ]
    pairs = np.array(coded, dtype=np.int64).reshape(-1, 2)
    return Squash(mean, scale, some, pairs)


def _shares(codes: Floats) -> tuple[list[float], list[float]]:
    found, count = np.unique(codes[~np.isnan(codes)], return_counts=True)
    return found.tolist(), (count / max(len(codes), 1)).tolist()


@dataclass(frozen=True)
class Linear:
    """A fitted half.

    Attributes:
        squash: makes its inputs.
        weights: (inputs,) log-odds for one deviation.
        intercept: log-odds of the mean.
    """

    squash: Squash
    weights: Floats
    intercept: float

    def log_odds(self, matrix: Floats) -> Floats:
        """Raw log-odds (rows,)."""
        # summed row by row, so that one customer and a million give the same bits
        parts = self.squash.apply(matrix) * self.weights
        return np.asarray(parts.sum(axis=1) + self.intercept)

    def contributions(self, matrix: Floats) -> Floats:
        """What each feature adds to the log-odds of the mean (rows, features).

        For a linear model these are its SHAP values, features taken as independent (Lundberg and
        Lee, A unified approach to interpreting model predictions, 2017, corollary 1).
        """
        parts = self.squash.apply(matrix) * self.weights
        features = len(self.squash.mean)
        found = parts[:, :features].copy()
        absent = features + len(self.squash.missing)
        found[:, self.squash.missing] += parts[:, features:absent]
        for number, place in enumerate(self.squash.coded[:, 0].tolist()):
            found[:, place] += parts[:, absent + number]
        return found


def fit_linear(
    matrix: Floats,
    labels: Floats,
    weights: Floats,
    ridge: float,
    categorical: Sequence[int] = (),
) -> Linear:
    """Fit on rows whose labels are 0 or 1, both present."""
    squash = fit_squash(matrix, categorical)
    model = LogisticRegression(C=ridge, max_iter=2000)
    model.fit(squash.apply(matrix), labels, sample_weight=weights)
    return Linear(squash, model.coef_[0].astype(np.float64), float(model.intercept_[0]))
