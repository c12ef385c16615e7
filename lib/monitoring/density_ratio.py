"""How much likelier each reference row is in today's window, by a classifier that tells them apart.

Bickel, Brueckner and Scheffer, Discriminative learning under covariate shift, JMLR 10 (2009);
used for performance estimation in arXiv 2401.08348. Weights are flattened (Shimodaira, Journal of
Statistical Planning and Inference 90, 2000) until enough of the reference still counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from scipy.optimize import brentq

from lib.calibration import fit_calibrator
from lib.evaluation import roc_auc
from lib.monitoring.scored_rows import Codes, Floats, Matrix

_FOLDS = 2
_ROUNDS = 50
_LARGEST_LOG = 12.0


@dataclass(frozen=True)
class DensityRatio:
    """Weights of reference rows that make them like the window.

    Attributes:
        weight: (n,) mean 1.
        auc: how well the classifier told rows of the window from the reference's, on rows that it
            had not seen: .5 means that inputs are alike.
        effective: share of the reference that counts after weighing (Kish, Survey Sampling, 1965).
        flattening: exponent of the ratio, 1 where it was not flattened.
    """

    weight: Floats
    auc: float
    effective: float
    flattening: float


@dataclass(frozen=True)
class RatioSettings:
    """How the classifier is fitted.

    Attributes:
        seed: of folds, draws of rows and trees.
        most_rows: of each side that it is fitted on.
        least_effective: share of the reference that must still count.
        threads: of XGBoost.
    """

    seed: int = 7
    most_rows: int = 30_000
    least_effective: float = 0.1
    threads: int = 1


def density_ratio(
    reference: Matrix,
    window: Matrix,
    reference_entity: Codes,
    window_entity: Codes,
    settings: RatioSettings,
) -> DensityRatio:
    """Density of the window over that of the reference at each reference row.

    Each half of the entities is weighed by a classifier of the other half, and the log-odds are
    recalibrated on those rows, so that a classifier which finds no difference gives even weights.

    Args:
        reference: (n, d), NaN where missing.
        window: (m, d).
        reference_entity: (n,) codes of entities.
        window_entity: (m,) likewise; the two need not be the same codes.
        settings: of the classifier.
    """
    sides = np.r_[np.zeros(len(reference), dtype=np.bool_), np.ones(len(window), dtype=np.bool_)]
    inputs = np.concatenate([reference, window])
    generator = np.random.default_rng(settings.seed)
    fold = np.r_[_folds(reference_entity, generator), _folds(window_entity, generator)]
    sampled = _sampled(sides, settings.most_rows, generator)
    log_odds = np.zeros(len(sides))
    for number in range(_FOLDS):
        booster = _fit(inputs, sides, sampled & (fold != number), settings)
        rows = fold == number
        log_odds[rows] = booster.inplace_predict(inputs[rows], predict_type="margin")
    judged = sampled & np.isfinite(log_odds)
    calibrated = fit_calibrator(log_odds[judged], sides[judged], "platt").log_odds(log_odds)
    logs = np.clip(calibrated[~sides] - calibrated[~sides].mean(), -_LARGEST_LOG, _LARGEST_LOG)
    power = _flattening(logs, settings.least_effective)
    weight = np.exp(power * logs)
    weight /= weight.mean()
    auc = roc_auc(sides[judged], log_odds[judged])
    return DensityRatio(weight, auc, _effective(weight), power)


def _folds(entity: Codes, generator: np.random.Generator) -> Codes:
    codes = np.unique(entity, return_inverse=True)[1]
    return generator.integers(0, _FOLDS, int(codes.max(initial=0)) + 1)[codes]


def _sampled(sides: Any, most_rows: int, generator: np.random.Generator) -> Any:
    """At most so many rows of each side, drawn evenly."""
    share = np.array([min(1.0, most_rows / max(int((sides == side).sum()), 1)) for side in (0, 1)])
    return generator.random(len(sides)) < share[sides.astype(np.int64)]


def _fit(inputs: Matrix, sides: Any, rows: Any, settings: RatioSettings) -> xgb.Booster:
    parameters = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": 4,
        "learning_rate": 0.1,
        "subsample": 0.8,
        "min_child_weight": 20.0,
        "max_bin": 64,
        "base_score": 0.5,
        "seed": settings.seed,
        "nthread": settings.threads,
        "verbosity": 0,
    }
    sample = xgb.QuantileDMatrix(inputs[rows], sides[rows], max_bin=64, nthread=settings.threads)
    return xgb.train(parameters, sample, _ROUNDS)


def _effective(weight: Floats) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum() / len(weight))


def _flattening(logs: Floats, least: float) -> float:
    """The largest exponent up to 1 at which at least this share of the rows counts."""

    def excess(power: float) -> float:
        return _effective(np.exp(power * (logs - logs.max()))) - least

    return 1.0 if excess(1.0) >= 0 else float(brentq(excess, 0.0, 1.0, xtol=1e-3))
