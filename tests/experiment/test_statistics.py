import numpy as np
import pytest

from lib.experiment.confidence_sequence import best_time, intrinsic_times, time_uniform_bound
from lib.experiment.covariate import adjust, before_columns
from lib.experiment.effect import Past, Piece, look_correlation, measure_effect, measure_paired
from lib.experiment.errors import ExperimentError
from lib.experiment.plan import Design, History, plan_experiment
from lib.experiment.plan_report import plan_report
from lib.experiment.ratio_check import check_ratio, log_bayes_factor
from lib.experiment.verdict import amount_text
from lib.report.page import render_page


def test_the_confidence_sequence_is_the_published_one() -> None:
    """Robbins' normal mixture as in Waudby-Smith and others, equation 2, by its own form."""
    t, rho, alpha = 250.0, 0.4, 0.05
    published = np.sqrt(
        2 * (t * rho**2 + 1) / (t**2 * rho**2) * np.log(np.sqrt(t * rho**2 + 1) / alpha)
    )
    assert time_uniform_bound(t * rho**2) / np.sqrt(t) == pytest.approx(published)


def test_it_is_narrowest_at_the_best_time() -> None:
    around = best_time() * np.array([0.8, 1.0, 1.25])
    bounds = time_uniform_bound(around)
    assert bounds[1] < min(bounds[0], bounds[2])


def test_it_covers_at_all_times_together() -> None:
    random = np.random.default_rng(1)
    replays, looks = 4_000, 300
    walk = random.normal(size=(replays, looks)).cumsum(axis=1)
    time = np.arange(1, looks + 1)
    bound = time_uniform_bound(best_time() * time / 50)
    missed = (np.abs(walk) / np.sqrt(time) > bound).any(axis=1).mean()
    assert 0.005 < missed < 0.05


def test_intrinsic_time_grows_as_entities_do() -> None:
    counts = np.array([100.0, 150.0, 400.0])
    correlations = np.sqrt(counts[:-1] / counts[1:]).tolist()
    times = intrinsic_times(0.5, correlations)
    assert times / times[0] == pytest.approx(counts / counts[0])
    with pytest.raises(ExperimentError, match="first: expected above 0"):
        intrinsic_times(0.0, [])
    with pytest.raises(ExperimentError, match="time: expected above 0"):
        time_uniform_bound([1.0, 0.0])


def test_the_bayes_factor_of_counts_is_the_product_of_predictions() -> None:
    """Definition: every entity is predicted by those before it."""
    random = np.random.default_rng(3)
    shares, concentration = np.array([0.9, 0.1]), 100.0
    arms = random.choice(2, size=60, p=[0.8, 0.2])
    weights, log_factor = concentration * shares, 0.0
    for arm in arms:
        log_factor += np.log(weights[arm] / weights.sum() / shares[arm])
        weights = weights + np.eye(2)[arm]
    counts = np.bincount(arms, minlength=2)
    assert log_bayes_factor(counts, shares) == pytest.approx(log_factor)


def test_uneven_arms_are_found_and_even_ones_hardly_ever() -> None:
    random = np.random.default_rng(5)
    steps = random.random((2_000, 3_000)) < 0.1
    counts = np.stack([(~steps).cumsum(axis=1), steps.cumsum(axis=1)], axis=-1)
    stopped = (log_bayes_factor(counts, [0.9, 0.1]) > np.log(1_000)).any(axis=1).mean()
    assert stopped <= 0.001 + 2 * np.sqrt(0.001 / 2_000)
    assert not check_ratio([(9_000, 700)], [0.1]).is_even
    assert check_ratio([(9_000, 1_010)], [0.1]).is_even


def test_pieces_of_two_shares_are_checked_each_by_its_own() -> None:
    ratio = check_ratio([(990, 10), (500, 500)], [0.01, 0.5])
    assert ratio.is_even
    assert (ratio.champion, ratio.challenger) == (1_490, 510)
    assert ratio.expected_challenger == pytest.approx(510)
    with pytest.raises(ExperimentError, match="shares"):
        check_ratio([(1, 1)], [1.0])


