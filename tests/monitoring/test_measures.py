"""Measures on labels and on probabilities of labels."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from lib.monitoring.measures import (
    AveragePrecision,
    Money,
    ObservedOverExpected,
    PrecisionAtCapacity,
    Prevalence,
    RecallAtCapacity,
    RocAuc,
)
from lib.monitoring.scored_rows import DAY, MonitoringError, ScoredRows
from tests.monitoring.factories import MadeRows

MEASURES = (
    RocAuc(),
    AveragePrecision(),
    RecallAtCapacity(3.0),
    PrecisionAtCapacity(3.0),
    Prevalence(),
    Money(),
    ObservedOverExpected(),
)


def scored(labels: list[int], scores: list[float], days: list[int] | None = None) -> ScoredRows:
    count = len(labels)
    return ScoredRows(
        entity=np.arange(count),
        event_time=np.array(days or [0] * count, dtype=np.int64) * DAY,
        score=np.array(scores),
        label=np.array(labels, dtype=np.float64),
        money_if_positive=-np.arange(1.0, count + 1.0),
        money_if_negative=np.full(count, 0.5),
    )


LABELLED = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=40
).filter(lambda rows: 0 < sum(label for label, _ in rows) < len(rows))


@given(LABELLED)
@settings(max_examples=60, deadline=None)
def test_ranking_measures_equal_scikit_learn(rows):
    labels, scores = zip(*rows, strict=True)
    rows_scored = scored(list(labels), [score / 7 for score in scores])
    assert RocAuc().value(rows_scored) == pytest.approx(roc_auc_score(labels, scores))
    expected = average_precision_score(labels, scores)
    assert AveragePrecision().value(rows_scored) == pytest.approx(expected)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_a_row_of_weight_two_counts_as_two_rows(measure):
    rows = MadeRows(seed=4, days=2, per_day=60).rows()
    times = np.random.default_rng(1).integers(0, 3, len(rows))
    repeated = rows.take(np.repeat(np.arange(len(rows)), times))
    assert measure.value(rows, times.astype(float)) == pytest.approx(measure.value(repeated))


def test_auc_of_probabilities_is_the_share_of_expected_pairs():
    rows = scored([0, 0, 0], [0.1, 0.4, 0.9]).labelled(np.array([0.2, 0.5, 0.7]))
    right = every = 0.0
    for first, second in itertools.product(range(3), range(3)):
        pair = rows.label[first] * (1 - rows.label[second])
        every += pair
        right += pair * (0.5 if first == second else float(rows.score[first] > rows.score[second]))
    assert RocAuc().value(rows) == pytest.approx(right / every)


def test_recall_at_capacity_looks_at_the_highest_of_each_day():
    rows = scored([1, 0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2, 0.3], days=[0, 0, 0, 1, 1])
    assert RecallAtCapacity(1.0).value(rows) == pytest.approx(1 / 3)
    assert RecallAtCapacity(2.0).value(rows) == pytest.approx(2 / 3)
    assert PrecisionAtCapacity(2.0).value(rows) == pytest.approx(2 / 4)


def test_equal_scores_share_what_is_left_of_the_capacity():
    rows = scored([1, 0, 0], [0.5, 0.5, 0.1])
    assert RecallAtCapacity(1.0).value(rows) == pytest.approx(0.5)
    assert RecallAtCapacity(1.0).value(rows.take([1, 0, 2])) == pytest.approx(0.5)


def test_money_is_a_day_and_by_label():
    rows = scored([1, 0, 0], [0.5, 0.5, 0.1], days=[0, 1, 1])
    assert Money().value(rows) == pytest.approx((-1.0 + 0.5 + 0.5) / 2)


def test_observed_over_expected_is_one_where_scores_are_true():
    rows = MadeRows(seed=8, days=3).rows()
    true_rows = rows.labelled(rows.score)
    assert ObservedOverExpected().value(true_rows) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (RocAuc(), "positives: expected some"),
        (AveragePrecision(), "positives: expected some"),
        (RecallAtCapacity(2.0), "positives: expected some"),
        (RecallAtCapacity(0.0), "per_day: expected above 0"),
    ],
)
def test_what_is_not_defined_is_refused(measure, text):
    with pytest.raises(MonitoringError, match=text):
        measure.value(scored([0, 0], [0.1, 0.2]))


def test_rows_with_a_wrong_column_are_refused():
    with pytest.raises(MonitoringError, match="score: expected finite"):
        scored([1, 0], [float("nan"), 0.2])
    with pytest.raises(MonitoringError, match="label: expected 0 to 1, got 2 to 2"):
        scored([2, 2], [0.1, 0.2])
