"""Calibrators rise, store, and bring stated probabilities to what happens."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lib.calibration import (
    Calibrator,
    calibration_error_by_chance,
    choose_method,
    expected_calibration_error,
    fit_calibrator,
    logit,
    reliability,
    sigmoid,
)


def overconfident(seed: int, rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Raw log-odds twice as steep as the truth, and what happened."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(-2.0, 1.5, rows)
    return 2.0 * truth + 1.0, generator.random(rows) < sigmoid(truth)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibration_removes_most_of_the_error(method: str) -> None:
    raw, labels = overconfident(1)
    fresh, outcomes = overconfident(2)
    before = expected_calibration_error(outcomes, sigmoid(fresh))
    after = expected_calibration_error(
        outcomes, fit_calibrator(raw, labels, method).probabilities(fresh)
    )
    assert after < before / 3


def test_platt_agrees_with_an_unpenalised_logistic_regression() -> None:
    raw, labels = overconfident(3)
    ours = fit_calibrator(raw, labels, "platt")
    reference = LogisticRegression(C=np.inf, tol=1e-8).fit(raw[:, None], labels)
    expected = reference.predict_proba(raw[:, None])[:, 1]
    assert np.abs(ours.probabilities(raw) - expected).max() < 2e-3


def test_temperature_finds_the_slope() -> None:
    generator = np.random.default_rng(4)
    truth = generator.normal(0, 2, 50_000)
    labels = generator.random(50_000) < sigmoid(truth)
    assert fit_calibrator(3 * truth, labels, "temperature").slope_above == pytest.approx(
        1 / 3, rel=0.05
    )


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_rare_class_is_not_thought_common_where_rows_are_few(method: str) -> None:
    """The first step of a rare class has few rows and no hit: it says little, not one in four."""
    generator = np.random.default_rng(6)
    truth = generator.normal(-4.4, 0.9, 60_000)
    labels = generator.random(60_000) < sigmoid(truth)
    calibrator = fit_calibrator(truth, labels, method)
    probabilities = calibrator.probabilities(generator.normal(-4.4, 0.9, 60_000))
    assert probabilities.mean() == pytest.approx(labels.mean(), rel=0.1)
    assert calibrator.probabilities([-8.0])[0] < labels.mean() / 2


@given(st.integers(0, 1_000), st.sampled_from(["temperature", "platt", "isotonic"]))
@settings(max_examples=30, deadline=None)
def test_order_of_scores_is_kept(seed: int, method: str) -> None:
    raw, labels = overconfident(seed, rows=500)
    fitted = fit_calibrator(raw, labels, method)
    line = np.linspace(-20, 20, 2_001)
    assert (np.diff(fitted.log_odds(line)) > 0).all()


@given(st.integers(0, 1_000), st.sampled_from(["temperature", "platt", "isotonic"]))
@settings(max_examples=30, deadline=None)
def test_stored_calibrator_answers_the_same_for_one_row_and_many(seed: int, method: str) -> None:
    raw, labels = overconfident(seed, rows=500)
    fitted = fit_calibrator(raw, labels, method)
    restored = Calibrator.from_json(json.loads(json.dumps(fitted.to_json())))
    batch = fitted.probabilities(raw)
    assert [float(restored.probabilities(value)) for value in raw[:50]] == batch[:50].tolist()


@given(st.integers(0, 1_000), st.sampled_from(["temperature", "platt", "isotonic"]))
@settings(max_examples=30, deadline=None)
def test_one_number_is_answered_as_an_array_of_numbers_is(seed: int, method: str) -> None:
    raw, labels = overconfident(seed, rows=500)
    fitted = fit_calibrator(raw, labels, method)
    values = np.concatenate([raw[:100], fitted.inputs, [-90.0, 90.0]])
    single = [fitted.probability(float(value)) for value in values]
    assert single == pytest.approx(fitted.probabilities(values).tolist(), rel=1e-12)


def test_freedom_grows_with_the_positives() -> None:
    assert [choose_method(count) for count in (5, 30, 1000)] == ["temperature", "platt", "isotonic"]


def test_one_class_only_changes_nothing() -> None:
    assert fit_calibrator([0.3, 2.0], [0, 0]).log_odds([0.3, 2.0]).tolist() == [0.3, 2.0]


def test_reliability_bins_hold_all_rows_and_keep_ties_together() -> None:
    labels = np.array([0, 1, 0, 1, 1, 0, 1, 1])
    stated = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.9, 0.9])
    table = reliability(labels, stated, bins=4)
    assert sum(row.rows for row in table) == 8
    assert len({row.stated for row in table}) == len(table)


def test_logit_undoes_sigmoid() -> None:
    line = np.linspace(-20, 20, 101)
    assert np.allclose(logit(sigmoid(line)), line)


def test_falling_line_is_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        Calibrator("isotonic", (0.0, 1.0), (1.0, 0.0))


def test_true_probabilities_are_off_by_chance_alone_and_more_so_in_groups() -> None:
    rng = np.random.default_rng(5)
    stated = rng.random(600)
    groups = np.arange(600) // 6
    alone = calibration_error_by_chance(stated, 10)
    measured = [
        expected_calibration_error(np.random.default_rng(100 + k).random(600) < stated, stated, 10)
        for k in range(50)
    ]
    assert alone == pytest.approx(float(np.mean(measured)), rel=0.1)
    same = np.repeat(stated[:100], 6)
    assert calibration_error_by_chance(same, 10, groups) > 1.5 * calibration_error_by_chance(
        same, 10
    )
    assert calibration_error_by_chance(np.repeat(stated, 50), 10) < alone / 4
