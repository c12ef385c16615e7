"""Precision and recall from what people reviewed, weighed by how each row came to be reviewed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.evaluation import Interval, bootstrap_interval
from lib.monitoring.scored_rows import Codes, Flags, Floats, MonitoringError


@dataclass(frozen=True)
class ReviewedRows:
    """Rows that people reviewed about one policy; arrays (n,).

    Attributes:
        entity: code of the entity, e.g. the author.
        flagged: whether the model acted, i.e. said that the policy is broken.
        violates: whether people said so.
        inclusion: probability with which the row came to be reviewed, above 0 and up to 1: 1 for
            what is always routed to people, the sampling share for what was sampled.

    Raises:
        MonitoringError: lengths differ, or an inclusion is not a probability above 0.
    """

    entity: Codes
    flagged: Flags
    violates: Flags
    inclusion: Floats

    def __post_init__(self) -> None:
        count = len(self.entity)
        for name in ("flagged", "violates", "inclusion"):
            if len(getattr(self, name)) != count:
                raise MonitoringError(
                    f"{name}: expected {count} rows, got {len(getattr(self, name))}"
                )
        if not ((self.inclusion > 0.0) & (self.inclusion <= 1.0)).all():
            raise MonitoringError("inclusion: expected probabilities above 0 and up to 1")


@dataclass(frozen=True)
class PolicyQuality:
    """Precision and recall about one policy, of all rows and not of the reviewed ones only.

    Attributes:
        precision: share of violations among what was flagged, over entities.
        recall: share flagged among violations, over entities.
        rows: reviewed.
        effective: rows that they are worth after weighing (Kish).
        note: why a value is NaN; empty if none is.
    """

    precision: Interval
    recall: Interval
    rows: int
    effective: float
    note: str = ""


def combined_inclusion(*probabilities: Floats) -> Floats:
    """(n,) probability of being reviewed for any of several reasons, drawn independently.

    Args:
        probabilities: (n,) of each reason: 1 where it is certain, 0 where it does not apply.
    """
    missed = np.prod([1.0 - probability for probability in probabilities], axis=0)
    return np.asarray(1.0 - missed, dtype=np.float64)


def policy_quality(
    rows: ReviewedRows, *, seed: int, repeats: int = 400, level: float = 0.95
) -> PolicyQuality:
    """Ratios of weighted counts, each row by 1 / its inclusion.

    Hajek, in Foundations of Statistical Inference (1971); Horvitz and Thompson, JASA 47 (1952).
    Rows with an inclusion of 0 cannot be spoken for: what is never reviewed is not in the figure.

    Args:
        rows: reviewed about one policy.
        seed: of the draws of entities.
        repeats: draws.
        level: share of draws inside the intervals.
    """
    weight = 1.0 / rows.inclusion
    hit = weight * (rows.flagged & rows.violates)

    def share(among: Floats) -> Interval:
        def ratio(index: Codes) -> float:
            total = float(among[index].sum())
            if not total > 0:
                raise MonitoringError("rows: expected flagged ones and violations, got none")
            return float(hit[index].sum()) / total

        return bootstrap_interval(ratio, rows.entity, seed, repeats, level)

    intervals, notes = [], []
    for name, among in (("flagged", rows.flagged), ("violates", rows.violates)):
        if among.any():
            intervals.append(share(weight * among))
        else:
            intervals.append(Interval(*[float("nan")] * 3))
            notes.append(f"{name}: expected reviewed rows of that kind, got none")
    effective = float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0
    return PolicyQuality(intervals[0], intervals[1], len(weight), effective, "; ".join(notes))
