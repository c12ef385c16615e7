"""What lasts for days, and what few entities bring, is no news."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from lib.monitoring import ErrorBudget, Incident, WindowSketch, detect
from lib.monitoring.tempering import tempering
from lib.monitoring.window import DAY
from tests.monitoring.rows import FIRST_DAY, learnt_from

BUDGET = ErrorBudget()
DAYS, LEARNT = 90, 60
LEVEL = [("level", "feature_level")]
PEOPLE, NEXT_DAY = 40, 0.98
Floats = npt.NDArray[np.float64]


def lasting(rng: np.random.Generator, days: int, people: int = 1) -> Floats:
    """(days, people) levels with a variance of 1, each near that of the day before."""
    levels = np.empty((days, people))
    levels[0] = rng.normal(size=people)
    for day in range(1, days):
        change = np.sqrt(1.0 - NEXT_DAY**2) * rng.normal(size=people)
        levels[day] = NEXT_DAY * levels[day - 1] + change
    return levels


def day_rows(day: int, people: Floats, values: Floats) -> pa.Table:
    """Rows of people (n,) with a number each, at any time of a day."""
    times = FIRST_DAY * DAY + day * DAY + np.arange(len(values)) * 1_000_000
    return pa.table(
        {
            "entity_id": [f"u{code:.0f}" for code in people],
            "event_time": pa.array(times.astype(np.int64), pa.timestamp("us", tz="UTC")),
            "feature_level": values,
        }
    )


def incidents(tables: list[pa.Table]) -> list[Incident]:
    """Of the days after those that are learnt."""
    model = learnt_from(tables[:LEARNT], LEVEL)
    windows = []
    for day, part in enumerate(tables[LEARNT:], start=FIRST_DAY + LEARNT):
        windows.append(WindowSketch(model.bins, day * DAY, (day + 1) * DAY))
        windows[-1].add(part)
    return detect(model, windows, BUDGET)


@pytest.mark.parametrize("step", [1, 3])
def test_what_lasts_below_the_noise_of_days_counts_less(step: int) -> None:
    rng = np.random.default_rng(1)
    days = FIRST_DAY + step * np.arange(DAYS)
    noise = [rng.normal(size=DAYS) for _ in range(40)]
    levels = [0.7 * lasting(rng, DAYS)[:, 0] for _ in range(40)]
    independent = [tempering(own, days) for own in noise]
    dependent = [tempering(own + level, days) for own, level in zip(noise, levels, strict=True)]
    assert float(np.mean(independent)) > 0.9
    assert float(np.mean(dependent)) < 0.75


def test_levels_of_few_people_that_last_open_few_incidents() -> None:
    opened = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        levels = lasting(rng, DAYS, PEOPLE)
        tables = []
        for day in range(DAYS):
            people = rng.integers(0, PEOPLE, 250)
            tables.append(day_rows(day, people, levels[day, people] + rng.normal(0.0, 0.5, 250)))
        opened += len(incidents(tables))
    assert opened <= 2


def counts_of(rng: np.random.Generator, day: int, news: Floats) -> pa.Table:
    """Counts of people; those of `news` have one that nobody had."""
    people = rng.integers(0, 100, 300).astype(np.float64)
    counts = rng.poisson(1.5, 300).clip(max=5).astype(np.float64)
    people[: len(news)], counts[: len(news)] = news, 9.0
    return day_rows(day, people, counts)


@pytest.mark.parametrize("seed", range(4))
def test_a_new_count_is_news_of_many_people_and_not_of_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quiet = [counts_of(rng, day, np.empty(0)) for day in range(DAYS - 2)]
    of_one, of_many = np.full(12, 7.0), np.arange(12.0) * 8
    opened = incidents([*quiet, *(counts_of(rng, DAYS - 2 + k, of_one) for k in range(2))])
    assert "new category" not in {incident.kind for incident in opened}
    (incident,) = incidents([*quiet, *(counts_of(rng, DAYS - 2 + k, of_many) for k in range(2))])
    assert (incident.kind, incident.name) == ("new category", "9")


def test_counts_that_one_person_had_say_that_others_come() -> None:
    rng = np.random.default_rng(4)
    tables = [counts_of(rng, day, np.empty(0)) for day in range(LEARNT)]
    alone = [day_rows(day, np.full(3, 7.0), np.full(3, 20.0 + day)) for day in range(10)]
    model = learnt_from([*tables, *alone], LEVEL)
    measure = model.measure("level")
    assert sum(measure.unseen) == 30
    assert measure.unseen[10:] == (0,) * (LEARNT - 10)
