"""Rows of the Handbook benchmark that know its simulator: what they learn, and from when on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.fraud.handbook.ceiling import score_ceiling
from tests.fraud.handbook.informed import (
    START,
    fit_rows,
    score_informed,
    score_informed_history,
)
from tests.fraud.handbook.ours import our_inputs, score_ours
from tests.fraud.handbook.protocol import DAY, WEEK, Payments, Split, split
from tests.fraud.handbook.small_town import Town, payments_of, simulate, write

TOWN = Town()
TRAIN_START = date(2018, 5, 17)  # day 46: the test days are 60 to 66, the last ones
CUT_DAY = 65  # whose noon is the last moment that is scored
NOON = DAY // 2

Score = Callable[[Path, Payments, Split], np.ndarray]


@pytest.fixture(scope="module")
def town() -> Payments:
    return simulate(TOWN, seed=3)


def informed(path: Path, payments: Payments, fold: Split) -> np.ndarray:
    inputs = our_inputs(path, payments)
    return score_informed(payments, inputs, fold, score_ours(payments, inputs, fold))


def informed_history(path: Path, payments: Payments, fold: Split) -> np.ndarray:
    inputs = our_inputs(path, payments)
    return score_informed_history(payments, inputs, fold, np.zeros(len(fold.test)))


def ceiling(path: Path, payments: Payments, fold: Split) -> np.ndarray:
    return score_ceiling(payments)[fold.test]


@pytest.mark.parametrize("score", [informed, informed_history, ceiling])
def test_labels_count_once_they_are_seven_days_old_and_no_earlier(
    score: Score, town: Payments, tmp_path: Path
) -> None:
    path = tmp_path / "town.parquet"
    payments = write(path, town)
    fold = split(payments, TRAIN_START)
    cut = town.second[0] // DAY * DAY + CUT_DAY * DAY + NOON
    before = town.second[fold.test] <= cut
    expected = score(path, payments, fold)[before]

    def with_flipped(age: int) -> np.ndarray:
        young = town.second > cut - age
        flipped = write(path, replace(town, fraud=town.fraud ^ young))
        return score(path, flipped, fold)[before]

    np.testing.assert_allclose(with_flipped(WEEK * DAY), expected, rtol=0, atol=1e-9)
    assert np.abs(with_flipped((WEEK + 1) * DAY) - expected).max() > 0.1


def test_the_fit_recovers_how_long_a_terminal_stays_compromised(
    town: Payments, tmp_path: Path
) -> None:
    path = tmp_path / "town.parquet"
    payments = write(path, town)
    rows = np.flatnonzero(payments.day >= payments.day[0] + 30)
    numbers, limit = fit_rows(payments, our_inputs(path, payments), rows, good_share=0.5)
    assert abs(numbers.terminal_days - TOWN.terminal_days) < 1 < START.terminal_days - 12
    assert 150 < limit <= 220


def chance_at_a_terminal(day: float, fraud_at_first: bool) -> float:
    """The ceiling for an ordinary payment at a terminal that saw one payment at noon of day 0."""
    second = [NOON, int(day * DAY)]
    return score_ceiling(payments_of(second, [0, 1], [0, 0], [50, 50], [fraud_at_first, False]))[1]


def test_a_settled_fraud_makes_its_terminal_suspect_until_the_outbreak_must_be_over() -> None:
    assert chance_at_a_terminal(7.499, fraud_at_first=True) < 0.02
    assert chance_at_a_terminal(7.501, fraud_at_first=True) > 0.5
    assert chance_at_a_terminal(27.9, fraud_at_first=True) > 0.5
    assert chance_at_a_terminal(28, fraud_at_first=True) < 0.02


def test_a_settled_good_payment_clears_its_terminal() -> None:
    assert chance_at_a_terminal(7.6, fraud_at_first=False) < chance_at_a_terminal(7.4, False)


def test_a_card_is_suspect_before_any_label_once_its_amounts_rise() -> None:
    usual = [40.0, 20.0] * 15

    def last(recent: list[float]) -> float:
        amounts = [*usual, *recent, 80.0]
        second = [day * DAY for day in range(len(amounts))]
        count = len(amounts)
        bought = payments_of(second, [0] * count, list(range(count)), amounts, [False] * count)
        return score_ceiling(bought)[-1]

    assert last([80.0, 90.0]) > 1.5 * last([80.0, 30.0]) > 2 * last([40.0, 30.0])


def test_an_amount_over_the_limit_is_certain() -> None:
    assert score_ceiling(payments_of([0, 1], [0, 1], [0, 1], [220.0, 220.01], [False] * 2))[1] == 1
