"""Rows of machines as they were known at a time, and up to when they say anything."""

from __future__ import annotations

import numpy as np
import pytest

from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.model.rows import TrainingRows
from lib.survival.outcomes import Outcomes


def rows(seed: int) -> TrainingRows:
    generator = np.random.default_rng(seed)
    at_us = np.sort(generator.integers(1_735_000_000_000_000, 1_760_000_000_000_000, 300))
    hours = generator.integers(1, 2_000 * HOUR_US, 300) / HOUR_US
    return TrainingRows(
        machines=np.array(["m"] * 300),
        at_us=at_us,
        rows=np.zeros((300, 1)),
        watched=Outcomes(hours, generator.integers(0, 3, 300)),
        modes=np.array(["seal"] * 300),
    )


@pytest.mark.parametrize("seed", range(20))
def test_rows_of_a_time_say_nothing_of_later(seed: int) -> None:
    time_us = 1_750_000_000_000_000 + seed * 1_234_567
    known = rows(seed).until(time_us)
    assert known.seen_until == time_us
    assert (known.at_us < time_us).all()


def test_all_rows_reach_to_the_end_of_the_longest_watch() -> None:
    every = rows(1)
    ends = every.at_us + np.round(every.watched.time * HOUR_US).astype(np.int64)
    assert every.seen_until == ends.max()
