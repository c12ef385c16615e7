"""How a churn model is fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lib.boosting.parameters import TreeSettings
from lib.churn.target import Target

_FEW_SHARE = 0.5
SHALLOW_TREES = TreeSettings(
    trees=200, depth=3, boosters=3, learning_rate=0.03,
    subsample=0.5, colsample=0.3, min_child_weight=30.0, l2=10.0,
)  # fmt: skip
"""Trees of churn tables, which have thousands of rows, not millions."""


@dataclass(frozen=True)
class ModelSettings:
    """Both halves, and how the answer is made of them."""

    trees: TreeSettings = SHALLOW_TREES
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
