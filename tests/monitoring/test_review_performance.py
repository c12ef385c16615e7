"""Precision and recall from reviews that were not drawn evenly."""

import numpy as np
import pytest

from lib.monitoring.review_performance import ReviewedRows, combined_inclusion, policy_quality
from lib.monitoring.scored_rows import MonitoringError


def posts(seed: int, count: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, violations and the probability of being reviewed: high scores are always."""
    generator = np.random.default_rng(seed)
    score = generator.beta(1.0, 12.0, count)
    violates = generator.random(count) < np.minimum(score * 1.3, 1.0)
    routed = (score > 0.3).astype(np.float64)
    return score, violates, combined_inclusion(routed, np.full(count, 0.05))


def test_figures_are_those_of_all_posts_not_of_the_reviewed():
    score, violates, inclusion = posts(1)
    flagged = score > 0.25
    truth = float((flagged & violates).sum() / violates.sum())
    reviewed = np.random.default_rng(2).random(len(score)) < inclusion
    rows = ReviewedRows(
        np.flatnonzero(reviewed), flagged[reviewed], violates[reviewed], inclusion[reviewed]
    )
    quality = policy_quality(rows, seed=3, repeats=200)
    naive = float((rows.flagged & rows.violates).sum() / rows.violates.sum())
    assert quality.recall.low <= truth <= quality.recall.high
    assert naive - truth > 0.2
    precision = float((flagged & violates).sum() / flagged.sum())
    assert quality.precision.low <= precision <= quality.precision.high
    assert quality.effective < quality.rows


def test_intervals_hold_the_truth_as_often_as_they_say():
    inside = 0
    for seed in range(40):
        score, violates, inclusion = posts(seed, 8_000)
        flagged = score > 0.25
        reviewed = np.random.default_rng(seed + 100).random(len(score)) < inclusion
        rows = ReviewedRows(
            np.flatnonzero(reviewed), flagged[reviewed], violates[reviewed], inclusion[reviewed]
        )
        recall = policy_quality(rows, seed=seed, repeats=100).recall
        inside += recall.low <= (flagged & violates).sum() / violates.sum() <= recall.high
    assert inside >= 34


def test_two_reasons_to_review_are_one_probability():
    both = combined_inclusion(np.array([1.0, 0.0, 0.5]), np.array([0.1, 0.1, 0.5]))
    assert both.tolist() == pytest.approx([1.0, 0.1, 0.75])


def test_a_policy_nobody_broke_has_no_recall():
    rows = ReviewedRows(
        np.arange(3), np.array([True, False, False]), np.zeros(3, dtype=bool), np.ones(3)
    )
    quality = policy_quality(rows, seed=1, repeats=10)
    assert np.isnan(quality.recall.value)
    assert quality.precision.value == 0.0
    assert quality.note == "violates: expected reviewed rows of that kind, got none"


def test_rows_that_could_not_be_reviewed_are_refused():
    flags = np.zeros(1, dtype=bool)
    with pytest.raises(MonitoringError, match="inclusion: expected probabilities above 0"):
        ReviewedRows(np.arange(1), flags, flags, np.zeros(1))
    with pytest.raises(MonitoringError, match="violates: expected 1 rows, got 2"):
        ReviewedRows(np.arange(1), flags, np.zeros(2, dtype=bool), np.ones(1))
