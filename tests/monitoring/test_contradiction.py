"""What tells that an estimate is wrong."""

import numpy as np
import pytest

from lib.calibration import sigmoid
from lib.monitoring.contradiction import check_by_outcomes, check_by_review, draw_review
from lib.monitoring.scored_rows import MonitoringError


def reviewed(seed: int, rows: int = 300) -> np.ndarray:
    return sigmoid(np.random.default_rng(seed).normal(-3.5, 1.5, rows))


def drawn(probability: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(probability)) < probability).astype(float)


def test_a_review_that_finds_many_more_is_not_trusted():
    probability = reviewed(1)
    label = drawn(np.minimum(3.5 * probability + 0.03, 1.0), 2)
    check = check_by_review(probability, label, seed=3)
    assert not check.trusted
    assert check.observed > 2 * check.expected
    assert check.p_value < 0.001
    assert check.statement.endswith("the estimate is not trusted (p < .001)")
    assert f"{check.observed:g} positives where {check.expected:.1f}" in check.statement


def test_as_many_positives_in_other_places_are_not_trusted():
    probability = reviewed(4, rows=600)
    label = drawn(np.random.default_rng(5).permutation(probability), 6)
    assert abs(label.sum() - probability.sum()) < 2 * np.sqrt(probability.sum())
    check = check_by_review(probability, label, seed=3)
    assert not check.trusted
    observed, expected = (np.average(probability, weights=each) for each in (label, probability))
    assert f"mean probability of {observed:.2f} where {expected:.2f} was" in check.statement
    assert observed < expected / 2


def test_a_right_estimate_is_called_wrong_as_rarely_as_foreseen():
    wrong = sum(
        not check_by_review(p, drawn(p, 100 + seed), seed=seed, level=0.05, draws=1_000).trusted
        for seed in range(200)
        for p in [reviewed(seed, rows=120)]
    )
    assert wrong <= 18


def test_a_review_is_drawn_where_labels_are_uncertain():
    probability = np.r_[np.full(9_900, 0.001), np.full(100, 0.5)]
    rows = draw_review(probability, 200, seed=1)
    assert len(np.unique(rows)) == 200
    assert 8 < (rows >= 9_900).sum() < 40
    assert draw_review(probability, 200, seed=1).tolist() == rows.tolist()


def test_a_right_estimate_stays_trusted_however_rows_are_drawn():
    generator = np.random.default_rng(1)
    wrong = 0
    for seed in range(100):
        probability = sigmoid(generator.normal(-5.0, 2.0, 5_000))
        rows = draw_review(probability, 100, seed)
        label = drawn(probability, 500 + seed)[rows]
        check = check_by_review(probability[rows], label, seed=seed, level=0.05, draws=1_000)
        wrong += not check.trusted
    assert wrong <= 11


def test_the_statement_of_a_trusted_review_has_its_numbers():
    probability = np.full(200, 0.1)
    check = check_by_review(probability, (np.arange(200) < 21).astype(float), seed=1)
    assert check.trusted
    assert check.statement.startswith(
        "reviews of 200 rows have 21 positives where 20.0 were expected (p = "
    )


@pytest.mark.parametrize("label", [np.array([]), np.array([0.5])])
def test_reviews_without_verdicts_are_refused(label):
    with pytest.raises(MonitoringError, match="label: expected"):
        check_by_review(np.full(1, 0.1), label, seed=1)


def test_outcomes_far_from_their_estimates_are_said_at_once():
    checks = check_by_outcomes([0.9] * 5, [0.01] * 5, [0.9, 0.89, 0.905, 0.84, 0.83])
    assert [check.trusted for check in checks] == [True, True, True, False, False]
    assert checks[3].distance == pytest.approx(-6.0)


def test_small_distances_add_up():
    checks = check_by_outcomes([0.0] * 8, [1.0] * 8, [2.8] * 8)
    assert checks[0].trusted
    assert not checks[-1].trusted


def test_right_estimates_run_long():
    generator = np.random.default_rng(11)
    alarmed = sum(
        not check_by_outcomes([0.0] * 100, [1.0] * 100, generator.normal(size=100))[-1].trusted
        for _ in range(200)
    )
    assert alarmed <= 20


def test_a_window_without_an_estimate_adds_nothing():
    checks = check_by_outcomes([float("nan"), 0.0], [0.0, 1.0], [1.0, 0.1])
    assert checks[0].evidence == 0.0
    assert all(check.trusted for check in checks)
