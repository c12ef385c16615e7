"""The boosted half: XGBoost trees, averaged over a few seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from lib.boosting.booster_file import read_booster
from lib.boosting.parameters import classification_parameters
from lib.churn.model.settings import TreeSettings
from lib.churn.target import Floats


@dataclass(frozen=True)
class Trees:
    """Fitted boosters; their mean log-odds are the answer."""

    boosters: tuple[xgb.Booster, ...]

    def log_odds(self, matrix: Floats) -> Floats:
        """Mean raw log-odds (rows,); NaN is missing."""
        rows = matrix.astype(np.float32)
        sums = [booster.inplace_predict(rows, predict_type="margin") for booster in self.boosters]
        return np.asarray(np.mean(np.asarray(sums, dtype=np.float64), axis=0))

    def contributions(self, matrix: Floats) -> tuple[Floats, float]:
        """Mean SHAP values (rows, features), XGBoost's own, and the log-odds they start from.

        Lundberg, Erion, Lee: Consistent individualized feature attribution for tree ensembles
        (2018). With what they start from they add up to `log_odds`.
        """
        rows = xgb.DMatrix(matrix.astype(np.float32))
        parts = [booster.predict(rows, pred_contribs=True) for booster in self.boosters]
        mean = np.mean(np.asarray(parts, dtype=np.float64), axis=0)
        return mean[:, :-1], float(mean[0, -1]) if len(mean) else 0.0

    def to_bytes(self) -> tuple[bytes, ...]:
        """Each booster as UBJ."""
        return tuple(bytes(booster.save_raw("ubj")) for booster in self.boosters)

    @classmethod
    def from_bytes(cls, stored: Sequence[bytes], feature_count: int, threads: int = 1) -> Trees:
        """Boosters from UBJ over `feature_count` features; `read_booster` says what is refused."""
        boosters = tuple(read_booster(content, feature_count, threads) for content in stored)
        for booster in boosters:
            booster.feature_names = None
        return cls(boosters)


def tree_parameters(settings: TreeSettings, seed: int, base: float) -> dict[str, Any]:
    """XGBoost's own parameters, the same wherever the booster is trained.

    Args:
        settings: how the trees grow.
        seed: of the draws of rows and features.
        base: share of rows that leave, where boosting starts: set, so that it does not depend on
            how rows are spread over workers.
    """
    return {
        **classification_parameters(settings, seed),
        "eval_metric": "logloss",
        "base_score": base,
    }


def fit_trees(
    matrix: Floats, labels: Floats, weights: Floats, settings: TreeSettings, seed: int
) -> Trees:
    """Fit in this process, on one thread."""
    rows = xgb.QuantileDMatrix(matrix.astype(np.float32), labels, weight=weights, nthread=1)
    base = float(np.average(labels, weights=weights))
    return Trees(
        tuple(
            xgb.train(tree_parameters(settings, seed + number, base), rows, settings.trees)
            for number in range(settings.boosters)
        )
    )