def test_cuped_cuts_by_the_squared_correlation_and_keeps_the_difference() -> None:
    random = np.random.default_rng(6)
    before = random.normal(size=20_000)
    arm = random.random(20_000) < 0.3
    money = 0.8 * before + 0.6 * random.normal(size=20_000) + 0.1 * arm
    adjusted = adjust(money, before_columns(before), arm)
    assert adjusted.variance_cut == pytest.approx(0.64, abs=0.01)
    difference = adjusted.values[arm].mean() - adjusted.values[~arm].mean()
    assert difference == pytest.approx(0.1, abs=3 * 0.6 / np.sqrt(20_000 * 0.21))


def test_new_entities_have_a_mean_of_their_own() -> None:
    random = np.random.default_rng(7)
    before = random.normal(5.0, 1.0, size=4_000)
    before[::2] = np.nan
    money = np.where(np.isnan(before), 9.0, before) + 0.1 * random.normal(size=4_000)
    arm = random.random(4_000) < 0.5
    assert adjust(money, before_columns(before), arm).variance_cut > 0.99


def pieces_of(random: np.random.Generator, gain: float, entities: int = 4_000) -> list[Piece]:
    position = random.random(entities)
    level = random.normal(size=entities)
    pieces = []
    for days, share in ((7.0, 0.02), (7.0, 0.5)):
        arm = position < share
        # the second week is far better for everybody: mixing weeks would be wrong
        week = 10.0 * (share > 0.1)
        money = week + level + random.normal(size=entities) + gain * days * arm
        pieces.append(Piece(days, share, arm, money))
    return pieces


def test_a_raised_share_keeps_the_gain_unbiased_and_its_error_right() -> None:
    random = np.random.default_rng(8)
    effects = [measure_effect(pieces_of(random, gain=0.01)) for _ in range(400)]
    gains = np.array([effect.per_day for effect in effects])
    assert gains.mean() == pytest.approx(0.01, abs=4 * gains.std() / 20)
    assert np.mean([e.standard_error for e in effects]) == pytest.approx(gains.std(), rel=0.1)


def test_one_piece_is_welch() -> None:
    random = np.random.default_rng(9)
    arm = random.random(500) < 0.2
    money = random.normal(size=500)
    effect = measure_effect([Piece(1.0, 0.2, arm, money)], quantile=1.0)
    a, b = money[arm], money[~arm]
    assert effect.per_day == pytest.approx(a.mean() - b.mean())
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    assert effect.standard_error == pytest.approx(error)


def test_extreme_amounts_are_winsorised_at_a_stated_point() -> None:
    arm = np.arange(2_000) % 2 == 0
    money = np.random.default_rng(0).normal(size=2_000)
    money[0] = -1e6
    effect = measure_effect([Piece(1.0, 0.5, arm, money)])
    assert effect.clipped == 4
    assert effect.limits[0] > -10.0
    assert abs(effect.z) < 4.0


def test_the_point_is_that_of_the_time_before_where_it_is_known() -> None:
    random = np.random.default_rng(1)
    arm = np.arange(2_000) % 2 == 0
    past = Past(28.0, random.normal(size=2_000))
    wild = 100.0 * random.normal(size=2_000)
    effect = measure_effect([Piece(7.0, 0.5, arm, wild)], past, quantile=0.99)
    assert effect.limits == pytest.approx(np.quantile(past.money, [0.01, 0.99]))
    longer = measure_effect([Piece(56.0, 0.5, arm, wild)], past, quantile=0.99)
    assert np.array(longer.limits) == pytest.approx(2.0 * np.array(effect.limits))
    unclipped = measure_effect([Piece(7.0, 0.5, arm, wild)], past, quantile=1.0)
    assert unclipped.clipped == 0


def test_a_short_time_is_not_clipped_to_what_a_longer_one_brought() -> None:
    random = np.random.default_rng(2)
    arm = np.arange(2_000) % 2 == 0
    past = Past(28.0, random.normal(-140.0, 5.0, size=2_000))
    week = Piece(7.0, 0.5, arm, random.normal(-35.0, 3.0, size=2_000))
    effect = measure_effect([week], past)
    assert effect.clipped == 0
    assert effect.limits[1] == 0.0


def test_a_small_arm_that_missed_the_rare_losses_is_no_winner() -> None:
    random = np.random.default_rng(3)
    losses = np.where(random.random(4_000) < 0.002, -1_000.0, 0.0)
    wins = 0
    for _ in range(300):
        arm = random.random(4_000) < 0.05
        wins += measure_effect([Piece(1.0, 0.05, arm, losses)]).z > 1.96
    assert wins == 0


