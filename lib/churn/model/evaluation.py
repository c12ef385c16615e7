"""What a model is worth on later rows, beside baselines on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.calibration import ReliabilityBin, expected_calibration_error, reliability
from lib.churn.model.fitting import Split
from lib.churn.snapshots import Snapshots
from lib.churn.target import NEVER, Floats, Target
from lib.evaluation import (
    Interval,
    average_precision,
    bootstrap_interval,
    precision_at_k,
    roc_auc,
)
from lib.feature import DAY

OURS = "ours"
MEASURES = AUC, AP, RECALL, PRECISION, REVENUE = (
    *("auc", "ap", "recall_at_capacity", "precision_at_capacity"),
    "revenue_recall_at_capacity",
)
_LIFT_POINTS = 100


@dataclass(frozen=True)
class Evaluation:
    """Everything that a report tells of a model's test.

    Attributes:
        measures: by method, then measure.
        auc, ap: of ours, intervals by customer.
        calibration: of ours, on test rows.
        calibration_error: expected, of ours.
        lift: by method, share of leavers found among the first k percent, k = 0..100.
        segments: code, rows, share that leaves, AUC (NaN with one class).
        unseen: rows of customers that training never saw, and the AUC on them.
        warned_days: days before notice that each leaver was first flagged; NaN never.
        importance: share of the absolute contributions by feature.
        capacity: share of customers that the team can look after.
    """

    measures: Mapping[str, Mapping[str, float]]
    auc: Interval
    ap: Interval
    calibration: tuple[ReliabilityBin, ...]
    calibration_error: float
    lift: Mapping[str, Floats]
    segments: tuple[tuple[float, int, float, float], ...]
    unseen: tuple[int, float]
    warned_days: Floats
    importance: Mapping[str, float]
    capacity: float
    prevalence: float
    rows: int
    customers: int


def evaluate(
    split: Split,
    target: Target,
    scores: Mapping[str, Floats],
    probabilities: Floats,
    contributions: Floats,
    capacity: float,
    threshold: float,
    seed: int,
    repeats: int,
) -> Evaluation:
    """Measures of every method on the test rows.

    Args:
        split: train and test.
        target: what is foreseen.
        scores: by method, `OURS` among them.
        probabilities: calibrated, of ours.
        contributions: (test rows, features) of ours.
        capacity: share of customers that the team can look after at a moment.
        threshold: chance from which a customer is flagged.
        seed: of the draws.
        repeats: draws of customers.
    """
    test = split.test
    ours = scores[OURS]

    def interval(measure: object) -> Interval:
        return bootstrap_interval(
            lambda rows: measure(test.labels[rows], ours[rows]),  # type: ignore[operator]
            test.customers, seed, repeats,
        )  # fmt: skip

    mean = np.abs(contributions).mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    total = mean.sum() or 1.0
    return Evaluation(
        measures={
            name: measures_of(test, method_scores, capacity)
            for name, method_scores in scores.items()
        },
        auc=interval(roc_auc),
        ap=interval(average_precision),
        calibration=reliability(test.labels, probabilities, 10),
        calibration_error=expected_calibration_error(test.labels, probabilities, 10),
        lift={name: _lift(test.labels, method_scores) for name, method_scores in scores.items()},
        segments=_segments(test, ours),
        unseen=_unseen(split, ours),
        warned_days=first_flags(test, target, probabilities, threshold),
        importance={test.names[k]: float(mean[k] / total) for k in order.tolist() if mean[k] > 0},
        capacity=capacity,
        prevalence=float(test.labels.mean()),
        rows=len(test),
        customers=len(np.unique(test.customers)),
    )


def measures_of(test: Snapshots, scores: Floats, capacity: float) -> dict[str, float]:
    """AUC, average precision, and what the team finds at its capacity, moment by moment."""
    recalls, precisions, revenue = [], [], []
    for at in np.unique(test.at_us):
        rows = np.flatnonzero(test.at_us == at)
        labels = test.labels[rows]
        if not labels.any():
            continue
        count = max(1, round(capacity * len(rows)))
        hit = precision_at_k(labels, scores[rows], count)
        precisions.append(hit)
        recalls.append(hit * min(count, len(rows)) / labels.sum())
        revenue.append(_revenue_share(test, rows, scores[rows], count))
    return {
        AUC: roc_auc(test.labels, scores),
        AP: average_precision(test.labels, scores),
        RECALL: float(np.mean(recalls)),
        PRECISION: float(np.mean(precisions)),
        REVENUE: float(np.nanmean(revenue)) if not np.isnan(revenue).all() else float("nan"),
    }


def first_flags(rows: Snapshots, target: Target, probabilities: Floats, threshold: float) -> Floats:
    """Days before notice at which each leaver of the rows was first flagged; NaN if never.

    Only leavers who were there for the target's whole window before their notice count: of the
    others it cannot be said how early they could have been seen.
    """
    if (rows.notice_us == NEVER).all():
        return np.zeros(0)
    warned_days = []
    first_seen = int(rows.at_us.min())
    for name in np.unique(rows.customers[rows.notice_us != NEVER]):
        own_rows = np.flatnonzero((rows.customers == name) & (rows.notice_us != NEVER))
        notice = int(rows.notice_us[own_rows].min())
        if notice - first_seen < target.reach_us:
            continue
        flagged = own_rows[(probabilities[own_rows] >= threshold) & (rows.at_us[own_rows] < notice)]
        days = (notice - rows.at_us[flagged]) / DAY
        warned_days.append(float(days.max()) if len(days) else float("nan"))
    return np.array(warned_days)


def _revenue_share(test: Snapshots, rows: NDArray[np.int64], scores: Floats, count: int) -> float:
    worth = test.column("mrr")[rows] * test.labels[rows]
    total = np.nansum(worth)
    if not total > 0:
        return float("nan")
    chosen = np.argsort(-scores, kind="stable")[:count]
    return float(np.nansum(worth[chosen]) / total)


def _lift(labels: Floats, scores: Floats) -> Floats:
    hits = np.cumsum(labels[np.argsort(-scores, kind="stable")])
    positions = np.round(np.linspace(0, len(labels), _LIFT_POINTS + 1)).astype(int)
    return np.asarray(np.concatenate([[0.0], hits])[positions] / max(labels.sum(), 1.0))


def _segments(test: Snapshots, scores: Floats) -> tuple[tuple[float, int, float, float], ...]:
    codes = test.column("segment_code")
    segments = []
    for code in np.unique(codes[~np.isnan(codes)]).tolist():
        in_segment = codes == code
        labels = test.labels[in_segment]
        auc = _auc(labels, scores[in_segment])
        segments.append((float(code), len(labels), float(labels.mean()), auc))
    return tuple(sorted(segments, key=lambda segment: -segment[1]))


def _unseen(split: Split, scores: Floats) -> tuple[int, float]:
    labels = split.test.labels[split.unseen]
    return len(labels), _auc(labels, scores[split.unseen])


def _auc(labels: Floats, scores: Floats) -> float:
    """NaN with one class."""
    return roc_auc(labels, scores) if 0 < labels.sum() < len(labels) else float("nan")


def ordered(measures: Mapping[str, Mapping[str, float]]) -> Sequence[str]:
    """Methods as tables show them: ours last."""
    return [*(name for name in measures if name != OURS), OURS]
