"""Settings of boosted trees that every system has, as parameters of XGBoost."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TreeSettings:
    """How boosted trees grow.

    XGBoost is not imported, so that jobs can read their options first.
    """

    trees: int = 500
    """most trees of one booster; early stopping keeps fewer"""
    depth: int = 6
    """most splits from root to leaf"""
    learning_rate: float = 0.05
    """share of each tree's correction that is taken"""
    subsample: float = 0.8
    """share of rows drawn for each tree"""
    colsample: float = 0.8
    """share of features drawn for each tree"""
    min_child_weight: float = 1.0
    """least hessian weight of a leaf"""
    l2: float = 1.0
    """ridge penalty on leaf values"""
    boosters: int = 1
    """boosters of different seeds, whose log-odds are averaged"""


def classification_parameters(
    settings: TreeSettings, seed: int, threads: int = 1
) -> dict[str, Any]:
    """Parameters of a booster that gives log-odds of two classes.

    Args:
        settings: of the trees.
        seed: of the draws of rows and features.
        threads: of one process; 0 takes all cores, which on a busy machine is slower.
    """
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "subsample": settings.subsample,
        "colsample_bytree": settings.colsample,
        "min_child_weight": settings.min_child_weight,
        "reg_lambda": settings.l2,
        "seed": seed,
        "nthread": threads,
        "verbosity": 0,
    }
