"""Measures of ranking and operation, against scikit-learn, pandas and brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.evaluation import (
    average_precision,
    bootstrap_interval,
    card_precision_at_k,
    precision_at_k,
    recall_at_fpr,
    roc_auc,
    threshold_at_fpr,
)
from lib.weighted_ranking import SortedRows


def scored_rows(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.random(rows) < 0.1
    labels[:2] = [True, False]
    return labels, np.round(generator.normal(size=rows) + labels, 1)


def test_auc_is_the_share_of_pairs_in_order() -> None:
    labels, scores = scored_rows(1)
    gaps = scores[labels][:, None] - scores[~labels][None, :]
    assert roc_auc(labels, scores) == pytest.approx(((gaps > 0) + 0.5 * (gaps == 0)).mean())


def test_average_precision_of_a_worthless_score_is_the_prevalence() -> None:
    labels, _ = scored_rows(2)
    assert average_precision(labels, np.zeros(len(labels))) == pytest.approx(labels.mean())


@given(st.integers(0, 10_000), st.integers(1, 500))
@settings(max_examples=40, deadline=None)
def test_precision_at_k_does_not_depend_on_row_order(seed: int, k: int) -> None:
    labels, scores = scored_rows(seed)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    assert precision_at_k(labels, scores, k) == pytest.approx(
        precision_at_k(labels[shuffled], scores[shuffled], k)
    )


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_threshold_keeps_the_cap_and_no_lower_one_does(seed: int, cap: float) -> None:
    labels, scores = scored_rows(seed)
    negatives = scores[~labels]
    threshold = threshold_at_fpr(labels, scores, cap)
    assert (negatives >= threshold).mean() <= cap + 1e-9
    lower = scores[scores < threshold]
    if len(lower):
        assert (negatives >= lower.max()).mean() > cap


def test_value_weighted_recall_counts_money() -> None:
    labels, scores = [1, 1, 0, 0], [0.9, 0.1, 0.5, 0.2]
    assert recall_at_fpr(labels, scores, 0.0) == 0.5
    assert recall_at_fpr(labels, scores, 0.0, values=[900, 100, 1, 1]) == pytest.approx(0.9)


def handbook_card_precision(frame: pd.DataFrame, k: int) -> list[float]:
    """The Handbook's `card_precision_top_k`, written with pandas as published."""
    known_cards: list[int] = []
    answers = []
    for day in sorted(frame["day"].unique()):
        rows = frame[(frame["day"] == day) & ~frame["card"].isin(known_cards)]
        cards = rows.groupby("card").max().sort_values("score", ascending=False).reset_index()
        top = cards.head(k)
        fraud_cards = list(top[top["label"]]["card"])
        answers.append(len(fraud_cards) / k)
        known_cards.extend(fraud_cards)
    return answers


def test_card_precision_equals_the_handbooks() -> None:
    generator = np.random.default_rng(5)
    rows = 3_000
    frame = pd.DataFrame(
        {
            "day": generator.integers(0, 7, rows),
            "card": generator.integers(0, 300, rows),
            "label": generator.random(rows) < 0.05,
            "score": generator.random(rows),
        }
    )
    answer = card_precision_at_k(frame["label"], frame["score"], frame["card"], frame["day"], k=20)
    assert list(answer.per_day) == handbook_card_precision(frame, 20)
    assert answer.mean <= answer.ceiling <= 1.0


def test_interval_contains_the_value_and_repeats_with_its_seed() -> None:
    labels, scores = scored_rows(3)
    users = np.arange(len(labels)) // 4

    def measure(rows: np.ndarray) -> float:
        return roc_auc(labels[rows], scores[rows])

    first = bootstrap_interval(measure, users, seed=1, repeats=50)
    assert first.low <= first.value <= first.high
    assert first == bootstrap_interval(measure, users, seed=1, repeats=50)
    assert first != bootstrap_interval(measure, users, seed=2, repeats=50)


def test_interval_is_wider_when_rows_hang_together() -> None:
    labels, scores = scored_rows(4)
    labels, scores = np.repeat(labels, 5), np.repeat(scores, 5)

    def width(entities: np.ndarray) -> float:
        interval = bootstrap_interval(
            lambda rows: roc_auc(labels[rows], scores[rows]), entities, seed=1, repeats=100
        )
        return interval.high - interval.low

    rows = np.arange(len(labels))
    assert width(rows // 5) > 1.5 * width(rows)


@pytest.mark.parametrize(
    ("labels", "scores", "complaint"),
    [
        ([], [], "at least one row"),
        ([0, 1], [0.1], "one length"),
        ([0, 2], [0.1, 0.2], "only 0 and 1"),
        ([0, 1], [0.1, float("nan")], "not finite"),
        ([0, 0], [0.1, 0.2], "both classes"),
    ],
)
def test_bad_rows_are_refused_with_the_reason(labels: list, scores: list, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        roc_auc(labels, scores)


@given(st.integers(0, 10_000), st.integers(2, 300), st.integers(0, 2), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_weighed_rows_are_measured_as_if_written_out(
    seed: int, count: int, decimals: int, cap: float
) -> None:
    dice = np.random.default_rng(seed)
    labels = dice.random(count) < 0.3
    labels[:2] = [True, False]
    scores, values = dice.normal(size=count).round(decimals), dice.integers(0, 99, count) * 1.0
    times = dice.integers(0, 4, count)
    times[:2] = np.maximum(times[:2], 1)
    rows = np.repeat(np.arange(count), times)
    weighed = SortedRows(labels, scores, values).weighed(times)
    written = labels[rows], scores[rows]
    k = int(dice.integers(1, 400))
    pairs = [
        (weighed.roc_auc(), roc_auc(*written)),
        (weighed.average_precision(), average_precision(*written)),
        (weighed.precision_at_k(k), precision_at_k(*written, k)),
        (weighed.recall_at_fpr(cap), recall_at_fpr(*written, cap)),
        (weighed.value_recall_at_fpr(cap), recall_at_fpr(*written, cap, values[rows])),
    ]
    for actual, expected in pairs:
        assert actual == pytest.approx(expected, abs=1e-12), pairs


def test_a_draw_of_one_class_has_no_measures() -> None:
    ranked = SortedRows(np.array([True, False]), np.array([0.9, 0.1]), np.ones(2))
    with pytest.raises(ValueError, match="0 positives among 3 rows"):
        ranked.weighed(np.array([0, 3]))
