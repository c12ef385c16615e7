"""The boosted half: XGBoost trees, averaged over a few seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost as xgb

from lib.boosting.boosted_trees import BoostedTrees
from lib.boosting.parameters import TreeSettings, classification_parameters
from lib.churn.target import Floats


class Trees(BoostedTrees):
    """Boosters of a few seeds."""


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
