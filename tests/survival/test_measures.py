"""Our measures against lifelines here, and against what scikit-survival 0.28.0 printed.

The golden values come from `concordance_index_censored`, `brier_score` and
`integrated_brier_score` of scikit-survival on `tests.survival.samples`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index

from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.measures import (
    brier_scores,
    calibration_error,
    concordance,
    d_calibration,
    horizon_calibration,
    integrated_brier_score,
)
from lib.survival.outcomes import Outcomes, SurvivalError
from tests.survival.samples import SAMPLES, breast_cancer

GOLDEN = {
    "breast cancer": (
        0.6452446795719611,
        [0.049060386129333555, 0.16920749022277215, 0.22941942020422934],
        0.1873160384277675,
    ),
    "lung cancer": (
        0.604462525900844,
        [0.07357283918401702, 0.21811038714670378, 0.16656615406838626],
        0.19444839811629183,
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_measures_equal_scikit_survival(name):
    outcomes, curves, _ = SAMPLES[name]()
    index, scores, integrated = GOLDEN[name]
    quantiles = np.quantile(outcomes.time[outcomes.failed], [0.1, 0.5, 0.9])
    grid = np.linspace(*np.quantile(outcomes.time, [0.05, 0.9]), 60)
    censoring = KaplanMeier.fit_censoring(outcomes)
    assert concordance(outcomes, curves) == pytest.approx(index, abs=1e-9)
    assert brier_scores(outcomes, curves, quantiles, censoring) == pytest.approx(scores, abs=1e-9)
    assert integrated_brier_score(outcomes, curves, grid) == pytest.approx(integrated, abs=1e-9)


@pytest.mark.parametrize("name", SAMPLES)
def test_concordance_of_proportional_hazards_is_harrells(name):
    outcomes, curves, risk = SAMPLES[name]()
    harrell = concordance_index(outcomes.time, -risk, outcomes.failed)
    assert concordance(outcomes, curves) == pytest.approx(harrell, abs=1e-9)


@pytest.mark.parametrize("name", SAMPLES)
def test_kaplan_meier_equals_lifelines(name):
    outcomes, _, _ = SAMPLES[name]()
    reference = KaplanMeierFitter().fit(outcomes.time, outcomes.failed)
    at = np.quantile(outcomes.time, np.linspace(0, 0.99, 50))
    ours = KaplanMeier.fit(outcomes).at(at)
    assert ours == pytest.approx(reference.survival_function_at_times(at).to_numpy(), abs=1e-9)


def test_a_competing_cause_counts_as_censored_for_the_failure():
    both = KaplanMeier.fit(Outcomes([1, 2, 3, 4], [1, 2, 1, 0]))
    censored = KaplanMeier.fit(Outcomes([1, 2, 3, 4], [1, 0, 1, 0]))
    assert both.survival == pytest.approx(censored.survival)


def test_nothing_to_compare_is_refused():
    outcomes, curves, _ = breast_cancer()
    nobody = Outcomes(outcomes.time, np.zeros(len(outcomes)))
    with pytest.raises(SurvivalError, match="none failed while another was there"):
        concordance(nobody, curves)


def test_a_score_beyond_all_outcomes_is_refused():
    outcomes, curves, _ = breast_cancer()
    with pytest.raises(SurvivalError, match=r"expected times from 0 to below 2659\.0, got 9999\.0"):
        brier_scores(outcomes, curves, [9999.0], KaplanMeier.fit_censoring(outcomes))


def simulated(seed: int, factor: float = 1.0, count: int = 4000) -> tuple[Outcomes, Curves]:
    """Exponential failures, censored at random; curves whose rates are off by `factor`."""
    generator = np.random.default_rng(seed)
    rates = generator.uniform(0.5, 2.0, count)
    failure = generator.exponential(1 / rates)
    censoring = generator.exponential(2.0, count)
    outcomes = Outcomes(np.minimum(failure, censoring), failure <= censoring)
    times = np.linspace(0.0, max(failure.max(), censoring.max()) + 1, 200)
    return outcomes, Curves(times, np.exp(-factor * rates[:, None] * times))


def test_true_curves_are_calibrated_and_wrong_ones_are_not():
    true, wrong = (d_calibration(*simulated(3, factor)) for factor in (1.0, 1.3))
    assert true.shares == pytest.approx(np.full(10, 0.1), abs=0.02)
    assert true.p_value > 0.01
    assert wrong.p_value < 1e-6


@given(st.integers(0, 10_000))
def test_shares_of_a_calibration_add_up(seed):
    outcomes, curves = simulated(seed, count=50)
    assert d_calibration(outcomes, curves).shares.sum() == pytest.approx(1.0)


def test_risk_at_a_horizon_is_observed_where_curves_are_true():
    outcomes, curves = simulated(6)
    groups = horizon_calibration(outcomes, curves, 0.5)
    assert len(groups) == 10
    assert sum(group.count for group in groups) == len(outcomes)
    inside = sum(group.low <= group.predicted <= group.high for group in groups)
    assert inside >= 8
    assert calibration_error(groups) < 0.04
    off = horizon_calibration(*simulated(6, 2.0), 0.5)
    assert calibration_error(off) > 0.1


def test_groups_of_one_prediction_are_not_split():
    outcomes, curves = simulated(7)
    same = KaplanMeier.fit(outcomes).curves(len(outcomes))
    (group,) = horizon_calibration(outcomes, same, 0.5)
    assert group.predicted == pytest.approx(group.observed)
    assert len(curves) == group.count
