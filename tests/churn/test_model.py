"""The churn model: purged, calibrated, explained, saved and loaded to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lib.calibration import fit_calibrator
from lib.churn.health import COMPONENTS, health_of
from lib.churn.model.baselines import baseline_scores
from lib.churn.model.evaluation import OURS, evaluate, first_flags, measures_of
from lib.churn.model.fitting import (
    customer_folds,
    fit_halves,
    row_weights,
    split_at,
    split_by_time,
)
from lib.churn.model.linear import FEW, fit_linear
from lib.churn.model.model import load_model
from lib.churn.model.report import Subject, training_report
from lib.churn.model.scores import features_in, scores_table
from lib.churn.reasons import reasons_of
from lib.churn.snapshots import from_table, to_table
from lib.churn.target import NEVER, Target
from lib.churn.vocabulary import ChurnError, CustomerVocabulary
from lib.contract import MatchCounts
from lib.evaluation import roc_auc
from lib.feature import DAY
from lib.registry import ArtifactError
from lib.report import render_page
from tests.churn.small_model import SETTINGS, TARGET, rows, save, trained
from tests.churn.tables import day


def test_training_rows_are_purged():
    split = split_at(rows()[1], TARGET, day(340))
    assert split.train.at_us.max() + TARGET.reach_us <= day(340)
    assert split.test.at_us.min() >= day(340)
    assert not np.isnan(split.test.labels).any()
    assert set(split.test.customers[split.unseen]).isdisjoint(split.train.customers)


def test_too_few_leavers_are_refused_with_what_to_do():
    customer_rows = rows()[1].known()
    early = "training: at least 5 customers with notice are needed; found 0 \\(12 in all"
    with pytest.raises(ChurnError, match=early):
        split_by_time(
            customer_rows.take((customer_rows.labels == 0) | (customer_rows.at_us > day(300))),
            TARGET,
            0.2,
        )
    with pytest.raises(ChurnError, match="customers with notice are needed; found 0 \\(0 in all"):
        split_by_time(customer_rows.take(customer_rows.labels == 0), TARGET, 0.2)
    (stays, *_) = sorted(
        set(customer_rows.customers) - set(customer_rows.customers[customer_rows.labels == 1])
    )
    with pytest.raises(ChurnError, match="give more customers or a longer time"):
        split_by_time(customer_rows.take(customer_rows.customers == stays), TARGET, 0.2)
    with pytest.raises(ChurnError, match="no row has a known outcome"):
        split_by_time(rows()[1].take(np.isnan(rows()[1].labels)), TARGET, 0.2)


def test_the_model_orders_customers_better_than_chance_and_usage_alone():
    customer_rows = rows()[1]
    split = split_at(customer_rows, TARGET, day(320))
    linear, trees = fit_halves(split.train, SETTINGS, 1)
    ours = 0.5 * linear.log_odds(split.test.matrix) + 0.5 * trees.log_odds(split.test.matrix)
    assert roc_auc(split.test.labels, ours) > 0.62
    assert set(baseline_scores(split, 1)) == {
        *("recency alone", "rule: usage halved", "logistic regression", "random forest"),
        "logistic regression on RFM",
    }


def test_one_customer_and_many_get_the_same_answer():
    matrix = rows()[1].matrix[:80]
    batch = trained().probabilities(matrix)
    single = [trained().probabilities(matrix[[k]])[0] for k in range(len(matrix))]
    assert batch.tolist() == single


def test_contributions_of_a_half_add_up_to_its_log_odds():
    matrix = rows()[1].matrix[:50]
    adds, start = trained().trees.contributions(matrix)
    np.testing.assert_allclose(
        adds.sum(axis=1) + start, trained().trees.log_odds(matrix), atol=1e-4
    )
    linear = trained().linear
    parts = linear.contributions(matrix).sum(axis=1) + linear.intercept
    np.testing.assert_allclose(parts, linear.log_odds(matrix), atol=1e-9)


def test_the_linear_half_is_the_mean_of_a_fit_of_all_features_and_one_of_a_few():
    """The few's own fit is held against scikit-learn's on their inputs alone."""
    customer_rows = rows()[1]
    known_rows = customer_rows.known()
    weights = row_weights(known_rows)
    none, half, only = (
        fit_linear(known_rows, weights, replace(SETTINGS, few_share=share))
        for share in (0.0, 0.5, 1.0)
    )
    mean = 0.5 * none.log_odds(known_rows.matrix) + 0.5 * only.log_odds(known_rows.matrix)
    np.testing.assert_allclose(half.log_odds(known_rows.matrix), mean, atol=1e-9)
    inputs = none.squash.apply(known_rows.matrix)
    used = np.flatnonzero(only.weights)
    plain = LogisticRegression(C=SETTINGS.few_ridge, max_iter=2000)
    plain.fit(inputs[:, used], known_rows.labels, sample_weight=weights)
    answers = plain.decision_function(inputs[:, used])
    np.testing.assert_allclose(only.log_odds(known_rows.matrix), answers, atol=1e-9)
    assert {known_rows.names[index] for index in used if index < len(known_rows.names)} <= set(FEW)
    parts = half.contributions(known_rows.matrix).sum(axis=1) + half.intercept
    np.testing.assert_allclose(parts, half.log_odds(known_rows.matrix), atol=1e-9)


def test_features_that_are_not_told_leave_the_few():
    customer_rows = rows()[1]
    known_rows = customer_rows.known()
    empty_matrix = known_rows.matrix.copy()
    empty_matrix[:, [known_rows.names.index(name) for name in FEW]] = np.nan
    untold = replace(known_rows, matrix=empty_matrix)
    all_, half = (
        fit_linear(untold, row_weights(known_rows), replace(SETTINGS, few_share=share))
        for share in (0.0, 0.5)
    )
    assert half.log_odds(empty_matrix).tolist() == all_.log_odds(empty_matrix).tolist()


def test_recency_and_frequency_count_for_more_where_leaving_means_falling_silent():
    assert SETTINGS.suited(Target()).few_share == 0.0
    assert SETTINGS.suited(Target(means="no_invoice")).few_share == 0.5
    assert replace(SETTINGS, few_share=0.2).suited(Target(means="no_usage")).few_share == 0.2


def test_a_model_comes_back_to_the_bit(tmp_path: Path):
    model = load_model(save(trained(), tmp_path / "m"))
    matrix = rows()[1].matrix[:200]
    assert model.probabilities(matrix).tolist() == trained().probabilities(matrix).tolist()
    assert model.contributions(matrix).tolist() == trained().contributions(matrix).tolist()
    assert (model.base, model.target, model.names) == (
        *(trained().base, trained().target),
        trained().names,
    )


def test_a_model_of_another_base_is_refused(tmp_path: Path):
    save(trained(), tmp_path / "m")
    with pytest.raises(ArtifactError, match=r"another base: segments: .* against other; plans: "):
        load_model(tmp_path / "m", CustomerVocabulary(("other",), ("pro",)))


def test_rows_come_back_from_their_table():
    customer_rows = rows()[1].take(np.arange(300))
    back = from_table(to_table(customer_rows), customer_rows.names)
    order = np.lexsort((customer_rows.customers, customer_rows.at_us))
    np.testing.assert_array_equal(back.matrix, customer_rows.matrix[order])
    np.testing.assert_array_equal(back.labels, customer_rows.labels[order])
    np.testing.assert_array_equal(back.notice_us, customer_rows.notice_us[order])


def test_folds_and_weights_go_by_customer():
    customer_rows = rows()[1]
    folds = customer_folds(customer_rows, 1)
    assert all(
        len(set(folds[customer_rows.customers == name])) == 1
        for name in customer_rows.customers[:20]
    )
    weights = row_weights(customer_rows)
    assert weights.mean() == pytest.approx(1.0)


def test_capacity_counts_leavers_among_the_riskiest_of_each_moment():
    customer_rows = rows()[1].known()
    perfect = measures_of(customer_rows, customer_rows.labels, capacity=0.2)
    assert perfect["recall_at_capacity"] == pytest.approx(1.0)
    assert perfect["revenue_recall_at_capacity"] == pytest.approx(1.0)
    assert perfect["auc"] == 1.0


def test_the_first_flag_is_counted_in_days_before_notice():
    customer_rows = rows()[1].known()
    name = next(
        n
        for n in customer_rows.customers
        if (customer_rows.notice_us[customer_rows.customers == n] != NEVER).any()
    )
    own_rows = customer_rows.take(customer_rows.customers == name)
    notice = int(own_rows.notice_us.min())
    earlier_rows = own_rows.take(np.flatnonzero(own_rows.at_us < notice))
    if notice - int(earlier_rows.at_us.min()) >= TARGET.reach_us:
        days = first_flags(earlier_rows, TARGET, np.ones(len(earlier_rows)), 0.5)
        assert days.tolist() == [(notice - int(earlier_rows.at_us.min())) / DAY]
        assert np.isnan(first_flags(earlier_rows, TARGET, np.zeros(len(earlier_rows)), 0.5)).all()


def test_the_report_tells_what_was_measured(tmp_path: Path):
    customer_rows = rows()[1]
    split = split_at(customer_rows, TARGET, day(320))
    model = trained()
    scores = baseline_scores(split, 1) | {OURS: model.log_odds(split.test.matrix)}
    judged = evaluate(
        split,
        TARGET,
        scores,
        model.probabilities(split.test.matrix),
        model.contributions(split.test.matrix),
        0.1,
        model.threshold,
        1,
        20,
    )
    matches = {"usage": MatchCounts(10, 4, "a9.9", "a9")}
    subject = Subject("tests", True, split, model, {"odd things": 3}, {}, matches, ("usage_7d",))
    report = training_report(subject, judged)
    page = render_page(report)
    for text in ("simulated customers", "rule: usage halved", "odd things", "usage in the last 7"):
        assert text in page
    assert "usage: 4 of 10 match no customer" in page
    assert "usage: rows of no customer" in page
    assert report.facts["methods"][OURS]["auc"] == judged.auc.value
    assert judged.auc.low <= judged.auc.value <= judged.auc.high
    assert sum(judged.importance.values()) == pytest.approx(1.0)


def test_scores_carry_chances_health_reasons_and_features():
    customer_rows = rows()[1]
    last = customer_rows.take(customer_rows.at_us == customer_rows.at_us.max())
    table = scores_table(trained(), last)
    assert table.num_rows == len(last)
    assert table["chance"].to_pylist() == trained().probabilities(last.matrix).tolist()
    np.testing.assert_array_equal(features_in(table, last.names), last.matrix)
    assert set(table["band"].to_pylist()) <= {"red", "amber", "green"}
    assert all(name in table.column_names for name in COMPONENTS)


CAUSES = {
    "adoption": ("active_users_30d", 0.0, "active users in the last 30 days"),
    "engagement": ("usage_trend_30d", 0.1, "usage of the last 30 days against"),
    "support": ("escalated_tickets_90d", 6.0, "escalated tickets in the last 90 days"),
    "payment": ("failed_payments_90d", 4.0, "failed payments in the last 90 days"),
    "sentiment": ("champion_left_90d", 3.0, "champions who left"),
}


@pytest.mark.parametrize("component", CAUSES)
def test_one_cause_moves_its_component_and_the_words(component: str):
    """Change one thing about an ordinary customer: that component falls, the others stay."""
    feature, bad, text = CAUSES[component]
    model, customer_rows = trained(), rows()[1]
    is_complete = ~np.isnan(customer_rows.matrix).any(axis=1)
    row = customer_rows.matrix[np.flatnonzero(is_complete)[0]].copy()
    for name in ("escalated_tickets_90d", "failed_payments_90d", "champion_left_90d"):
        row[customer_rows.names.index(name)] = 0.0
    worse = row.copy()
    worse[customer_rows.names.index(feature)] = bad

    def health(values: np.ndarray) -> object:
        probability = float(model.probabilities(values[None])[0])
        return health_of(model.reference, customer_rows.names, values, probability)

    before, after = health(row), health(worse)
    for name in COMPONENTS:
        if name == component:
            assert after.components[name] < before.components[name]  # type: ignore[attr-defined]
        else:
            assert after.components[name] == before.components[name]  # type: ignore[attr-defined]
    contributions = np.zeros(len(row))
    contributions[customer_rows.names.index(feature)] = 1.0
    (reason,) = reasons_of(customer_rows.names, worse, contributions, model.usual)
    assert text in reason.words
    assert reason.group == component
    assert reason.words.endswith("raises the risk")


def test_health_falls_as_the_chance_to_leave_rises():
    model, customer_rows = trained(), rows()[1]
    row = customer_rows.matrix[0]
    scores = [
        health_of(model.reference, customer_rows.names, row, p).score for p in (0.001, 0.03, 0.4)
    ]
    assert scores == sorted(scores, reverse=True)
    assert health_of(model.reference, customer_rows.names, row, 0.9).band == "red"


def test_calibration_keeps_the_order():
    model, customer_rows = trained(), rows()[1]
    raw = model.log_odds(customer_rows.matrix)
    assert (np.diff(model.calibrator.log_odds(np.sort(raw))) >= 0).all()
    assert fit_calibrator(raw[:50], customer_rows.labels[:50] == 2).method == "temperature"
