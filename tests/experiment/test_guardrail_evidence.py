"""Guardrails cry wolf seldom, however often they are looked at, and see what is broken soon."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from lib.experiment.guardrail_evidence import (
    WindowedEvidence,
    arm_evidence,
    arm_wealth,
    increase_evidence,
    share_evidence,
)

ALPHA = 0.05
LIMIT = math.log(1 / ALPHA)


@pytest.mark.parametrize(("hits", "misses", "bound"), [(3, 40, 0.02), (0, 10, 0.1), (9, 1, 0.5)])
def test_the_evidence_of_a_share_is_the_averaged_likelihood_ratio(
    hits: int, misses: int, bound: float
) -> None:
    def ratio(p: float) -> float:
        return (p / bound) ** hits * ((1 - p) / (1 - bound)) ** misses / (1 - bound)

    expected = math.log(quad(ratio, bound, 1.0)[0])
    assert share_evidence(np.array([misses, hits]), bound) == pytest.approx(expected, rel=1e-6)


def crossings(value, draws: np.ndarray, bound: float, categories: int) -> float:
    """Share of sequences whose evidence ever reaches the limit; looked at after every trial."""
    crossed = 0
    for sequence in draws:
        counts = np.cumsum(np.eye(categories)[sequence], axis=0)
        crossed += any(value(row, bound) >= LIMIT for row in counts)
    return crossed / len(draws)


def test_a_share_at_its_bound_is_called_broken_at_most_as_often_as_promised() -> None:
    draws = (np.random.default_rng(1).random((200, 200)) < 0.05).astype(int)
    assert crossings(share_evidence, draws, 0.05, 2) <= ALPHA + 0.03


def test_an_increase_at_its_bound_is_called_broken_at_most_as_often_as_promised() -> None:
    draws = np.random.default_rng(2).choice(3, p=(0.04, 0.90, 0.06), size=(200, 200))
    assert crossings(increase_evidence, draws, 0.02, 3) <= ALPHA + 0.03


def test_a_broken_bound_is_seen_within_some_dozens_of_trials() -> None:
    assert share_evidence(np.array([20, 20]), 0.02) > math.log(1e6)
    assert increase_evidence(np.array([0, 40, 20]), 0.02) > math.log(1e3)


def test_slow_answers_of_both_arms_speak_for_neither() -> None:
    rng = np.random.default_rng(3)
    crossed = 0
    for _ in range(200):
        labels = rng.random(200) < 0.1
        wealth = np.cumsum([arm_wealth(bool(label), 0.1) for label in labels], axis=0)
        crossed += any(arm_evidence(row) >= LIMIT for row in wealth)
    assert crossed / 200 <= ALPHA + 0.03
    guilty = sum(arm_wealth(label, 0.1) for label in [True] * 10)
    assert arm_evidence(np.asarray(guilty)) > math.log(1e6)


def test_many_windows_promise_as_much_as_one() -> None:
    rng = np.random.default_rng(4)
    crossed = 0
    for _ in range(200):
        evidence = WindowedEvidence(share_evidence, 2, 0.05, seconds=10.0, least=20)
        events = rng.random(300) < 0.05
        values = []
        for now, event in enumerate(events):
            evidence.add(np.eye(2)[int(event)], float(now))
            values.append(evidence.log_value())
        crossed += max(values) >= LIMIT
    assert crossed / 200 <= ALPHA + 0.03


def test_what_breaks_late_is_seen_nearly_as_soon_as_what_breaks_at_once() -> None:
    evidence = WindowedEvidence(share_evidence, 2, 0.02, seconds=30.0, least=50)
    for now in range(20_000):
        evidence.add(np.array([1.0, 0.0]), now * 0.1)
    trials = 0
    while evidence.log_value() < math.log(5_000):
        evidence.add(np.array([0.0, 1.0]), 2_000 + trials * 0.1)
        trials += 1
    assert trials < 30
