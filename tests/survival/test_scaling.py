"""Columns on one scale: codes of categories are columns of their own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lib.survival.cox import fit_cox
from lib.survival.outcomes import Outcomes, SurvivalError
from lib.survival.scaling import Scaling
from lib.survival.settings import HazardSettings
from lib.survival.training import fit_network

NAN = float("nan")
NAMES = ("x", "make_code")
ROWS = np.column_stack(
    [np.arange(1000.0), np.repeat([1.0, 2.0, 3.0, 0.0, NAN], [500, 300, 198, 1, 1])]
)


def test_each_code_is_a_column_and_one_without_is_average() -> None:
    scaling = Scaling.fit(NAMES, ROWS, flags=False, categorical=(1,))
    assert scaling.columns == ("x", "make_code = 1", "make_code = 2", "make_code = 3")
    scores = scaling.apply(ROWS)
    assert scores.shape == (1000, 4)
    known = ROWS[:, 1] > 0
    shares = np.array([0.5, 0.3, 0.198])
    deviations = np.sqrt(shares * (1.0 - shares))
    np.testing.assert_allclose(scores[0, 1:], (np.array([1.0, 0.0, 0.0]) - shares) / deviations)
    np.testing.assert_allclose(scores[known, 1:].mean(axis=0), 0.0, atol=0.01)
    for value in (0.0, 7.0, NAN):  # without a column, never seen, and missing
        assert scaling.apply(np.array([[0.0, value]]))[0, 1:].tolist() == [0.0, 0.0, 0.0]


def test_columns_without_codes_are_scaled_as_ever() -> None:
    plain = Scaling.fit(NAMES, ROWS)
    assert "coded" not in plain.to_json()
    coded = Scaling.fit(NAMES, ROWS, categorical=(1,))
    np.testing.assert_array_equal(plain.apply(ROWS)[:, 0], coded.apply(ROWS)[:, 0])


def test_codes_come_back_from_a_file() -> None:
    scaling = Scaling.fit(NAMES, ROWS, categorical=(1,))
    stored = json.loads(json.dumps(scaling.to_json()))
    again = Scaling.from_json(stored)
    assert again.columns == scaling.columns
    assert again.apply(ROWS).tobytes() == scaling.apply(ROWS).tobytes()
    for change in ({"shares": [0.5]}, {"shares": [0.5, 0.3, 0.0]}, {"coded": [[9, 1]] * 3}):
        with pytest.raises(SurvivalError, match="scaling of columns"):
            Scaling.from_json(stored | change)


def test_codes_alone_are_enough_and_nothing_that_varies_is_refused() -> None:
    codes = ROWS[:, 1:]
    assert Scaling.fit(("make_code",), codes, categorical=(0,)).columns[0] == "make_code = 1"
    with pytest.raises(SurvivalError, match="none of the 1 columns varies"):
        Scaling.fit(("make_code",), np.ones((9, 1)), categorical=(0,))


def test_models_learn_what_the_middle_code_does() -> None:
    random = np.random.default_rng(4)
    codes = random.integers(1, 4, 900).astype(np.float64)
    life = random.exponential(np.where(codes == 2.0, 1.0, 6.0))
    outcomes = Outcomes(life, np.ones(900, dtype=np.int64))
    rows, unseen = codes[:, None], np.array([[1.0], [2.0], [3.0], [0.0]])
    cox = fit_cox(("make_code",), rows, outcomes, categorical=(0,))
    settings = HazardSettings(
        hidden=(8,), epochs=10, intervals=5, batch_size=64, learning_rate=1e-2, members=1
    )
    network = fit_network(
        ("make_code",), rows, outcomes, np.arange(900), settings, seed=1, categorical=(0,)
    )
    for model in (cox, network):
        first, second, third, average = model.curves(unseen).at(2.0)[:, 0].tolist()
        assert second < 0.3 < 0.55 < min(first, third)
        assert second < average < max(first, third)
