"""The meta-learner: how much to trust each half."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

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
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, float]) -> "MetaLearner":
        """The meta-learner that `to_json` described; a missing number is a KeyError naming it."""
        return cls(float(stored["intercept"]), float(stored["trees"]), float(stored["network"]))


def fit_meta(
    trees: Floats,
    network: Floats,
    labels: Flags,
    folds: npt.NDArray[np.int64] | None = None,
    penalty: float = 2.0,
) -> MetaLearner:
    """Logistic regression of what happened on out-of-fold log-odds of both halves.

    Weights are held at 0 or above, so that no half counts backwards, and drawn towards an even
    mean (1/2 each) by a small ridge penalty, which decides where few frauds cannot. Wolpert,
    Stacked generalization (1992); Breiman, Stacked regressions (1996) for the bound at 0.

    Each fold has an intercept of its own, as halves that learnt on fewer days sit on another
    level; the intercept kept is their mean, and calibration sets the level.

    Args:
        trees: (n,) out-of-fold log-odds, each from a model fitted on earlier days only.
        network: (n,) likewise.
        labels: (n,) what happened. One class only gives the even mean.
        folds: (n,) number of the fold, from 0; None takes all rows as one.
        penalty: ridge weight, in frauds' worth of evidence.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  (who only applies one never waits for it)

    if not len(labels) == len(trees) == len(network):
        raise ValueError(f"expected equal lengths: {len(trees)}, {len(network)}, {len(labels)}")
    if labels.all() or not labels.any():
        return MetaLearner(0.0, 0.5, 0.5)
    fold = np.zeros(len(labels), dtype=np.int64) if folds is None else folds
    targets = labels.astype(np.float64)
    count = int(fold.max()) + 1
    start = np.concatenate([[0.5, 0.5], np.zeros(count)])

    def loss_and_gradient(line: Floats) -> tuple[float, Floats]:
        fitted = line[0] * trees + line[1] * network + line[2:][fold]
        loss = (np.logaddexp(0.0, fitted) - targets * fitted).sum() / targets.sum()
        error = (sigmoid(fitted) - targets) / targets.sum()
        away = line[:2] - 0.5
        levels = np.bincount(fold, weights=error, minlength=count)
        slope = np.array([error @ trees, error @ network]) + penalty / targets.sum() * away
        ridge = 0.5 * penalty / targets.sum() * away @ away
        return float(loss + ridge), np.concatenate([slope, levels])

    bounds = [(0.0, None), (0.0, None), *[(None, None)] * count]
    coefficients = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return MetaLearner(
        float(coefficients[2:].mean()), float(coefficients[0]), float(coefficients[1])
    )
