"""Cox models answer as lifelines does without it, and blends weigh what each model is worth."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.datasets import load_gbsg2, load_lung, load_rossi

from lib.survival.blending import blend, fit_weight, folds
from lib.survival.cox import CoxModel, fit_cox
from lib.survival.curves import Curves
from lib.survival.measures import integrated_brier_score
from lib.survival.outcomes import Outcomes, SurvivalError
from lib.survival.prediction_interval import PredictionInterval, fit_outside, likely_range


def real(name: str) -> tuple[pd.DataFrame, str, str]:
    if name == "rossi":
        return load_rossi().astype(float), "week", "arrest"
    if name == "lung":
        return load_lung().dropna().astype(float), "time", "status"
    table = load_gbsg2()
    numbers = table.select_dtypes("number").astype(float)
    return numbers.assign(horm=(table["horTh"] == "yes") * 1.0), "time", "cens"


@pytest.mark.parametrize("name", ["rossi", "lung", "gbsg2"])
@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_curves_are_those_of_lifelines(name, penalty, tmp_path):
    table, time, event = real(name)
    columns = [column for column in table if column not in (time, event)]
    rows = table[columns].to_numpy()
    outcomes = Outcomes(table[time], table[event])
    fit_cox(tuple(columns), rows, outcomes, penalty=penalty).save(tmp_path)
    ours = CoxModel.load(tmp_path).curves(rows)
    scaled = np.clip((rows - rows.mean(axis=0)) / rows.std(axis=0), -8.0, 8.0)
    frame = pd.DataFrame(scaled, columns=columns).assign(t=outcomes.time, e=outcomes.event)
    reference = CoxPHFitter(penalizer=penalty).fit(frame, "t", "e").predict_survival_function(frame)
    away = np.abs(ours.at(reference.index.to_numpy()) - reference.to_numpy().T)
    assert away.max() < 1e-9


def test_groups_are_taken_into_account():
    random = np.random.default_rng(2)
    rows = random.normal(size=(600, 1))
    life = random.exponential(10.0 * np.exp(-rows[:, 0]))
    model = fit_cox(("x",), rows, Outcomes(life, np.ones(600)), penalty=0.0)
    assert model.coefficients[0] / model.scaling.scale[0] == pytest.approx(1.0, abs=0.12)
    twice, both = Outcomes(np.tile(life, 2), np.ones(1200)), np.tile(rows, (2, 1))
    groups = np.tile(np.arange(600), 2)
    robust = fit_cox(("x",), both, twice, penalty=0.0, groups=groups)
    naive = fit_cox(("x",), both, twice, penalty=0.0)
    assert robust.errors[0] > 1.25 * naive.errors[0]


def test_an_effect_that_changes_with_time_is_found():
    random = np.random.default_rng(4)
    group = random.integers(0, 2, 800).astype(float)
    time = np.where(group == 1, random.uniform(4.0, 6.0, 800), random.uniform(0.1, 10.0, 800))
    rows = np.column_stack([group, random.normal(size=800)])
    model = fit_cox(("g", "x"), rows, Outcomes(time, np.ones(800)), test_proportionality=True)
    assert model.departures["g"] < 0.001 < model.departures["x"]


def test_bad_training_data_are_refused():
    with pytest.raises(SurvivalError, match="no failures among 9"):
        fit_cox(("x",), np.arange(9.0)[:, None], Outcomes(np.ones(9), np.zeros(9)))
    with pytest.raises(SurvivalError, match="none of the 1 columns varies"):
        fit_cox(("x",), np.ones((9, 1)), Outcomes(np.ones(9), np.ones(9)))


def exponential(rates: np.ndarray, horizon: float = 20.0) -> Curves:
    times = np.linspace(0.0, horizon, 81)
    return Curves(times, np.exp(-np.asarray(rates)[:, None] * times))


def test_the_weight_is_the_best_of_a_fine_grid():
    random = np.random.default_rng(6)
    rates = random.uniform(0.05, 0.5, 500)
    life, censored = random.exponential(1.0 / rates), random.uniform(4.0, 20.0, 500)
    outcomes = Outcomes(np.minimum(life, censored), life <= censored)
    first = exponential(rates * np.exp(random.normal(0.0, 0.8, 500)))
    second = exponential(rates * np.exp(random.normal(0.2, 0.8, 500)))
    times = np.linspace(0.2, 12.0, 40)
    weight = fit_weight(outcomes, first, second, times)
    grid = {
        share: integrated_brier_score(
            outcomes, blend(first, second, share, np.append(0.0, times)), times
        )
        for share in (*np.linspace(0.0, 1.0, 101), weight)
    }
    assert weight == min(grid, key=grid.get)
    assert 0.1 < weight < 0.9


def test_a_model_that_adds_nothing_gets_next_to_no_weight():
    random = np.random.default_rng(7)
    rates = random.uniform(0.05, 0.5, 20_000)
    outcomes = Outcomes(random.exponential(1.0 / rates), np.ones(20_000))
    useless = exponential(rates[::-1] * 5.0)
    assert fit_weight(outcomes, useless, exponential(rates), np.linspace(0.2, 9.0, 30)) < 0.03


def test_no_group_is_predicted_by_a_model_that_saw_it():
    groups = np.repeat(np.arange(11), 7)
    test_rows: list[int] = []
    for train, rest in folds(groups, 5, seed=1):
        assert not set(groups[train]) & set(groups[rest])
        test_rows.extend(rest)
    assert sorted(test_rows) == list(range(77))
    with pytest.raises(SurvivalError, match="5 groups or more for 5 folds, got 4"):
        list(folds(np.arange(4), 5, seed=1))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_ranges_hold_the_share_that_they_say_for_a_model_that_is_too_sure(level):
    random = np.random.default_rng(8)
    middle = random.uniform(5.0, 40.0, 6000)
    life = np.maximum(middle + random.normal(0.0, 4.0, 6000), 0.1)
    outcomes = Outcomes(np.minimum(life, 35.0), life < 35.0)
    times = np.linspace(0.0, 35.0, 200)
    sure = 1.0 / (1.0 + np.exp((times - middle[:, None]) / 1.0))
    curves = Curves(times, sure / sure[:, :1])
    half, rest = slice(0, 3000), slice(3000, 6000)
    rows = np.arange(6000)
    outside, same = (
        fit_outside(
            outcomes.take(rows[half]), curves.take(rows[half]), level, 35.0, mass, rows[half]
        )
        for mass in (np.ones(3000), np.full(3000, 2.5))
    )
    assert same == outside
    low, high = likely_range(curves.take(rows[rest]), outside, 35.0)
    true = np.minimum(life[rest], 35.0)
    assert ((low <= true) & (true <= high)).mean() == pytest.approx(level, abs=0.02)


def test_weights_make_ranges_hold_where_the_hard_ones_are_more_frequent():
    random = np.random.default_rng(9)
    times = np.linspace(0.0, 60.0, 300)

    def drawn(count: int, hard_share: float):
        hard = random.random(count) < hard_share
        life = np.clip(30.0 + random.normal(0.0, np.where(hard, 8.0, 1.5), count), 0.1, 59.0)
        middle = 1.0 / (1.0 + np.exp((times - 30.0) / 2.0))
        curve = np.broadcast_to(middle / middle[0], (count, len(times)))
        return hard, Outcomes(life, np.ones(count)), Curves(times, curve)

    hard, outcomes, curves = drawn(6000, 0.1)
    _, new, new_curves = drawn(6000, 0.6)
    covered = {}
    for name, weights in (("plain", np.ones(6000)), ("weighed", np.where(hard, 6.0, 4.0 / 9.0))):
        outside = fit_outside(outcomes, curves, 0.8, 60.0, weights, np.arange(6000))
        low, high = likely_range(new_curves, outside, 60.0)
        covered[name] = ((low <= new.time) & (new.time <= high)).mean()
    assert covered["weighed"] == pytest.approx(0.8, abs=0.03)
    assert covered["plain"] < 0.7


def test_intervals_hold_their_share_in_each_group_of_like_predictions():
    random = np.random.default_rng(5)
    # the far ones mostly outlast the horizon; the near ones scatter more than their curves say
    near = np.arange(6000) % 2 == 0
    scale = np.where(near, 60.0, 2000.0)
    times = scale * random.weibull(np.where(near, 1.0, 4.0))
    grid = np.concatenate([[0.0], np.geomspace(0.5, 400.0, 80)])
    curves = Curves(grid, np.exp(-((grid[None, :] / scale[:, None]) ** 4.0)))
    outcomes = Outcomes(np.clip(times, 1e-3, 400.0), times < 400.0)
    first, rest = np.arange(6000) < 3000, np.arange(6000) >= 3000
    observed_times, new_curves = outcomes.time[rest], curves.take(rest)

    def coverage(low, high):
        return ((low <= observed_times) & (observed_times <= high))[near[rest]].mean()

    grouped = PredictionInterval.fit(outcomes.take(first), curves.take(first), 0.8, 400.0)
    assert coverage(*grouped.of(new_curves)) == pytest.approx(0.8, abs=0.03)
    rows = np.arange(3000)
    single_fit = fit_outside(
        outcomes.take(first), curves.take(first), 0.8, 400.0, np.ones(3000), rows
    )
    assert coverage(*likely_range(new_curves, single_fit, 400.0)) < 0.7


def test_a_likely_range_that_cannot_be_is_refused():
    with pytest.raises(SurvivalError, match="one share more"):
        PredictionInterval(np.array([1.0]), np.array([0.1]), 10.0)
    nobody = Outcomes([1.0, 2.0], [0, 0])
    with pytest.raises(SurvivalError, match="nothing to fit"):
        PredictionInterval.fit(nobody, Curves(np.array([0.0, 5.0]), np.ones((2, 2))), 0.8, 5.0)
