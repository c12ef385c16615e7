"""The linear half: logistic regressions of squashed features, of all of them and of a few.

The mean of two fits. One weighs all features under a strong ridge penalty. The other weighs a few,
recency, frequency and worth, hardly penalised: less is known to it, and less of what it knows
changes with the season.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lib.churn.customer_attributes import CODE_ENDING
from lib.churn.model.settings import ModelSettings
from lib.churn.snapshots import Snapshots
from lib.churn.target import Floats

FEW = (
    *("days_since_invoice", "invoices_365d", "invoiced_365d"),
    *("invoice_mean_365d", "tenure_days", "items_365d"),
    *("days_since_use", "active_days_90d", "usage_90d", "active_users_90d"),
)
"""Recency, frequency and worth of what customers buy (Fader and Hardie) and of what they use."""
_RARE = 0.01


@dataclass(frozen=True)
class RobustSquash:
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


def fit_squash(matrix: Floats, categorical: Sequence[int] = ()) -> RobustSquash:
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
        (column, code)
        for column in categorical
        for code, share in zip(*_shares(matrix[:, column]), strict=True)
        if _RARE <= share <= 1.0 - _RARE
    ]
    pairs = np.array(coded, dtype=np.int64).reshape(-1, 2)
    return RobustSquash(mean, scale, some, pairs)


def _shares(codes: Floats) -> tuple[list[float], list[float]]:
    values, count = np.unique(codes[~np.isnan(codes)], return_counts=True)
    return values.tolist(), (count / max(len(codes), 1)).tolist()


@dataclass(frozen=True)
class Linear:
    """A fitted half.

    Attributes:
        squash: makes its inputs.
        weights: (inputs,) log-odds for one deviation.
        intercept: log-odds of the mean.
    """

    squash: RobustSquash
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
        contributions = parts[:, :features].copy()
        absent = features + len(self.squash.missing)
        contributions[:, self.squash.missing] += parts[:, features:absent]
        for number, column in enumerate(self.squash.coded[:, 0].tolist()):
            contributions[:, column] += parts[:, absent + number]
        return contributions


def fit_linear(rows: Snapshots, weights: Floats, settings: ModelSettings) -> Linear:
    """The linear half, fitted on rows whose labels are 0 or 1, both present.

    Args:
        rows: of customers.
        weights: (rows,).
        settings: penalties, and the weight of the second fit; without it there is none.
    """
    squash = fit_squash(rows.matrix, _codes_among(rows.names))
    inputs = squash.apply(rows.matrix)
    weighed, intercept = _fitted(inputs, rows.labels, weights, settings.ridge)
    columns = _varying(squash, [rows.names.index(name) for name in FEW])
    if (share := settings.few_share) and columns:
        of_few, start = _fitted(inputs[:, columns], rows.labels, weights, settings.few_ridge)
        weighed, intercept = weighed * (1.0 - share), intercept * (1.0 - share)
        weighed[columns] += share * of_few
        intercept += share * start
    return Linear(squash, weighed, intercept)


def _codes_among(names: Sequence[str]) -> list[int]:
    """Places of the features that are codes: segment, plan, and attributes that are categories."""
    return [column for column, name in enumerate(names) if name.endswith(CODE_ENDING)]


def _fitted(inputs: Floats, labels: Floats, weights: Floats, ridge: float) -> tuple[Floats, float]:
    model = LogisticRegression(C=ridge, max_iter=2000)
    model.fit(inputs, labels, sample_weight=weights)
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def _varying(squash: RobustSquash, few: list[int]) -> list[int]:
    """Inputs of the few features, with those for their being missing; constant ones are none."""
    features = len(squash.mean)
    columns = [column for column in few if np.isfinite(squash.scale[column])]
    missing = np.flatnonzero(np.isin(squash.missing, columns)) + features
    return [*columns, *missing.tolist()]
