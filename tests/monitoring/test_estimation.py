"""Performance before labels, under inputs that moved."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from lib.evaluation import roc_auc
from lib.monitoring.contradiction import check_by_review
from lib.monitoring.density_ratio import RatioSettings, density_ratio
from lib.monitoring.estimation import EstimationSettings, PerformanceEstimator
from lib.monitoring.measures import Money, Prevalence, RocAuc
from lib.monitoring.scored_rows import MonitoringError, ScoredRows
from tests.monitoring.factories import MadeRows

SETTINGS = EstimationSettings(repeats=60, window_days=3.0)
MEASURES = (RocAuc(), Prevalence(), Money())


@cache
def estimator() -> PerformanceEstimator:
    return PerformanceEstimator(MadeRows(seed=1, days=15).rows(), MEASURES, SETTINGS)


def without_inputs(rows: ScoredRows) -> ScoredRows:
    return replace(rows, inputs=None)


def test_inputs_that_moved_are_followed():
    window = MadeRows(seed=2, days=3, per_day=3_000, hidden_mean=1.2).rows()
    followed = estimator().estimate(window)
    plain = PerformanceEstimator(
        without_inputs(MadeRows(seed=1, days=15).rows()), MEASURES, SETTINGS
    ).estimate(without_inputs(window))
    for measure, ours, other in zip(MEASURES, followed, plain, strict=True):
        outcome = measure.value(window)
        assert abs(outcome - ours.value) <= 2 * ours.standard_error, measure.name
        if measure.name != "auc":  # which hardly moves with these inputs
            assert abs(outcome - ours.value) < abs(outcome - other.value) / 5, measure.name
    assert followed[0].shift_auc > 0.7
    assert followed[0].effective < 0.7


def test_most_outcomes_lie_within_two_standard_errors():
    inside = []
    for seed in range(20, 32):
        moved = 0.5 * (seed % 3)
        window = MadeRows(seed=seed, days=3, per_day=1_500, hidden_mean=moved).rows()
        for measure, estimate in zip(MEASURES, estimator().estimate(window), strict=True):
            off = abs(measure.value(window) - estimate.value)
            inside.append(off <= 2 * estimate.standard_error)
    assert np.mean(inside) >= 0.9


def test_labels_of_the_window_are_not_read():
    window = MadeRows(seed=3, days=3).rows()
    hidden = window.labelled(np.full(len(window), np.nan))
    assert estimator().estimate(window) == estimator().estimate(hidden)


def test_the_same_seed_gives_the_same_estimate():
    window = MadeRows(seed=3, days=3).rows()
    again = PerformanceEstimator(MadeRows(seed=1, days=15).rows(), MEASURES, SETTINGS)
    assert estimator().estimate(window) == again.estimate(window)


def test_a_changed_concept_is_not_seen_in_inputs_and_not_trusted_after_a_review():
    window = MadeRows(seed=5, days=3, slope=-1.0).rows()
    auc = estimator().estimate(window)[0]
    outcome = roc_auc(window.label > 0, window.score)
    assert auc.value - outcome > 5 * auc.standard_error
    adapted, _ = estimator().adapt(window)
    drawn = np.random.default_rng(6).choice(len(window), 400, replace=False)
    check = check_by_review(adapted.value[drawn], window.label[drawn], seed=7)
    assert not check.trusted
    same = MadeRows(seed=8, days=3).rows()
    right = check_by_review(estimator().adapt(same)[0].value[drawn], same.label[drawn], seed=7)
    assert right.trusted


def test_an_estimate_is_a_figure_with_its_interval():
    window = MadeRows(seed=3, days=3).rows()
    auc = estimator().estimate(window)[0]
    figure = auc.figure()
    assert figure.basis == "estimated"
    assert figure.high - figure.low == pytest.approx(4 * auc.standard_error)
    assert figure.positives == pytest.approx(window.label.sum(), rel=0.25)


def test_alike_inputs_get_even_weights():
    rows, window = (MadeRows(seed=seed, days=2, per_day=2_000).rows() for seed in (1, 2))
    ratio = density_ratio(rows.inputs, window.inputs, rows.entity, window.entity, RatioSettings())
    assert abs(ratio.auc - 0.5) < 0.02
    assert ratio.effective > 0.97


def test_weights_are_those_of_the_known_ratio():
    rows = MadeRows(seed=1, days=4, per_day=4_000).rows()
    window = MadeRows(seed=2, days=4, per_day=4_000, hidden_mean=0.7).rows()
    ratio = density_ratio(rows.inputs, window.inputs, rows.entity, window.entity, RatioSettings())
    truth = 0.7 * rows.inputs[:, 1]
    assert np.corrcoef(np.log(ratio.weight), truth)[0, 1] > 0.93
    assert np.average(rows.inputs[:, 1], weights=ratio.weight) == pytest.approx(0.7, abs=0.12)


def test_weights_are_flattened_until_enough_rows_count():
    rows = MadeRows(seed=1, days=2).rows()
    window = MadeRows(seed=2, days=2, hidden_mean=6.0).rows()
    settings = RatioSettings(least_effective=0.3)
    ratio = density_ratio(rows.inputs, window.inputs, rows.entity, window.entity, settings)
    assert ratio.flattening < 1.0
    assert ratio.effective == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"score": np.full(200, 3.0)}, "score: expected calibrated probabilities, got 3 to 3"),
        ({"label": np.zeros(200)}, "label: expected both classes in the reference, got 0 posit"),
        ({"label": np.full(200, np.nan)}, "label: expected both classes"),
        ({"event_time": np.zeros(200, dtype=np.int64)}, "event_time: expected two days or more"),
    ],
)
def test_a_reference_that_teaches_nothing_is_refused(change, text):
    rows = MadeRows(seed=1, days=2, per_day=100).rows()
    with pytest.raises(MonitoringError, match=text):
        PerformanceEstimator(replace(rows, **change), MEASURES, SETTINGS)


def test_unknown_labels_among_the_reference_are_refused():
    rows = MadeRows(seed=1, days=4, per_day=200).rows()
    label = rows.label.copy()
    label[3] = np.nan
    with pytest.raises(MonitoringError, match="label: expected known labels in the reference"):
        PerformanceEstimator(rows.labelled(label), MEASURES, SETTINGS)
