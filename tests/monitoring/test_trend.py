"""Growth that the reference shows is no change; what comes on top of it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lib.monitoring import ErrorBudget, Incident, ModelReference, RowBlock, detect
from lib.monitoring.null import MeanNull, ShareNull
from lib.monitoring.training_rows import remember
from lib.monitoring.trend import Trend
from lib.monitoring.window import DAY

DAYS = np.arange(20_000, 20_060)
LATER = np.arange(20_060, 20_120)
ROWS = 600
Values = Callable[[int, np.random.Generator], np.ndarray]


def growing(per_day: float, stops: int = 10**6, step: float = 0.0) -> Values:
    """A feature whose mean grows; from some day on it stops, from day 90 on it has a step."""

    def values(day: int, rng: np.random.Generator) -> np.ndarray:
        age = min(day - DAYS[0], stops)
        moved = step if day >= DAYS[0] + 90 else 0.0
        return rng.normal(per_day * age + moved + rng.normal(0.0, 0.03), 1.0, ROWS)

    return values


def ageing(first: float, per_day: float) -> Values:
    """A feature with fewer missing values each day."""

    def values(day: int, rng: np.random.Generator) -> np.ndarray:
        share = max(0.01, first - per_day * (day - DAYS[0]))
        return np.where(rng.random(ROWS) < share, np.nan, rng.normal(0.0, 1.0, ROWS))

    return values


def block(days: np.ndarray, values: Values, seed: int) -> RowBlock:
    parts = [values(int(day), np.random.default_rng([seed, int(day)])) for day in days]
    hours = np.random.default_rng(seed).integers(0, DAY, len(days) * ROWS)
    times = np.repeat(days, ROWS) * DAY + hours
    entities = np.arange(len(times)).astype(str)
    return RowBlock(np.concatenate(parts)[:, None], times, entities)


def watched(values: Values, days: np.ndarray = LATER) -> list[Incident]:
    model = remember("fraud", "user_id", ["cases"], [block(DAYS, values, 1)], volume_is_served=True)
    served = model.daily()
    served.add(block(days, values, 2).table(["cases"]))
    return detect(model, served.windows(), ErrorBudget())


def level_alone(means: np.ndarray) -> float:
    """Student's t of the last of 60 windows against the level."""
    null = MeanNull.fit(means[: len(DAYS)], np.full(len(DAYS), 1e-3), DAYS)[0]
    return float(null.scores(means[-1:], np.full(1, 1e-3), LATER[-1:]).standardised[0])


@pytest.mark.parametrize("per_day", [0.004, 0.008, 0.012, -0.008])
def test_growth_that_goes_on_is_no_incident(per_day: float) -> None:
    assert watched(growing(per_day)) == []


def test_growth_that_stops_is_no_incident() -> None:
    assert watched(growing(0.008, stops=70)) == []


def test_a_step_on_top_of_growth_is_named_since_its_day() -> None:
    (incident,) = watched(growing(0.004, step=1.0))
    assert (incident.measure, str(incident.kind)) == ("cases", "mean moved")
    assert incident.since == (DAYS[0] + 90) * DAY
    assert incident.effect == pytest.approx(1.0, abs=0.2)


def test_missing_values_that_grow_fewer_are_no_incident() -> None:
    assert watched(ageing(0.30, 0.002)) == []


def test_missing_values_that_come_back_are_one() -> None:
    def values(day: int, rng: np.random.Generator) -> np.ndarray:
        if day < LATER[30]:
            return ageing(0.30, 0.002)(day, rng)
        return np.where(rng.random(ROWS) < 0.6, np.nan, rng.normal(0.0, 1.0, ROWS))

    assert "missing share" in {str(own.kind) for own in watched(values)}


def test_a_line_follows_the_days_and_is_less_sure_far_from_them() -> None:
    rng = np.random.default_rng(3)
    means = 0.01 * np.arange(120) + rng.normal(0.0, 0.03, 120)
    level, line = MeanNull.fit(means[:60], np.full(60, 1e-4), DAYS)
    assert line.trend.slope == pytest.approx(0.01, rel=0.1)
    assert line.total < 0.1 * level.total
    scores = line.scores(means[60:], np.full(60, 1e-4), LATER)
    assert np.abs(scores.standardised).max() < 2.0
    assert scores.usual == pytest.approx(0.01 * np.arange(60, 120), abs=0.08)
    near, far = (float(line.trend.leverage(np.array([day]))[0]) for day in (20_060, 20_119))
    assert far > 5.0 * near


def test_a_share_follows_its_angle_and_stays_a_share() -> None:
    rng = np.random.default_rng(4)
    rows = np.full(60, 2_000)
    counts = rng.binomial(rows, 0.02 + 0.002 * np.arange(60))
    level, line = ShareNull.fit(counts, rows, DAYS)
    assert line.total < 0.2 * level.total
    usual = line.scores(counts, rows, np.arange(20_060, 20_600, 9)).usual
    assert (np.diff(usual[:20]) > 0.0).all()
    assert usual.max() <= 1.0


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_days_without_growth_have_a_level_alone(correlation: float) -> None:
    """The line is shown in .01% of references of independent days, somewhat more of others."""
    rng = np.random.default_rng(5)
    shown = 0
    for _ in range(400):
        noise = rng.normal(0.0, 1.0, 60)
        for day in range(1, 60):
            noise[day] += correlation * noise[day - 1]
        shown += Trend.fit(noise - noise.mean(), DAYS, 59.0) is not None
    assert shown <= (1 if correlation == 0.0 else 4)


def test_few_days_show_no_growth() -> None:
    means = 0.1 * np.arange(13) + np.random.default_rng(6).normal(0.0, 0.001, 13)
    assert len(MeanNull.fit(means, np.full(13, 1e-6), DAYS[:13])) == 1


def scored(level_by_day: dict[int, float]) -> tuple[ModelReference, list[Incident]]:
    """A model with five scored days, and what is said of scores in the windows after."""
    features = block(DAYS, growing(0.0), 1)
    rng = np.random.default_rng(7)

    def scores(part: RowBlock) -> np.ndarray:
        days = part.at_us // DAY
        levels = np.array([level_by_day.get(int(day), 0.0) for day in days])
        return rng.normal(levels, 1.0)

    tests = features.at_us // DAY >= DAYS[-5]
    parts = [features.take(np.flatnonzero(~tests)), features.take(np.flatnonzero(tests))]
    test = RowBlock(
        parts[1].matrix, parts[1].at_us, parts[1].entities, None, {"score": scores(parts[1])}
    )
    model = remember("fraud", "user_id", ["cases"], [parts[0], test], volume_is_served=True)
    served, later = model.daily(), block(LATER, growing(0.0), 2)
    answered = RowBlock(later.matrix, later.at_us, later.entities, None, {"score": scores(later)})
    served.add(answered.table(["cases"]))
    return model, detect(model, served.windows(), ErrorBudget())


def test_few_scored_days_are_completed_by_the_first_windows() -> None:
    """By its five days alone, whose levels are alike, the score would be called moved."""
    wander = {int(day): 0.12 * np.sin((day - DAYS[0]) / 4.0) for day in LATER}
    assert scored(wander)[1] == []


def test_a_score_that_moves_after_them_is_named() -> None:
    moved = {int(day): 1.0 for day in LATER[20:]}
    _, incidents = scored(moved)
    assert [(own.measure, own.since) for own in incidents] == [("score", int(LATER[20]) * DAY)]
