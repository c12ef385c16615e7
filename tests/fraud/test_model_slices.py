"""Slices keep the label delay between what is learnt, calibrated and tested."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.fraud.model.inputs import DAY
from lib.fraud.model.outcome import measure_outcome
from lib.fraud.model.policy import Costs
from lib.fraud.model.time_split import Lengths, plan_slices

START = 1_600_000_000_000_000


@given(
    days=st.floats(45, 400),
    delay=st.sampled_from([0.0, 1.0, 7.0]),
    folds=st.integers(1, 4),
    train=st.sampled_from([0.0, 25.0]),
)
@settings(max_examples=80, deadline=None)
def test_nothing_is_known_before_it_could_be(
    days: float, delay: float, folds: int, train: float
) -> None:
    end = START + round(days * DAY)
    plan = plan_slices(START, end, Lengths(label_delay=delay, folds=folds, train=train))
    gap = round(delay * DAY)
    assert plan.calibrate.start - plan.train.end == gap
    assert plan.test.start - plan.calibrate.end == gap
    assert plan.train.as_of <= plan.calibrate.start
    assert plan.calibrate.as_of <= plan.test.start
    assert START <= plan.train.start < plan.train.end
    assert plan.test.end == end + 1
    for fold in plan.folds:
        assert fold.train.start < fold.train.end <= fold.stop.start < fold.stop.end
        assert fold.stop.end + gap == fold.scored.start
        assert fold.train.as_of == fold.scored.start
        assert fold.scored.end <= plan.train.end


def test_folds_score_consecutive_blocks_up_to_the_end_of_training() -> None:
    plan = plan_slices(START, START + 90 * DAY, Lengths(folds=3))
    blocks = [fold.scored for fold in plan.folds]
    assert [block.end for block in blocks[:-1]] == [block.start for block in blocks[1:]]
    assert blocks[-1].end == plan.train.end


def test_payments_whose_frauds_are_still_unreported_leave_the_test() -> None:
    last = START + 90 * DAY
    plan = plan_slices(START, last, Lengths(label_delay=7), known_until=last)
    assert plan.test.end == last - 7 * DAY + 1


def test_too_few_days_say_how_many_there_are() -> None:
    with pytest.raises(ValueError, match=r"too few days: 20\.0 days"):
        plan_slices(START, START + 20 * DAY, Lengths())


def test_money_of_decisions_adds_up() -> None:
    labels = np.array([True, True, True, False, False])
    amount = np.array([1_000.0, 2_000.0, 4_000.0, 5_000.0, 6_000.0])
    costs = Costs(reviewer_recall=0.5, running_minor_per_thousand=1_000)
    fee, block = costs.chargeback_fee_minor, costs.blocked_fee_minor
    outcome = measure_outcome(np.array([0, 1, 2, 2, 0]), labels, amount, 2.0, costs)
    assert outcome.fraud_minor == 7_000 + 3 * fee
    lost = 1_000 + fee + 0.5 * (2_000 + fee)
    assert outcome.lost_minor == lost
    spent = (costs.review_minor, costs.blocked_share * 5_000 + block, 5)
    assert (outcome.review_minor, outcome.blocked_minor, outcome.running_minor) == spent
    assert outcome.saved_minor == 7_000 + 3 * fee - lost - sum(spent)
    assert (outcome.false_positive_rate, outcome.blocked_rate) == (0.5, 0.5)
    assert (outcome.reviews_per_day, outcome.alerts_per_day) == (0.5, 1.5)
