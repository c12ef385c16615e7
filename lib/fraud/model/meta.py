"""The meta-learner: how much to trust each half."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from lib.calibration import sigmoid
from lib.fraud.model.inputs import Flags, Floats


@dataclass(frozen=True)
class MetaLearner:
    """Log-odds of the ensemble = intercept + trees * tree log-odds + network * network log-odds."""

    intercept: float
    trees: float
    network: float

    def log_odds(self, trees: npt.ArrayLike, network: npt.ArrayLike) -> Floats:
        """Raw log-odds (rows,) of both halves' log-odds (rows,)."""
        return np.asarray(
            self.intercept
            + self.trees * np.asarray(trees, dtype=np.float64)
            + self.network * np.asarray(network, dtype=np.float64)
        )

    def to_json(self) -> dict[str, float]:
        """Three plain numbers."""
        return {"intercept": self.intercept, "trees": self.trees, "network": self.network}

    @classmethod
    def from_json(cls, stored: Mapping[str, float]) -> "MetaLearner":
        """The meta-learner that `to_json` described; a missing number is a KeyError naming it."""
        return cls(float(stored["intercept"]), float(stored["trees"]), float(stored["network"]))


def fit_meta(trees: Floats, network: Floats, labels: Flags, penalty: float = 1.0) -> MetaLearner:
    """Logistic regression of what happened on out-of-fold log-odds of both halves.

    Weights are held at 0 or above, so that no half counts backwards, and drawn towards an even
    mean (1/2 each) by a small ridge penalty, which decides where few frauds cannot. Wolpert,
    Stacked generalization (1992); Breiman, Stacked regressions (1996) for the bound at 0.

    Args:
        trees: (n,) out-of-fold log-odds, each from a model fitted on earlier days only.
        network: (n,) likewise.
        labels: (n,) what happened. One class only gives the even mean.
        penalty: ridge weight, in frauds' worth of evidence.
    """
    if not len(labels) == len(trees) == len(network):
        raise ValueError(f"expected equal lengths: {len(trees)}, {len(network)}, {len(labels)}")
    if labels.all() or not labels.any():
        return MetaLearner(0.0, 0.5, 0.5)
    inputs = np.column_stack([np.ones(len(labels)), trees, network])
    targets = labels.astype(np.float64)
    even = np.array([0.0, 0.5, 0.5])
    ridge = np.array([0.0, penalty, penalty]) / targets.sum()

    def loss_and_gradient(line: Floats) -> tuple[float, Floats]:
        fitted = inputs @ line
        loss = np.mean(np.logaddexp(0.0, fitted) - targets * fitted) / targets.mean()
        slope = inputs.T @ (sigmoid(fitted) - targets) / targets.sum()
        away = line - even
        return float(loss + 0.5 * ridge @ away**2), slope + ridge * away

    bounds = [(None, None), (0.0, None), (0.0, None)]
    found = minimize(loss_and_gradient, even, jac=True, method="L-BFGS-B", bounds=bounds).x
    return MetaLearner(*(float(number) for number in found))
