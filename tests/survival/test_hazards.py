"""Piecewise-constant hazards: the likelihood, the network, and what is kept of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import PiecewiseExponentialFitter
from lifelines.datasets import load_gbsg2

from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.likelihood import (
    cut_points,
    exposures,
    hazard_loss,
    last_intervals,
    occurrence_rates,
)
from lib.survival.measures import integrated_brier_score
from lib.survival.network import HazardNetwork
from lib.survival.outcomes import Outcomes, SurvivalError
from lib.survival.settings import HazardSettings
from lib.survival.training import HazardRows, fit_network

QUICK = HazardSettings(
    hidden=(32, 16), epochs=15, intervals=8, batch_size=64, dropout=0.1, learning_rate=1e-2
)


def crossing(count: int, seed: int) -> tuple[np.ndarray, Outcomes]:
    """Hazards that cross: one half fails early or never, the other late; Cox cannot tell them."""
    random = np.random.default_rng(seed)
    late = random.random(count) < 0.5
    time = np.where(late, 5.0 + random.exponential(2.0, count), random.exponential(2.0, count))
    time = np.where(~late & (time > 2.0), 30.0, time)
    censored = random.uniform(3.0, 20.0, count)
    noise = random.normal(size=(count, 3))
    rows = np.column_stack([late.astype(float), noise])
    return rows, Outcomes(np.minimum(time, censored), (time <= censored).astype(int))


def test_the_loss_is_what_slow_loops_say():
    random = np.random.default_rng(3)
    outcomes = Outcomes(random.uniform(0.5, 9.0, 40), random.integers(0, 3, 40))
    cuts = np.array([0.0, 1.0, 4.0, 10.0])
    hazards = random.uniform(0.01, 1.0, (40, 2, 3))
    total = 0.0
    for row in range(40):
        for interval in range(3):
            width = max(0.0, min(cuts[interval + 1], outcomes.time[row]) - cuts[interval])
            total += hazards[row, :, interval].sum() * width
            inside = cuts[interval] < outcomes.time[row] <= cuts[interval + 1]
            if inside and outcomes.event[row]:
                total -= np.log(hazards[row, outcomes.event[row] - 1, interval])
    loss = hazard_loss(
        torch.from_numpy(hazards),
        torch.from_numpy(exposures(outcomes, cuts)),
        torch.from_numpy(outcomes.event),
        torch.from_numpy(last_intervals(outcomes, cuts)),
    )
    assert float(loss) == pytest.approx(total / 40, rel=1e-12)


def test_no_rates_are_likelier_than_ours_not_even_those_of_lifelines():
    table = load_gbsg2()
    outcomes = Outcomes(table["time"], table["cens"])
    cuts = np.array([0.0, 500.0, 1000.0, 1500.0, outcomes.time.max()])
    reference = PiecewiseExponentialFitter(cuts[1:-1]).fit(table["time"], table["cens"])
    rates = torch.from_numpy(occurrence_rates(outcomes, cuts))
    data = HazardRows.of(np.zeros((len(outcomes), 1)), outcomes, cuts)
    ours = -len(outcomes) * hazard_loss(
        rates.expand(len(outcomes), -1, -1), data.exposure.double(), data.event, data.interval
    )
    assert float(ours) >= reference.log_likelihood_
    assert float(ours) == pytest.approx(reference.log_likelihood_, rel=1e-3)
    failures, at_risk = ((outcomes.time <= 500.0) & outcomes.failed), np.minimum(outcomes.time, 500)
    assert rates[0, 0] == pytest.approx(failures.sum() / at_risk.sum())


def test_those_rates_are_where_the_loss_is_least():
    table = load_gbsg2()
    outcomes = Outcomes(table["time"], table["cens"])
    cuts = cut_points(outcomes, 6)
    capped_outcomes = outcomes.capped(cuts[-1])
    rates = torch.tensor(occurrence_rates(capped_outcomes, cuts)[None], requires_grad=True)
    data = HazardRows.of(np.zeros((len(capped_outcomes), 1)), capped_outcomes, cuts)
    loss = hazard_loss(
        rates.expand(len(capped_outcomes), -1, -1), data.exposure, data.event, data.interval
    )
    (slope,) = torch.autograd.grad(loss, rates)
    assert float((slope * rates).detach().abs().max()) < 1e-6


def test_an_untrained_network_is_the_marginal_curve():
    rows, outcomes = crossing(400, 1)
    untrained = fit_network(
        ("late", "a", "b", "c"), rows, outcomes, np.arange(400), HazardSettings(epochs=0), seed=1
    )
    curves = untrained.curves(rows)
    marginal = KaplanMeier.fit(outcomes).at([2.0, 6.0, 9.0])
    assert curves.at([2.0, 6.0, 9.0]).mean(axis=0) == pytest.approx(marginal, abs=0.03)


def test_a_network_learns_hazards_that_cross():
    rows, outcomes = crossing(1500, 1)
    names = ("late", "a", "b", "c")
    network = fit_network(names, rows, outcomes, np.arange(1500), QUICK, seed=1)
    new_rows, new = crossing(1000, 2)
    curves, times = network.curves(new_rows), np.linspace(0.5, 12.0, 30)
    early, late = (
        curves.take(new_rows[:, 0] == kind).at([2.0, 12.0]).mean(axis=0) for kind in (0, 1)
    )
    assert early[0] < late[0] - 0.4
    assert early[1] > late[1] + 0.2
    population = KaplanMeier.fit(outcomes).curves(len(new))
    assert integrated_brier_score(new, curves, times) < 0.85 * integrated_brier_score(
        new, population, times
    )


def test_curves_start_at_one_and_never_rise_and_causes_add_up():
    random = np.random.default_rng(9)
    outcomes = Outcomes(random.uniform(1.0, 50.0, 300), random.integers(0, 3, 300))
    rows = random.normal(size=(300, 4))
    rows[random.random(rows.shape) < 0.1] = np.nan
    names = ("a", "b", "c", "d")
    network = fit_network(names, rows, outcomes, np.arange(300) // 3, QUICK, seed=2)
    wild = random.normal(scale=1e6, size=(50, 4))
    survival, incidence = network.curves(wild).survival, network.incidence(wild)
    assert (survival[:, 0] == 1.0).all()
    assert (np.diff(survival, axis=1) <= 0).all()
    assert (np.diff(incidence, axis=2) >= 0).all()
    of_any = replace(network, failing=2).curves(wild)
    assert incidence.sum(axis=1) == pytest.approx(1.0 - of_any.survival, abs=1e-9)


def test_one_seed_gives_one_network_and_files_give_it_back_to_the_bit(tmp_path):
    rows, outcomes = crossing(300, 4)
    names, groups = ("late", "a", "b", "c"), np.arange(300)
    two = HazardSettings(hidden=(16,), epochs=3, intervals=5, members=2)
    network = fit_network(names, rows, outcomes, groups, two, seed=7)
    again = fit_network(names, rows, outcomes, groups, two, seed=7)
    network.save(tmp_path)
    expected = network.curves(rows).survival.tobytes()
    assert again.curves(rows).survival.tobytes() == expected
    assert HazardNetwork.load(tmp_path).curves(rows).survival.tobytes() == expected


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    rows, outcomes = crossing(200, 4)
    names = ("late", "a", "b", "c")
    quick = HazardSettings(hidden=(8,), epochs=1, intervals=4)
    fit_network(names, rows, outcomes, np.arange(200), quick, seed=7).save(tmp_path)
    about = json.loads((tmp_path / "hazards.json").read_text())
    for change in (
        {"hidden": [9]},
        {"hidden": [8, 10**9]},
        {"cuts": [0.0, 2.0, 1.0]},
        {"members": 2},
        {"causes": 2},
        {"causes": 10**12},
    ):
        (tmp_path / "hazards.json").write_text(json.dumps(about | change))
        with pytest.raises(SurvivalError, match="not a hazard network"):
            HazardNetwork.load(tmp_path)
    (tmp_path / "hazards.json").write_text(json.dumps(about))
    content = (tmp_path / "hazards.safetensors").read_bytes()
    (tmp_path / "hazards.safetensors").write_bytes(content[:-10])
    with pytest.raises(SurvivalError, match="not a hazard network"):
        HazardNetwork.load(tmp_path)


def test_no_failures_in_the_training_data_are_said():
    with pytest.raises(SurvivalError, match="no failures among 10 training outcomes"):
        fit_network(
            ("a",),
            np.arange(10.0)[:, None],
            Outcomes(np.ones(10), np.zeros(10)),
            np.arange(10),
            QUICK,
            seed=1,
        )


def test_constant_columns_are_left_out_and_named():
    rows, outcomes = crossing(200, 4)
    rows = np.column_stack([rows, np.full(200, 3.0), np.full(200, np.nan)])
    names = ("late", "a", "b", "c", "constant", "never")
    quick = HazardSettings(hidden=(8,), epochs=1, intervals=4)
    network = fit_network(names, rows, outcomes, np.arange(200), quick, seed=7)
    assert network.scaling.columns == ("late", "a", "b", "c")
    with pytest.raises(SurvivalError, match="none of the 1 columns varies"):
        fit_network(("c",), np.ones((200, 1)), outcomes, np.arange(200), quick, seed=7)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 1000))
def test_cuts_ascend_from_zero_and_hold_all_time_at_risk(intervals, count, seed):
    random = np.random.default_rng(seed)
    outcomes = Outcomes(random.integers(1, 9, count).astype(float), np.ones(count))
    cuts = cut_points(outcomes, intervals)
    assert cuts[0] == 0.0
    assert (np.diff(cuts) > 0).all()
    assert exposures(outcomes, cuts).sum(axis=1) == pytest.approx(outcomes.time)
