"""How a churn model is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TreeSettings:
    """The boosted half. Trees are shallow: churn tables have thousands of rows, not millions."""

    trees: int = 200
    """trees of one booster"""
    depth: int = 3
    """most splits from root to leaf"""
    learning_rate: float = 0.03
    """share of each tree's correction that is taken"""
    subsample: float = 0.5
    """share of rows drawn for each tree"""
    colsample: float = 0.3
    """share of features drawn for each tree"""
    min_child_weight: float = 30.0
    """least hessian weight of a leaf"""
    l2: float = 10.0
    """ridge penalty on leaf values"""
    boosters: int = 3
    """boosters of different seeds, whose log-odds are averaged"""


@dataclass(frozen=True)
class ModelSettings:
    """Both halves, and how the answer is made of them."""

    trees: TreeSettings = field(default_factory=TreeSettings)
    """the boosted half"""
    ridge: float = 0.005
    """inverse strength of the linear half's ridge penalty (scikit-learn's C)"""
    linear_share: float = 0.5
    """weight of the linear half in the mean of log-odds. A plain mean of different models holds
    better than fitted weights when times change (Clemen, Combining forecasts, 1989)"""
