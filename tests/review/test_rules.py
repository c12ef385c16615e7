"""The rules of the review queue, without a database."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from lib.records.review import GoldenAnswer, OpinionPair
from lib.review.agreement import agreement_by_policy, cohen_kappa
from lib.review.golden import GoldenMixer, accuracies
from lib.review.opinions import majority, second_opinion_rule
from lib.review.ranking import HIGHEST, LOWEST, bounded_priority, rank_us
from lib.review.salt import opaque_id, share_of
from lib.review.settings import HOUR_US, ReviewSettings, ReviewSettingsError

NOW = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
SETTINGS = ReviewSettings(salt="tests")


@given(st.floats(0, 1e30), st.floats(0, 1e30), st.integers(1, 5), st.integers(1, 5))
def test_nothing_at_stake_keeps_an_item_waiting_for_ever(small, large, mild, severe):
    times = SETTINGS.sla_us
    spread = max(times.values()) - min(times.values())
    later = NOW + spread + round((HIGHEST - LOWEST) * SETTINGS.doubling_us)
    early_rank = rank_us(bounded_priority(small), NOW + times[mild], SETTINGS)
    assert early_rank <= rank_us(bounded_priority(large), later + times[severe], SETTINGS)


def test_twice_as_much_at_stake_is_one_doubling_nearer():
    assert [bounded_priority(worth) for worth in (0.0, 1.0, 2.0, 1024.0)] == [LOWEST, 0, 1, 10]
    assert rank_us(3.0, NOW, SETTINGS) == NOW - 3 * HOUR_US


def test_the_sample_for_second_opinions_is_drawn_by_post_and_not_by_anything_else():
    settings = ReviewSettings(salt="s", second_opinion_share=0.1, second_opinion_severity=6)
    posts = [f"p{number}" for number in range(20_000)]
    drawn = [second_opinion_rule(post, 1, settings) for post in posts]
    assert drawn == [second_opinion_rule(post, 5, settings) for post in posts]
    share = drawn.count("sample") / len(posts)
    assert abs(share - 0.1) < 4 * math.sqrt(0.09 / len(posts))
    other = ReviewSettings(salt="t", second_opinion_share=0.1, second_opinion_severity=6)
    assert drawn != [second_opinion_rule(post, 1, other) for post in posts]


def test_severe_posts_always_get_a_second_opinion():
    settings = ReviewSettings(salt="s", second_opinion_share=0.0, second_opinion_severity=4)
    assert [second_opinion_rule("p", severity, settings) for severity in (3, 4, 5)] == [
        None,
        "severity",
        "severity",
    ]


def test_the_majority_counts_policy_by_policy():
    opinions = [{"a": True, "b": False}, {"a": False, "b": False}, {"a": True, "b": True}]
    assert majority(opinions) == {"a": True, "b": False}


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_scikit_learns(seed):
    draw = np.random.default_rng(seed)
    first = draw.random(200) < 0.2 + 0.1 * seed
    second = np.where(draw.random(200) < 0.7, first, draw.random(200) < 0.5)
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_kappa_is_refused_where_it_is_not_defined():
    with pytest.raises(ValueError, match="not defined"):
        cohen_kappa(np.array([True, True]), np.array([True, True]))
    assert cohen_kappa(np.array([True, True]), np.array([False, False])) == 0.0


def pairs_of(count: int, seed: int) -> list[OpinionPair]:
    draw = np.random.default_rng(seed)
    pairs = []
    for number in range(count):
        truth = bool(draw.random() < 0.4)
        first, second = (bool(truth ^ (draw.random() < 0.1)) for _ in range(2))
        pairs.append(
            OpinionPair(
                f"p{number}",
                "sample",
                {"hate": first, "spam": False},
                {"hate": second, "spam": False},
            )
        )
    return pairs


def test_agreement_has_an_interval_and_is_nan_where_nobody_differs():
    pairs = pairs_of(400, 1)
    agreement = agreement_by_policy(pairs, seed=1)
    hate = agreement["hate"].kappa
    first = [pair.first["hate"] for pair in pairs]
    second = [pair.second["hate"] for pair in pairs]
    assert hate.value == pytest.approx(cohen_kappa_score(first, second))
    assert hate.low < hate.value < hate.high
    assert hate == agreement_by_policy(pairs, seed=1)["hate"].kappa
    assert math.isnan(agreement["spam"].kappa.value)
    assert agreement["spam"].equal == 1.0


def test_the_interval_of_kappa_covers_the_truth():
    # of two raters who err in a tenth, about a truth of which 0.4 is positive
    both = 0.4 * 0.81 + 0.6 * 0.01
    positive = 0.4 * 0.9 + 0.6 * 0.1
    equal, expected = 0.82, positive**2 + (1 - positive) ** 2
    assert both < positive
    true = (equal - expected) / (1 - expected)
    hits = 0
    for seed in range(40):
        kappa = agreement_by_policy(pairs_of(150, seed), seed=seed, repeats=200)["hate"].kappa
        hits += kappa.low <= true <= kappa.high
    assert hits >= 34


def test_accuracy_on_golden_items_has_wilsons_interval():
    answers = [GoldenAnswer("ann", {"hate": True}, {"hate": number < 45}) for number in range(50)]
    accuracy = accuracies([*answers, GoldenAnswer("bob", {"hate": False}, {"hate": False})])
    ann = accuracy["ann", "hate"]
    assert (ann.answers, ann.right, ann.share.value) == (50, 45, 0.9)
    # formula 3 of Newcombe (1998), "Two-sided confidence intervals for the single proportion"
    assert (ann.share.low, ann.share.high) == pytest.approx((0.78640, 0.95652), abs=1e-5)
    assert accuracy["bob", "hate"].share.low < 0.3


def test_golden_items_come_at_their_declared_rate_to_each_reviewer():
    mixer = GoldenMixer(ReviewSettings(salt="s", golden_share=0.05))
    for reviewer in ("ann", "bob"):
        drawn = [mixer.draws(reviewer, slot) for slot in range(20_000)]
        assert abs(sum(drawn) / 20_000 - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 20_000)
    assert not any(
        GoldenMixer(ReviewSettings(salt="s", golden_share=0.0)).draws("ann", slot)
        for slot in range(1000)
    )


def test_chance_and_ids_depend_on_names_and_salt_alone():
    shares = [share_of("s", "a", str(number)) for number in range(5000)]
    assert shares == [share_of("s", "a", str(number)) for number in range(5000)]
    assert abs(np.mean(shares) - 0.5) < 0.02
    assert opaque_id("s", "ab", "c") != opaque_id("s", "a", "bc")
    assert opaque_id("s", "a") != opaque_id("t", "a")
    assert len(opaque_id("s", "a")) == 32


def test_an_empty_salt_is_refused():
    with pytest.raises(ReviewSettingsError, match="salt: expected text"):
        ReviewSettings(salt="")
