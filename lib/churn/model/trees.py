"""The boosted half: XGBoost trees, averaged over a few seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost as xgb

from lib.boosting.boosted_trees import BoostedTrees
from lib.boosting.parameters import TreeSettings, classification_parameters
from lib.churn.target import Floats


class Trees(BoostedTrees):
    """Boosters of a few seeds, and what each feature adds to their log-odds."""

    def contributions(self, matrix: Floats) -> tuple[Floats, float]:
        """Mean SHAP values (rows, features), XGBoost's own, and the log-odds they start from.

        Lundberg, Erion, Lee: Consistent individualized feature attribution for tree ensembles
        (2018). With what they start from they add up to `log_odds`.
        """
        rows = xgb.DMatrix(matrix.astype(np.float32))
        parts = [booster.predict(rows, pred_contribs=True) for booster in self.boosters]
        mean = np.mean(np.asarray(parts, dtype=np.float64), axis=0)
        return mean[:, :-1], float(mean[0, -1]) if len(mean) else 0.0


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
