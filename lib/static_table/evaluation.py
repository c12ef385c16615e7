"""What a model of a table is worth on rows that taught it nothing, beside baselines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.calibration import (
    ReliabilityBin,
    calibration_error_by_chance,
    expected_calibration_error,
    reliability,
)
from lib.evaluation import Interval, average_precision, bootstrap_interval, roc_auc
from lib.static_table.model import TableModel

Floats = npt.NDArray[np.float64]
OURS, WITHOUT_LEAKS, LOGISTIC = "ours", "ours without likely leaks", "logistic regression"
PREVALENCE = "prevalence alone"
MEASURES = AUC, AP, BRIER, ECE = "auc", "ap", "brier", "calibration_error"
BINS = 10
_GAIN_POINTS = 100


@dataclass(frozen=True)
class Evaluation:
    """Measures on the rows of the test.

    Attributes:
        measures: by method, then measure.
        auc, ap: of ours, 95% intervals by group, or by row without groups.
        ahead: AUC of ours minus that of the logistic regression, with its interval.
        calibration: of ours.
        calibration_by_chance: calibration error that true probabilities would show.
        gains: by method, share of the positive rows among the first k percent, k = 0..100.
        importance: share of the absolute contributions by attribute, the largest first.
        prevalence: share of positive rows.
        rows, groups: of the test.
    """

    measures: Mapping[str, Mapping[str, float]]
    auc: Interval
    ap: Interval
    ahead: Interval
    calibration: tuple[ReliabilityBin, ...]
    calibration_by_chance: float
    gains: Mapping[str, Floats]
    importance: Mapping[str, float]
    prevalence: float
    rows: int
    groups: int


def evaluate(
    model: TableModel,
    matrix: Floats,
    labels: Floats,
    groups: npt.NDArray[np.int64],
    baselines: Mapping[str, Floats],
    seed: int,
    repeats: int,
) -> Evaluation:
    """Measures of the model and the baselines.

    Args:
        model: that is measured.
        matrix: (rows, attributes) of the test, encoded.
        labels: (rows,) 0/1.
        groups: (rows,) what each row is of, for the intervals.
        baselines: probabilities (rows,) by method, the logistic regression among them.
        seed: of the draws.
        repeats: draws of groups.
    """
    ours = model.probabilities(matrix)
    methods = {**baselines, OURS: ours}

    def interval(measure: Callable[[npt.NDArray[np.int64]], float]) -> Interval:
        return bootstrap_interval(measure, groups, seed, repeats)

    logistic = baselines[LOGISTIC]
    contributions, _ = model.trees.contributions(matrix)
    return Evaluation(
        measures={name: measures_of(labels, values) for name, values in methods.items()},
        auc=interval(lambda rows: roc_auc(labels[rows], ours[rows])),
        ap=interval(lambda rows: average_precision(labels[rows], ours[rows])),
        ahead=interval(
            lambda rows: roc_auc(labels[rows], ours[rows]) - roc_auc(labels[rows], logistic[rows])
        ),
        calibration=reliability(labels, ours, BINS),
        calibration_by_chance=calibration_error_by_chance(ours, BINS, groups, seed),
        gains={name: _gains(labels, values) for name, values in methods.items()},
        importance=_importance(model.inputs.names, contributions),
        prevalence=float(labels.mean()),
        rows=len(labels),
        groups=len(np.unique(groups)),
    )


def measures_of(labels: Floats, probabilities: Floats) -> dict[str, float]:
    """AUC, average precision, Brier score and calibration error."""
    return {
        AUC: roc_auc(labels, probabilities),
        AP: average_precision(labels, probabilities),
        BRIER: float(np.mean((probabilities - labels) ** 2)),
        ECE: expected_calibration_error(labels, probabilities, BINS),
    }


def _gains(labels: Floats, scores: Floats) -> Floats:
    """Shares of positive rows; rows of equal score count with their mean."""
    _, tie = np.unique(-scores, return_inverse=True)
    even = np.bincount(tie, weights=labels) / np.bincount(tie)
    hits = np.cumsum(even[np.sort(tie)])
    positions = np.round(np.linspace(0, len(labels), _GAIN_POINTS + 1)).astype(int)
    return np.asarray(np.concatenate([[0.0], hits])[positions] / max(labels.sum(), 1.0))


def _importance(names: tuple[str, ...], contributions: Floats) -> dict[str, float]:
    mean = np.abs(contributions).mean(axis=0)
    total = float(mean.sum()) or 1.0
    order = np.argsort(-mean, kind="stable")
    return {names[k]: float(mean[k] / total) for k in order.tolist() if mean[k] > 0}
