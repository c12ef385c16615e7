"""How a churn model is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lib.churn.target import Target

_FEW_SHARE = 0.5


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
    """settings of the boosted trees"""
    ridge: float = 0.005
    """inverse strength of the linear half's ridge penalty (scikit-learn's C)"""
    few_ridge: float = 1.0
    """the same of its fit of a few features"""
    few_share: float | None = None
    """weight of that fit in the linear half; left out: half where leaving means falling silent,
    which recency and frequency foretell, nothing where notice tells of causes"""
    linear_share: float = 0.5
    """weight of the linear half in the mean of log-odds. A plain mean of different models holds
    better than fitted weights when times change (Clemen, Combining forecasts, 1989)"""

    def suited(self, target: Target) -> ModelSettings:
        """The settings with what is left to what leaving means filled in."""
        if self.few_share is not None:
            return self
        return replace(self, few_share=0.0 if target.means == "notice" else _FEW_SHARE)
