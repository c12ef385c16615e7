"""Parameters of XGBoost that every classifier of this product takes from its settings."""

from typing import Any, Protocol


class TreeShape(Protocol):
    """Settings of boosted trees that every system has."""

    @property
    def depth(self) -> int:
        """Most splits from root to leaf."""

    @property
    def learning_rate(self) -> float:
        """Share of each tree's correction that is taken."""

    @property
    def subsample(self) -> float:
        """Share of rows drawn for each tree."""

    @property
    def colsample(self) -> float:
        """Share of features drawn for each tree."""

    @property
    def min_child_weight(self) -> float:
        """Least weight of a leaf."""

    @property
    def l2(self) -> float:
        """Penalty of leaf values."""


def classification_parameters(settings: TreeShape, seed: int, threads: int = 1) -> dict[str, Any]:
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
