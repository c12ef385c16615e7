"""When labels come in, learnt from those that came."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from lib.monitoring.ripening import LabelDelays, correct_count, entity_draws, fit_ripening
from lib.monitoring.scored_rows import DAY, MonitoringError

AS_OF = 400 * DAY


def simulated(seed: int, events: int = 4_000, oldest: float = 90.0) -> tuple[LabelDelays, float]:
    """Frauds reported after a week in the mean, by customers with up to four each."""
    generator = np.random.default_rng(seed)
    age = generator.uniform(0.0, oldest, events)
    delay = generator.gamma(2.0, 3.5, events)
    event_time = (AS_OF - age * DAY).astype(np.int64)
    entity = np.arange(events) // 4
    return LabelDelays(entity, event_time, event_time + (delay * DAY).astype(np.int64), AS_OF), 7.0


def test_shares_equal_lifelines_on_reversed_time():
    delays, _ = simulated(3, events=600)
    curve = fit_ripening(delays)
    rows = delays.in_time & (delays.delay <= curve.oldest)
    horizon = 500.0
    other = KaplanMeierFitter().fit(
        horizon - delays.delay[rows], entry=horizon - delays.age[rows] - 1e-9
    )
    for age in (3.0, 7.0, 14.0, 21.0):
        expected = float(other.survival_function_at_times(horizon - age - 1e-6).iloc[0])
        assert curve.share(age) == pytest.approx(expected, abs=1e-6)


def test_young_events_do_not_make_labels_look_fast():
    delays, _ = simulated(5, oldest=30.0)
    truth = np.sort(np.random.default_rng(9).gamma(2.0, 3.5, 200_000))
    within = np.searchsorted(truth, 7.0) / np.searchsorted(truth, 30.0)
    naive = float((delays.delay[delays.in_time] <= 7.0).mean())
    assert fit_ripening(delays).share(7.0) == pytest.approx(within, abs=0.025)
    assert naive - within > 0.05


def test_a_single_old_label_does_not_empty_the_curve():
    delays, _ = simulated(7, events=400, oldest=20.0)
    late = LabelDelays(
        np.append(delays.entity, 999),
        np.append(delays.event_time, AS_OF - 300 * DAY),
        np.append(delays.observed_at, AS_OF - DAY),
        AS_OF,
    )
    assert fit_ripening(late).share(7.0) == pytest.approx(fit_ripening(delays).share(7.0), abs=0.02)


def test_ages_and_shares_belong_together():
    curve = fit_ripening(simulated(1)[0])
    assert curve.share(curve.age(0.9)) >= 0.9
    assert curve.share(curve.age(0.9) - 0.5) < 0.9
    assert curve.share(-1.0) == 0.0
    assert curve.share(1e6) == 1.0


def test_a_young_window_is_counted_up_to_what_it_becomes():
    inside = 0
    for seed in range(30):
        delays, _ = simulated(seed)
        window = (delays.age > 3.0) & (delays.age < 10.0)
        every_row = np.repeat(delays.event_time[window], 20)
        counted = correct_count(delays, window, every_row, seed=seed, repeats=60)
        assert 0.2 < counted.ripeness < 0.8
        assert counted.labels < 0.8 * window.sum()
        inside += counted.count.low <= window.sum() <= counted.count.high
    assert inside >= 24


def test_rates_are_counts_by_row():
    delays, _ = simulated(2)
    window = delays.age < 20.0
    counted = correct_count(delays, window, delays.event_time[window], seed=1, repeats=20)
    assert counted.rate.value == pytest.approx(counted.count.value / counted.rows)


def test_entities_are_drawn_as_a_whole():
    entity = np.repeat(np.arange(50), 3)
    for weight in entity_draws(entity, seed=1, repeats=5):
        assert (weight.reshape(50, 3) == weight[::3, None]).all()
        assert weight.sum() == len(entity)


def test_too_few_labels_are_refused():
    delays, _ = simulated(1, events=10)
    with pytest.raises(MonitoringError, match=r"observed_at: expected 20 labels or more"):
        fit_ripening(delays)


def test_a_window_without_an_age_that_has_labels_is_refused():
    delays, _ = simulated(1)
    with pytest.raises(MonitoringError, match="old enough for labels"):
        correct_count(delays, delays.age < 0.0, np.array([AS_OF]), seed=1, repeats=5)
