"""A weighted correction of log-odds, with a covariance over entities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.calibration import sigmoid
from lib.monitoring.scored_rows import Codes, Floats, ScoredRows

_NEWTON_STEPS = 15
_RIDGE = 1.0
_CLIP = 4.0


@dataclass(frozen=True)
class Correction:
    """Adds `columns @ coefficient` to log-odds.

    Columns are 1, the log-odds themselves and, where rows have money, what a positive costs more
    than a negative: those are the directions in which ranking and money depend on labels.

    Attributes:
        centre, scale: of the columns after the first.
        coefficient: (k,).
        covariance: (k, k) of it, over entities.
    """

    centre: Floats
    scale: Floats
    coefficient: Floats
    covariance: Floats

    @classmethod
    def fit(cls, rows: ScoredRows, log_odds: Floats, weight: Floats) -> Correction:
        """By weighted maximum likelihood with a ridge of the weight of one row.

        The covariance is the sandwich over entities: Liang and Zeger, Longitudinal data analysis
        using generalized linear models, Biometrika 73 (1986).

        Args:
            rows: (n,) every label known.
            log_odds: (n,) to be corrected.
            weight: (n,) of the rows, mean about 1.
        """
        plain = _columns(rows, log_odds)
        centre = np.average(plain, axis=0, weights=weight)
        scale = np.sqrt(np.average((plain - centre) ** 2, axis=0, weights=weight))
        scale = np.where(scale > 1e-9, scale, 1.0)
        design = _design(plain, centre, scale)
        coefficient = np.zeros(design.shape[1])
        for _ in range(_NEWTON_STEPS):
            probability = sigmoid(log_odds + design @ coefficient)
            bend = weight * probability * (1.0 - probability)
            hessian = design.T @ (design * bend[:, None]) + _RIDGE * np.eye(design.shape[1])
            score = design.T @ (weight * (rows.label - probability)) - _RIDGE * coefficient
            step = np.linalg.solve(hessian, score)
            coefficient = coefficient + np.clip(step, -1.0, 1.0)
            if np.abs(step).max() < 1e-8:
                break
        residual = weight * (rows.label - sigmoid(log_odds + design @ coefficient))
        inverse = np.linalg.inv(hessian)
        spread = _by_entity(design * residual[:, None], rows.entity)
        return cls(centre, scale, coefficient, inverse @ (spread.T @ spread) @ inverse)

    def apply(self, rows: ScoredRows, log_odds: Floats) -> AdaptedProbabilities:
        """Probabilities of rows (n,)."""
        design = _design(_columns(rows, log_odds), self.centre, self.scale)
        value = sigmoid(log_odds + design @ self.coefficient)
        return AdaptedProbabilities(value, log_odds, design, self.coefficient, self.covariance)


@dataclass(frozen=True)
class AdaptedProbabilities:
    """Probabilities of rows (n,), and what says how sure they are.

    Attributes:
        value: (n,) probability of a positive.
        log_odds: (n,) before the correction.
        design: (n, k) columns of the correction.
        coefficient: (k,) of the correction.
        covariance: (k, k) of the coefficient.
    """

    value: Floats
    log_odds: Floats
    design: Floats
    coefficient: Floats
    covariance: Floats

    def draw(self, generator: np.random.Generator) -> Floats:
        """(n,) labels 0 and 1 as they may come out, with a correction drawn anew."""
        drawn = generator.multivariate_normal(self.coefficient, self.covariance)
        probability = sigmoid(self.log_odds + self.design @ drawn)
        return (generator.random(len(probability)) < probability).astype(np.float64)


def _columns(rows: ScoredRows, log_odds: Floats) -> Floats:
    """(n, 1 or 2): log-odds, and the signed logarithm of what a positive costs more."""
    if rows.money_if_positive is None or rows.money_if_negative is None:
        return log_odds[:, None]
    difference = rows.money_if_positive - rows.money_if_negative
    return np.column_stack([log_odds, np.sign(difference) * np.log1p(np.abs(difference))])


def _design(columns: Floats, centre: Floats, scale: Floats) -> Floats:
    scaled = np.clip((columns - centre) / scale, -_CLIP, _CLIP)
    return np.column_stack([np.ones(len(columns)), scaled])


def _by_entity(rows: Floats, entity: Codes) -> Floats:
    """(entities, k) sums of rows (n, k)."""
    codes = np.unique(entity, return_inverse=True)[1]
    return np.column_stack([np.bincount(codes, weights=column) for column in rows.T])
