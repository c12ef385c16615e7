"""Uplift curves, Qini and what is claimed, on experiments whose effects are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.uplift.comparison import Comparison
from lib.uplift.evaluation import (
    HIGHEST_FIRST,
    OURS,
    RANDOM,
    areas,
    evaluate_uplift,
    mean_effect,
    pooled,
    uplift_curve,
)
from tests.uplift.simulated import experiment, prevention


def test_a_curve_by_hand():
    """Of eight customers, the first four all respond if treated, the others never do."""
    treated = np.array([True, False] * 4)
    outcomes = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    customers = Comparison(np.zeros((8, 1)), treated, outcomes, np.full(8, 0.5), np.arange(8), 8)
    scores = -np.arange(8.0)
    curve = uplift_curve(customers, scores)
    assert curve == pytest.approx([0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    qini, auuc = areas(curve)
    assert auuc == pytest.approx(0.40625)
    assert qini == pytest.approx(0.15625)
    assert areas(uplift_curve(customers, -scores))[0] < 0.0


@given(st.integers(0, 2**32 - 1))
def test_equal_scores_are_the_straight_line_and_orders_within_them_do_not_matter(seed: int):
    draw = np.random.default_rng(seed)
    customers = experiment(seed, rows=60).customers
    line = uplift_curve(customers, np.zeros(60))
    assert np.allclose(np.diff(line), np.diff(line)[0])
    scores = draw.integers(0, 4, 60).astype(np.float64)
    shuffled = draw.permutation(60)
    other = uplift_curve(customers.take(shuffled), scores[shuffled])
    assert np.allclose(uplift_curve(customers, scores), other)


@given(st.integers(0, 2**32 - 1))
def test_customers_who_count_twice_are_customers_who_come_twice(seed: int):
    draw = np.random.default_rng(seed)
    customers, times = experiment(seed, rows=50).customers, draw.integers(0, 3, 50)
    scores = draw.normal(0.0, 1.0, 50)
    if not (times[customers.treated].any() and times[~customers.treated].any()):
        return
    twice = np.repeat(np.arange(50), times)
    order = np.argsort(-scores, kind="stable")
    weighed = areas(
        uplift_curve(customers, scores, times.astype(np.float64)),
        times[order].astype(np.float64),
    )
    assert weighed[1] == pytest.approx(
        areas(uplift_curve(customers.take(twice), scores[twice]))[1], abs=0.02
    )


def test_an_effect_on_half_of_the_customers_is_found_and_claimed():
    evaluation = evaluate_uplift(experiment(1).customers, seed=1, repeats=60)
    assert evaluation.suffices
    assert evaluation.mean.low < 0.15 < evaluation.mean.high
    ours, highest = evaluation.methods[OURS], evaluation.methods[HIGHEST_FIRST]
    assert highest.behind is not None
    assert highest.behind.low > 0.0
    assert ours.qini.value > highest.qini.value
    assert abs(evaluation.methods[RANDOM].qini.value) < 1e-12
    first, last = evaluation.fifths[0], evaluation.fifths[-1]
    assert first.measured.low > last.measured.high
    assert first.expected > last.expected


def test_an_outcome_that_is_prevented_is_a_gain_of_its_opposite():
    brought, prevented = experiment(1, rows=2_000).customers, prevention(1, rows=2_000).customers
    assert mean_effect(prevented) == pytest.approx(mean_effect(brought))
    scores = np.random.default_rng(1).normal(0.0, 1.0, 2_000)
    curves = [uplift_curve(customers, scores) for customers in (brought, prevented)]
    assert curves[1][-1] == pytest.approx(curves[0][-1])
    evaluation = evaluate_uplift(prevented, seed=1, repeats=40)
    assert evaluation.suffices
    assert evaluation.fifths[0].measured.value > evaluation.fifths[-1].measured.value + 0.1
    assert evaluation.mean.low > 0.05


def test_nothing_is_claimed_where_nobody_is_changed_more_than_others():
    claims = [
        evaluate_uplift(experiment(seed, rows=1_500, reach=0.0).customers, seed, 40).suffices
        for seed in range(8)
    ]
    assert sum(claims) <= 1


def test_the_mean_over_interventions_is_of_the_same_drawn_customers():
    evaluations = [
        evaluate_uplift(experiment(seed, rows=1_200).customers, 3, 30) for seed in (1, 2)
    ]
    methods = pooled(evaluations)
    values = [evaluation.methods[OURS].qini.value for evaluation in evaluations]
    assert methods[OURS].qini.value == pytest.approx(np.mean(values))
    widths = [m.methods[OURS].qini.high - m.methods[OURS].qini.low for m in evaluations]
    assert methods[OURS].qini.high - methods[OURS].qini.low < max(widths)


def test_propensities_undo_who_was_treated_more_often():
    draw = np.random.default_rng(7)
    rows = 40_000
    high = draw.random(rows) < 0.5
    propensity = np.where(high, 0.8, 0.2)
    treated = draw.random(rows) < propensity
    outcomes = (draw.random(rows) < np.where(high, 0.5, 0.1) + 0.1 * treated).astype(np.float64)
    customers = Comparison(
        high[:, None].astype(float), treated, outcomes, propensity, np.arange(rows), rows
    )
    assert mean_effect(customers) == pytest.approx(0.1, abs=0.015)
    assert outcomes[treated].mean() - outcomes[~treated].mean() > 0.3
