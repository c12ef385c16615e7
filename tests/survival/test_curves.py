"""Curves answer the same between their times as on them, whatever their kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.survival.blending import blend
from lib.survival.curves import Curves
from lib.survival.outcomes import Outcomes, SurvivalError

TIMES = np.array([0.0, 1.0, 3.0, 4.0])


def exponential(*rates: float) -> Curves:
    return Curves(TIMES, np.exp(-np.array(rates)[:, None] * TIMES))


RATE = st.floats(0.01, 3.0)


@given(RATE, st.floats(0.0, 10.0))
def test_constant_hazards_are_exact_between_and_beyond_the_times(rate, time):
    assert exponential(rate).at(time)[0, 0] == pytest.approx(np.exp(-rate * time), rel=1e-6)


@given(RATE)
def test_the_median_of_a_constant_hazard_is_known(rate):
    median = exponential(rate).quantile(0.5)[0]
    truth = np.log(2) / rate
    assert median == (pytest.approx(truth) if truth <= 4 else np.inf)


@given(RATE, st.floats(0.1, 4.0))
def test_the_restricted_mean_is_the_area(rate, horizon):
    truth = (1 - np.exp(-rate * horizon)) / rate
    assert exponential(rate).restricted_mean(horizon)[0] == pytest.approx(truth)


@given(RATE, st.floats(0.0, 3.0))
def test_what_is_survived_of_a_constant_hazard_does_not_matter(rate, survived):
    later = exponential(rate).conditional_after([survived])
    assert later.survival == pytest.approx(exponential(rate).survival, rel=1e-6)


def test_a_step_stays_until_the_next_time():
    curve = Curves(TIMES, np.array([[1.0, 0.8, 0.5, 0.2]]), "step")
    assert curve.at([0.0, 0.9, 1.0, 2.9, 3.0, 4.0, 9.0])[0].tolist() == [
        1.0,
        1.0,
        0.8,
        0.8,
        0.5,
        0.2,
        0.2,
    ]
    assert curve.quantile(0.5).tolist() == [3.0]
    assert curve.restricted_mean(4.0)[0] == pytest.approx(1.0 + 2 * 0.8 + 0.5)
    assert curve.own([3.5]).tolist() == [0.5]


def test_a_blend_lies_between():
    mixed = blend(exponential(0.1), exponential(1.0), 0.25, TIMES)
    assert mixed.at(2.0)[0, 0] < exponential(0.1).at(2.0)[0, 0]
    assert mixed.survival[0, 1] == pytest.approx(0.25 * np.exp(-0.1) + 0.75 * np.exp(-1.0))


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: Curves(np.array([1.0, 2.0]), np.ones((1, 2))), "the first of them 0"),
        (lambda: Curves(np.array([0.0, 2.0, 2.0]), np.ones((1, 3))), "ascending"),
        (lambda: Curves(TIMES, np.ones((1, 3))), r"shape \(n, 4\), got \(1, 3\)"),
        (lambda: blend(exponential(1.0), exponential(1.0), 1.5, TIMES), "0 to 1, got 1.5"),
        (lambda: blend(exponential(1.0), exponential(1.0, 2.0), 0.5, TIMES), "1 and 2"),
        (lambda: Outcomes([1.0, np.nan], [0, 1]), "a finite time.*got nan in row 1"),
        (lambda: Outcomes([1.0, 0.0], [0, 1]), r"above 0, got 0\.0 in row 1"),
        (lambda: Outcomes([1.0, 2.0], [0]), "one length"),
        (lambda: Outcomes([1.0], [-1]), "got -1 in row 0"),
    ],
)
def test_what_makes_no_sense_is_named(build, complaint):
    with pytest.raises(SurvivalError, match=complaint):
        build()


def test_capping_censors_what_comes_later():
    capped = Outcomes([5.0, 20.0, 30.0], [1, 1, 2]).capped(10.0)
    assert capped.time.tolist() == [5.0, 10.0, 10.0]
    assert capped.event.tolist() == [1, 0, 0]
