"""Figures of windows whose labels are in, or partly in."""

import numpy as np
import pyarrow as pa
import pytest

from lib.evaluation import roc_auc
from lib.fraud.outcomes import FraudOutcomes
from lib.monitoring.measures import AveragePrecision, Money, Prevalence, RocAuc
from lib.monitoring.performance import Draws, paired_difference, realised, ripening
from lib.monitoring.scored_rows import DAY, MonitoringError, money_by_label, scored_rows
from tests.monitoring.factories import MadeRows


def test_only_rows_with_labels_count_and_the_rest_is_ripeness():
    rows = MadeRows(seed=1, days=4).rows()
    known = np.random.default_rng(2).random(len(rows)) < 0.25
    auc, money = realised(
        rows.labelled(np.where(known, rows.label, np.nan)),
        [RocAuc(), Money()],
        Draws(1, repeats=50),
    )
    assert auc.value == pytest.approx(roc_auc(rows.label[known] > 0, rows.score[known]))
    assert auc.low < auc.value < auc.high
    assert auc.ripeness == pytest.approx(known.mean())
    assert (auc.rows, auc.basis, money.unit) == (known.sum(), "realised", "currency units a day")


def test_a_figure_that_is_not_defined_says_why():
    rows = MadeRows(seed=1, days=1, per_day=50).rows()
    (auc,) = realised(rows.labelled(np.zeros(len(rows))), [RocAuc()], Draws(1, repeats=10))
    assert np.isnan(auc.value)
    assert auc.note == "positives: expected some in the rows, got none"
    assert auc.to_json()["value"] is None


def test_intervals_are_wider_where_rows_of_an_entity_agree():
    rows = MadeRows(seed=3, days=2).rows()
    doubled = rows.take(np.tile(np.arange(len(rows)), 4))
    (single,), (four,) = (realised(each, [Prevalence()], Draws(5)) for each in (rows, doubled))
    assert four.value == pytest.approx(single.value)
    assert four.high - four.low == pytest.approx(single.high - single.low, rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_labels_to_come_are_filled_by_what_is_left_of_their_probability(share):
    rows = MadeRows(seed=6, days=10, per_day=2_000).rows()
    generator = np.random.default_rng(7)
    truth = 1 / (1 + np.exp(3.0 - rows.inputs[:, 0] - 0.9 * rows.inputs[:, 1]))
    is_in = (rows.label > 0) & (generator.random(len(rows)) < share)
    partly = rows.labelled(np.where(is_in, 1.0, np.nan))
    ripe = np.full(len(rows), share)
    prevalence, auc = ripening(partly, truth, ripe, [Prevalence(), RocAuc()], Draws(1, repeats=50))
    assert prevalence.value == pytest.approx(rows.label.mean(), rel=0.06)
    assert auc.value == pytest.approx(roc_auc(rows.label > 0, rows.score), abs=0.015)
    assert prevalence.ripeness == pytest.approx(share, abs=0.1)


def test_a_better_model_is_better_on_the_same_draws():
    rows = MadeRows(seed=9, days=6).rows()
    better = rows.inputs[:, 0] + 0.9 * rows.inputs[:, 1]
    other = type(rows)(rows.entity, rows.event_time, better.astype(float), rows.label)
    compared = paired_difference(rows, other, AveragePrecision(), seed=1, repeats=100)
    assert compared.difference.low > 0.0
    assert compared.share_above == 1.0
    assert compared.difference.value == pytest.approx(compared.second - compared.first)
    same = paired_difference(rows, rows, RocAuc(), seed=1, repeats=20)
    assert (same.difference.low, same.difference.high) == (0.0, 0.0)


def test_models_are_compared_on_the_same_known_rows_only():
    rows = MadeRows(seed=9, days=1).rows()
    with pytest.raises(MonitoringError, match="entity: expected the same rows"):
        paired_difference(rows, rows.take(np.arange(5)), RocAuc(), seed=1)
    unknown = rows.labelled(np.full(len(rows), np.nan))
    with pytest.raises(MonitoringError, match="label: expected known labels"):
        paired_difference(unknown, unknown, RocAuc(), seed=1)


def outcome_rows() -> pa.Table:
    moment = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "entity_id": ["a", "b", "a", "c"],
            "event_time": pa.array([DAY, DAY, 2 * DAY, 3 * DAY], moment),
            "decision": ["APPROVE", "DECLINE", "APPROVE", "APPROVE"],
            "score": pa.array([0.1, 0.9, 0.2, None], pa.float64()),
            "label": pa.array([0.0, 1.0, 1.0, None], pa.float64()),
            "ripe_at": pa.array([4 * DAY, None, 9 * DAY, 10 * DAY], moment),
            "money": pa.array([0.0, 5.0, None, None], pa.float64()),
        }
    )


def test_rows_of_outcomes_keep_labels_that_are_ripe():
    rows = scored_rows(outcome_rows(), 5 * DAY)
    assert rows.entity.tolist() == [0, 1, 0]
    assert np.isnan(rows.label).tolist() == [False, True, True]
    early = scored_rows(outcome_rows(), 5 * DAY, ripe_only=False)
    assert early.label.tolist() == [0.0, 1.0, 1.0]


def test_a_table_without_a_column_is_refused():
    with pytest.raises(MonitoringError, match="outcomes: expected column ripe_at"):
        scored_rows(outcome_rows().drop(["ripe_at"]), 5 * DAY)


class Prices:
    """An approved positive costs 10, a declined negative 2."""

    def money_of(self, outcomes, decisions):
        label = outcomes["label"].to_numpy()
        declined = np.array([decision == "DECLINE" for decision in decisions])
        return np.where(declined, -2.0 * (1.0 - label), -10.0 * label)


def test_money_of_both_labels_comes_from_the_systems_prices():
    positive, negative = money_by_label(Prices(), outcome_rows())
    assert positive.tolist() == [-10.0, 0.0, -10.0, -10.0]
    assert np.abs(negative).tolist() == [0.0, 2.0, 0.0, 0.0]


def test_money_of_payments_by_label_adds_up_to_the_money_of_their_labels():
    generator = np.random.default_rng(3)
    label = (generator.random(60) < 0.3).astype(np.float64)
    decisions = generator.choice(["APPROVE", "REVIEW", "DECLINE"], 60).tolist()
    amounts = generator.integers(100, 90_000, 60).astype(np.float64)
    columns = {"decision": decisions, "label": label, "money": label, "amount_minor": amounts}
    payments = pa.table(columns)
    positive, negative = money_by_label(FraudOutcomes(), payments)
    expected = FraudOutcomes().money_of(payments, decisions)
    assert np.where(label > 0, positive, negative) == pytest.approx(expected)
