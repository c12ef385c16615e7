"""Effects by customer, against simulated ones that are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lib.uplift.learners import LEARNERS, UpliftModel, best_line, fit_uplift, pseudo_outcomes
from tests.uplift.simulated import SimulatedExperiment, experiment, prevention


@pytest.mark.parametrize("simulate", [experiment, prevention])
def test_effects_follow_those_that_are_true(simulate: Callable[[int], SimulatedExperiment]):
    simulated = simulate(1)
    model = fit_uplift(simulated.customers, seed=1)
    other = simulate(2)
    estimated = model.uplift(other.customers.matrix)
    assert np.corrcoef(estimated, other.effects)[0, 1] > 0.7
    assert estimated.mean() == pytest.approx(other.effects.mean(), abs=0.04)
    high = other.effects > 0.0
    assert estimated[high].mean() - estimated[~high].mean() > 0.1


def test_pseudo_outcomes_have_the_mean_of_the_effect_in_any_group():
    for share in (0.5, 0.2):
        simulated = experiment(3, rows=12_000, share=share)
        pseudo = pseudo_outcomes(simulated.customers, seed=1)
        for group in (simulated.effects > 0.0, simulated.effects == 0.0):
            error = pseudo[group].std() / np.sqrt(group.sum())
            assert abs(pseudo[group].mean() - simulated.effects[group].mean()) < 4.0 * error


def test_outcomes_that_tell_nobody_apart_give_all_about_the_same_effect():
    spreads = []
    for seed in range(5):
        simulated = experiment(seed, rows=2_000, reach=0.0)
        spreads.append(
            fit_uplift(simulated.customers, seed).uplift(simulated.customers.matrix).std()
        )
    assert np.median(spreads) < 0.02


def test_a_line_never_falls_and_is_drawn_to_the_mean():
    draw = np.random.default_rng(1)
    index = draw.normal(0.0, 1.0, 500)
    assert best_line(index, -0.5 * index)[1] == 0.0
    mean, slope = best_line(index, 0.1 + 0.2 * index + draw.normal(0.0, 1.0, 500))
    assert mean == pytest.approx(0.1, abs=0.1)
    assert 0.0 < slope < 0.35
    assert best_line(np.zeros(500), index) == (pytest.approx(index.mean()), 0.0)


def test_one_customer_and_many_get_the_same_bits():
    simulated = experiment(4, rows=1_500)
    model = fit_uplift(simulated.customers, seed=2)
    matrix = simulated.customers.matrix[:50]
    single = np.concatenate([model.uplift(matrix[k : k + 1]) for k in range(50)])
    assert np.array_equal(single, model.uplift(matrix))


def test_parts_give_the_same_model():
    simulated = experiment(5, rows=1_500)
    model = fit_uplift(simulated.customers, seed=2)
    again = UpliftModel.from_parts(model.boosters, model.to_arrays())
    matrix = simulated.customers.matrix
    assert np.array_equal(again.uplift(matrix), model.uplift(matrix))
    assert model.effects.indices(matrix).shape == (len(matrix), len(LEARNERS))
