"""Measures of a model in use, on known labels and on probabilities of labels alike.

Every measure takes labels between 0 and 1: on known ones it is what came out, on calibrated
probabilities it is the confidence-based estimate of it (Bialek, Kuberski, Perrakis, Kivimaki:
Estimating Model Performance Under Covariate Shift Without Labels, arXiv 2401.08348, section 3).
A row may weigh more than once, so that an entity can be drawn as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lib.monitoring.scored_rows import DAY, Floats, MonitoringError, ScoredRows


class Measure(Protocol):
    """One figure of a window.

    Attributes:
        name: e.g. `auc`.
        unit: of its value, e.g. `currency units a day`; empty for a share.
    """

    @property
    def name(self) -> str:
        """E.g. `auc`."""
        ...

    @property
    def unit(self) -> str:
        """Of its value."""
        ...

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """The figure.

        Args:
            rows: (n,) every label within 0 to 1.
            weight: (n,) how often each row counts, 0 or more; None is once.

        Raises:
            MonitoringError: it is not defined on these rows, e.g. there are no positives.
        """
        ...


@dataclass(frozen=True)
class RocAuc:
    """Share of pairs of a positive and a negative that the score orders rightly; ties count half.

    On 0/1 labels this is `lib.evaluation.roc_auc`.
    """

    name: str = "auc"
    unit: str = ""

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """See `Measure.value`."""
        positive, negative = _masses(rows, weight)
        below = np.cumsum(negative) - negative / 2
        return float(positive @ below / (positive.sum() * negative.sum()))


@dataclass(frozen=True)
class AveragePrecision:
    """Precision averaged over the steps of recall; on 0/1 labels `lib.evaluation`'s."""

    name: str = "average_precision"
    unit: str = ""

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """See `Measure.value`."""
        positive, negative = (mass[::-1] for mass in _masses(rows, weight))
        caught = np.cumsum(positive)
        flagged = caught + np.cumsum(negative)
        precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
        return float(positive @ precision / positive.sum())


@dataclass(frozen=True)
class RecallAtCapacity:
    """Share of positives among the highest scores of each day, as many as can be looked at.

    Attributes:
        per_day: rows that people can look at a day, above 0.
    """

    per_day: float
    name: str = "recall_at_capacity"
    unit: str = ""

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """See `Measure.value`."""
        reviewed, label = _reviewed(rows, weight, self.per_day)
        total = _require_positives(label * _weight(rows, weight))
        return float((reviewed * label).sum() / total)


@dataclass(frozen=True)
class PrecisionAtCapacity:
    """Share of positives among those looked at; see `RecallAtCapacity`."""

    per_day: float
    name: str = "precision_at_capacity"
    unit: str = ""

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """See `Measure.value`."""
        reviewed, label = _reviewed(rows, weight, self.per_day)
        return float((reviewed * label).sum() / _require_some(reviewed.sum(), "rows"))


@dataclass(frozen=True)
class Prevalence:
    """Share of positives."""

    name: str = "prevalence"
    unit: str = ""

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """See `Measure.value`."""
        return _positives_per(np.ones(len(rows)), "rows", rows, weight)


@dataclass(frozen=True)
class Money:
    """What the decisions brought less what they cost, a day."""

    name: str = "money"
    unit: str = "currency units a day"

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """See `Measure.value`."""
        if rows.money_if_positive is None or rows.money_if_negative is None:
            raise MonitoringError("money: expected money of both labels in the rows, got none")
        brought = rows.label * rows.money_if_positive + (1.0 - rows.label) * rows.money_if_negative
        total = (_weight(rows, weight) * brought).sum()
        return float(total / _require_some(rows.days, "days"))


@dataclass(frozen=True)
class ObservedOverExpected:
    """Positives over the sum of calibrated scores: 1 is calibrated, above 1 too little is said."""

    name: str = "observed_over_expected"
    unit: str = ""

    def value(self, rows: ScoredRows, weight: Floats | None = None) -> float:
        """See `Measure.value`."""
        return _positives_per(rows.score, "expected positives", rows, weight)


def _positives_per(each: Floats, what: str, rows: ScoredRows, weight: Floats | None) -> float:
    """Positives over the sum of `each` (n,), which is what; refused where that is 0."""
    times = _weight(rows, weight)
    return float((times * rows.label).sum() / _require_some((times * each).sum(), what))


def _weight(rows: ScoredRows, weight: Floats | None) -> Floats:
    return np.ones(len(rows)) if weight is None else weight


def _masses(rows: ScoredRows, weight: Floats | None) -> tuple[Floats, Floats]:
    """Positives and negatives by distinct score, rising; both must be there."""
    times, rank = _weight(rows, weight), rows.score_rank
    positive, negative = (
        np.bincount(rank, weights=mass).astype(np.float64)
        for mass in (times * rows.label, times * (1.0 - rows.label))
    )
    _require_positives(positive)
    _require_some(negative.sum(), "negatives")
    return positive, negative


def _reviewed(rows: ScoredRows, weight: Floats | None, per_day: float) -> tuple[Floats, Floats]:
    """How much of each row is looked at, and its label, both in the order by day and score.

    Rows of one score share what is left of the day's capacity.
    """
    if not per_day > 0:
        raise MonitoringError(f"per_day: expected above 0, got {per_day}")
    order = rows.falling_by_day
    times, score = _weight(rows, weight)[order], rows.score[order]
    day = rows.event_time[order] // DAY
    starts = np.flatnonzero(np.r_[True, (day[1:] != day[:-1]) | (score[1:] != score[:-1])])
    size = np.add.reduceat(times, starts)
    of_day = np.unique(day[starts], return_inverse=True)[1]
    before = np.cumsum(size) - size
    first_of_day = np.flatnonzero(np.r_[True, of_day[1:] != of_day[:-1]])
    before -= before[first_of_day][of_day]
    room = np.clip(per_day - before, 0.0, size)
    share = np.divide(room, size, out=np.zeros_like(room), where=size > 0)
    lengths = np.diff(np.r_[starts, len(order)])
    return times * np.repeat(share, lengths), rows.label[order]


def _require_positives(masses: Floats) -> float:
    return _require_some(float(masses.sum()), "positives")


def _require_some(total: float, what: str) -> float:
    if not total > 0:
        raise MonitoringError(f"{what}: expected some in the rows, got none")
    return float(total)