def test_what_hardly_ever_happens_is_not_clipped_away() -> None:
    arm = np.arange(4_000) % 2 == 0
    money = np.where(np.arange(4_000) < 2, -9.0, 0.0)
    assert measure_effect([Piece(1.0, 0.5, arm, money)]).clipped == 0


def test_money_that_is_no_number_and_a_wrong_quantile_are_refused() -> None:
    arm, money = np.array([True, True, False, False]), np.array([1.0, 2.0, np.nan, 1.0])
    with pytest.raises(ExperimentError, match="money: expected a finite amount"):
        measure_effect([Piece(1.0, 0.5, arm, money)])
    with pytest.raises(ExperimentError, match="quantile"):
        measure_effect([Piece(1.0, 0.5, arm, np.ones(4))], quantile=0.2)
    with pytest.raises(ExperimentError, match="the challenger's arm has 1 entities"):
        measure_paired([Piece(1.0, 0.5, arm & np.array([True, False, False, False]), np.ones(4))])


def test_equal_outcomes_have_no_error_and_no_correlation() -> None:
    arm = np.array([True, True, False, False])
    effect = measure_effect([Piece(1.0, 0.5, arm, np.ones(4))])
    assert (effect.per_day, effect.standard_error, effect.z) == (0.0, 0.0, 0.0)
    assert look_correlation(effect.influence, effect.influence) == 0.0


def history(random: np.random.Generator, entities: int = 1_000, days: int = 56) -> History:
    level = random.normal(size=(entities, 1))
    money = -5.0 + 0.5 * level + 3.0 * random.normal(size=(entities, days))
    return History(money, np.zeros(entities, dtype=np.int64))


def test_a_plan_finds_the_days_that_are_needed() -> None:
    plan = plan_experiment(history(np.random.default_rng(10)), Design(0.5, smallest_gain=1_200.0))
    assert plan.chosen is not None
    assert plan.chosen.power == pytest.approx(0.8, abs=0.03)
    assert plan.chosen.mean_days < plan.chosen.days
    assert plan.chosen.detectable == pytest.approx(1_200.0, rel=0.05)
    assert 0.1 < plan.variance_cut < 0.9
    assert plan.cost_if_worse == pytest.approx(600.0 * plan.chosen.mean_days / 7)
    smaller = plan_experiment(history(np.random.default_rng(10)), Design(0.5, smallest_gain=700.0))
    assert smaller.chosen is not None
    assert smaller.chosen.days > plan.chosen.days


def test_the_planned_power_is_that_of_replays() -> None:
    random = np.random.default_rng(11)
    plan = plan_experiment(history(random), Design(0.5, smallest_gain=1_500.0))
    assert plan.chosen is not None
    past, days = 28, plan.chosen.days
    z = []
    for _ in range(600):
        money = history(random, days=past + days).money
        arm = random.random(1_000) < 0.5
        gain = 1_500.0 / 7 / 1_000 * days
        piece = Piece(days, 0.5, arm, money[:, past:].sum(axis=1) + gain * arm)
        z.append(measure_effect([piece], Past(float(past), money[:, :past].sum(axis=1))).z)
    single = np.mean(np.array(z) > 1.96)
    assert single == pytest.approx(plan.chosen.power, abs=0.08)


def test_a_gain_out_of_reach_is_said_so() -> None:
    plan = plan_experiment(history(np.random.default_rng(12)), Design(0.1, smallest_gain=1.0))
    assert plan.chosen is None
    page = render_page(plan_report(plan, "fraud", "USD", "of 56 days"))
    assert "cannot be shown within 182 days" in page


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"share": 1.0}, "share"),
        ({"smallest_gain": 0.0}, "smallest_gain"),
        ({"power": 1.0}, "power"),
    ],
)
def test_a_wrong_design_is_refused(changes: dict[str, float], field: str) -> None:
    with pytest.raises(ExperimentError, match=f"{field}: expected"):
        Design(**({"share": 0.5, "smallest_gain": 1.0} | changes))


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(ExperimentError, match="give an earlier --from"):
        History(np.zeros((100, 3)), np.zeros(100, dtype=np.int64))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (12_437.2, "12,400"),
        (-3.14159, "-3.14"),
        (0.0, "0"),
        (999.7, "1,000"),
        (0.001234, "0.00123"),
    ],
)
def test_amounts_have_three_digits(amount: float, text: str) -> None:
    assert amount_text(amount) == text
