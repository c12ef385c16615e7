"""Fitting the halves, the meta-learner and the policy."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lib.calibration import sigmoid
from lib.evaluation import average_precision
from lib.fraud.model.inputs import (
    DAY,
    feature_matrix,
    fit_standardiser,
    known_labels,
    recency_weights,
)
from lib.fraud.model.network import (
    Perceptron,
    RectifiedDropout,
    fit_networks,
    fold,
    seeded_perceptron,
)
from lib.fraud.model.policy import DECISIONS, Costs, Policy, expected_costs, fit_policy
from lib.fraud.model.reasons import top_reasons
from lib.fraud.model.sample import Sample, kept_rows
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.stacking import fit_meta
from lib.fraud.model.trees import fit_trees
from tests.fraud.model_sample import sample_of


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SMALL = NetworkSettings(hidden=(16, 8), batch_size=128, epochs=4)


def test_labels_count_from_when_they_were_reported_until_withdrawn() -> None:
    reported = np.array([np.nan, 5.0, 5.0, 9.0])
    withdrawn = np.array([np.nan, np.nan, 7.0, np.nan])
    assert known_labels(reported, withdrawn, 4).tolist() == [False] * 4
    assert known_labels(reported, withdrawn, 6).tolist() == [False, True, True, False]
    assert known_labels(reported, withdrawn, 9).tolist() == [False, True, False, True]


def test_recency_halves_with_each_half_life() -> None:
    ages = np.array([0, 10, 20]) * DAY
    assert recency_weights(-ages, 0, 10.0).tolist() == [1.0, 0.5, 0.25]
    assert recency_weights(-ages, 0, 0.0).tolist() == [1.0, 1.0, 1.0]


def test_missing_feature_column_is_named() -> None:
    with pytest.raises(ValueError, match="'amount_zscore' is missing"):
        feature_matrix(pa.table({"amount": [1.0]}), ("amount", "amount_zscore"))


def test_null_becomes_missing_and_order_is_that_of_the_names() -> None:
    table = pa.table({"b": [1.0, None], "a": [3.0, 4.0]})
    assert np.array_equal(
        feature_matrix(table, ("a", "b")), np.float32([[3, 1], [4, np.nan]]), equal_nan=True
    )


def test_standardised_inputs_hold_no_missing_value_and_flag_it() -> None:
    matrix = sample_of(2_000, 1).matrix
    standardiser = fit_standardiser(matrix)
    inputs = standardiser.apply(matrix)
    assert np.isfinite(inputs).all()
    assert np.array_equal(inputs[:, matrix.shape[1] :], np.isnan(matrix).astype(np.float32))
    assert np.abs(inputs[:, : matrix.shape[1]].mean(axis=0)).max() < 0.05
    assert standardiser.folded.tolist() == [True, False, False, False, False, False]


def test_constant_and_absent_features_do_no_harm() -> None:
    matrix = np.float32([[1, np.nan], [1, np.nan]])
    assert fit_standardiser(matrix).apply(matrix).tolist() == [[0, 0, 1], [0, 0, 1]]


def test_moments_of_pieces_are_those_of_the_whole() -> None:
    matrix = np.random.default_rng(5).lognormal(1.0, 0.5, (5_000, 3)).astype(np.float32)
    matrix[::7, 1] = np.nan
    standardiser = fit_standardiser(matrix)
    assert not standardiser.folded.any()
    values = matrix.astype(np.float64)
    np.testing.assert_allclose(standardiser.mean, np.nanmean(values, axis=0), rtol=1e-6)
    np.testing.assert_allclose(standardiser.scale, np.nanstd(values, axis=0), rtol=1e-6)
    assert standardiser.indicators.tolist() == [1]
    inputs = standardiser.apply(matrix)
    assert np.array_equal(inputs[4_000:], standardiser.apply(matrix[4_000:]))


def test_units_above_zero_pass_but_for_the_share_that_is_dropped() -> None:
    layer, units = RectifiedDropout(0.3), torch.randn(400, 50, requires_grad=True)
    torch.manual_seed(1)
    passed = layer(units)
    positive = units.detach() > 0
    assert not passed[~positive].any()
    assert (passed[positive] == 0).float().mean() == pytest.approx(0.3, abs=0.02)
    stays = passed.detach() > 0
    np.testing.assert_allclose(passed.detach()[stays], units.detach()[stays] / 0.7, rtol=1e-4)
    torch.autograd.backward(passed.sum())
    assert units.grad is not None
    np.testing.assert_allclose(units.grad, stays / 0.7, rtol=1e-4, err_msg="dropped units learn")
    assert not torch.equal(layer(units), passed), "each step drops others"
    torch.manual_seed(1)
    assert torch.equal(RectifiedDropout(0.3)(units), passed), "the seed says which"
    assert torch.equal(layer.eval()(units), torch.relu(units))


def test_folded_network_equals_torch() -> None:
    torch.manual_seed(1)
    model = Perceptron(6, NetworkSettings(hidden=(16, 8)))
    model.train()
    for _ in range(5):
        model(torch.randn(64, 6) * 3 + 1)
    inputs = torch.randn(200, 6)
    expected = model.eval()(inputs).detach().numpy()
    assert np.abs(fold(model).log_odds(inputs.numpy()) - expected).max() < 1e-5


def test_mean_network_gradients_along_a_way_equal_torch() -> None:
    model = seeded_perceptron(6, SMALL, 3).eval()
    row = torch.randn(6)
    shares = torch.linspace(0.1, 1.0, 50)
    inputs = (shares[:, None] * row).requires_grad_()
    torch.autograd.backward(model(inputs).sum())
    assert inputs.grad is not None
    ours = fold(model).path_gradient(row.numpy(), shares.numpy())
    assert np.abs(ours - inputs.grad.numpy().mean(axis=0)).max() < 1e-5


@pytest.mark.parametrize("half", ["trees", "network"])
def test_either_half_learns_and_repeats_with_its_seed(half: str) -> None:
    train, valid, later = sample_of(3_000, 1), sample_of(1_000, 2), sample_of(3_000, 3)

    def fit() -> np.ndarray:
        if half == "trees":
            grown = TreeSettings(trees=40, depth=3)
            return fit_trees(train, valid, grown, seed=4, threads=1).log_odds(later.matrix)
        return fit_networks(train, valid, SMALL, seed=4)[0].log_odds(later.matrix)

    scores = fit()
    assert average_precision(later.labels, scores) > 3 * later.labels.mean()
    assert np.array_equal(scores, fit())


def test_early_stopping_keeps_the_best_tree() -> None:
    train, valid = sample_of(2_000, 1), sample_of(1_000, 2)
    settings = TreeSettings(trees=300, depth=6, learning_rate=0.5, early_stopping=10)
    stopped = fit_trees(train, valid, settings, seed=1, threads=1)
    assert stopped.rounds < 150


def test_each_booster_of_a_bag_draws_its_own_negatives() -> None:
    labels = sample_of(2_000, 1).labels
    first, second = kept_rows(labels, 0.2, 1), kept_rows(labels, 0.2, 2)
    assert first[labels].all()
    assert (first != second).any()
    assert first[~labels].mean() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("value", [False, True])
def test_one_class_only_is_refused_with_advice(value: bool) -> None:
    sample = sample_of(100, 1)
    single_class = Sample(sample.matrix, np.full(100, value), sample.weights)
    with pytest.raises(ValueError, match="both classes"):
        fit_trees(single_class, None, TreeSettings(trees=2), seed=1)
    with pytest.raises(ValueError, match="both classes"):
        fit_networks(single_class, None, SMALL, seed=1)


def halves(seed: int, rows: int = 4_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(-2, 2, rows)
    labels = generator.random(rows) < sigmoid(truth)
    return truth + generator.normal(0, 1, rows), truth + generator.normal(0, 2, rows), labels


def test_meta_learner_agrees_with_logistic_regression() -> None:
    trees, network, labels = halves(1)
    ours = fit_meta(trees, network, labels, penalty=0.0)
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(
        np.column_stack([trees, network]), labels
    )
    expected = [reference.intercept_[0], *reference.coef_[0]]
    assert [ours.intercept, ours.trees, ours.network] == pytest.approx(expected, abs=2e-3)


def test_meta_learner_never_counts_a_half_backwards() -> None:
    trees, network, labels = halves(2)
    assert fit_meta(trees, -network, labels, penalty=0.0).network == 0.0


def test_meta_learner_weighs_halves_alike_whatever_level_their_fold_sits_on() -> None:
    trees, network, labels = halves(3)
    folds = np.arange(len(labels)) % 3
    level = fit_meta(trees, network, labels, folds)
    moved = fit_meta(trees - 2.0 * folds, network + folds, labels, folds)
    assert (moved.trees, moved.network) == pytest.approx((level.trees, level.network), abs=2e-3)


def test_meta_learner_without_frauds_is_the_even_mean() -> None:
    meta = fit_meta(np.zeros(3), np.ones(3), np.zeros(3, dtype=bool))
    assert (meta.trees, meta.network) == (0.5, 0.5)


def policy_rows(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = np.round(sigmoid(generator.normal(-3, 2, rows)), 2)
    return (
        probabilities,
        generator.random(rows) < probabilities,
        generator.integers(1, 90_000, rows),
    )


@given(
    seed=st.integers(0, 5_000),
    capacity=st.floats(0, 30),
    disturbed=st.floats(0, 0.5),
)
@settings(max_examples=40, deadline=None)
def test_policy_is_the_cheapest_that_keeps_its_limits(
    seed: int, capacity: float, disturbed: float
) -> None:
    probabilities, labels, amount = policy_rows(seed, 120)
    if labels.all():
        return
    costs = Costs(reviews_per_day=capacity, most_disturbed=disturbed)
    policy = fit_policy(probabilities, labels, amount, 2.0, costs)
    each = expected_costs(probabilities, amount, costs)

    def outcome(review: float, decline: float) -> float:
        decisions = (probabilities >= review).astype(int) + (probabilities >= decline)
        stopped = (decisions > 0)[~labels].mean()
        if (decisions == 1).sum() > capacity * 2.0 or stopped > disturbed + 1e-9:
            return np.inf
        return float(each[decisions, np.arange(len(decisions))].sum())

    cuts = [*np.unique(probabilities), 2.0]
    best = min(outcome(low, high) for low in cuts for high in cuts if low <= high)
    assert outcome(policy.review, policy.decline) == pytest.approx(best)


def test_decisions_of_one_and_of_many_agree() -> None:
    policy = Policy(0.3, 0.8, 10_000.0)
    probabilities = [0.0, 0.3, 0.5, 0.8, 1.0]
    many = [DECISIONS[decision] for decision in policy.decisions(probabilities)]
    assert many == [policy.decide(probability) for probability in probabilities]
    assert many == ["APPROVE", "REVIEW", "REVIEW", "DECLINE", "DECLINE"]


def test_costs_outside_their_range_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="reviewer_recall"):
        Costs(reviewer_recall=1.5)
    with pytest.raises(ValueError, match="review_minor"):
        Costs(review_minor=-1)


def test_features_of_one_kind_speak_once() -> None:
    names = ("amount", "log_amount", "is_new_device", "hour_of_day")
    values = np.float32([900, 6.8, np.nan, 3])
    reasons = top_reasons(names, values, np.array([0.5, 0.7, 0.9, -2.0]))
    assert [(reason["code"], reason["feature"], reason["value"]) for reason in reasons] == [
        ("AMOUNT", "log_amount", pytest.approx(6.8)),
        ("NEW_DEVICE", "is_new_device", None),
    ]
