"""What wins: the lower limit of the gain in money beats the margin, the measure does not fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.evaluation import average_precision
from lib.retraining.comparison import (
    DAY_US,
    Comparison,
    ComparisonError,
    GuardedFigure,
    ModelOnRows,
    RecentRows,
    compare,
    judge,
    money_interval,
    require_span,
    slice_start,
)
from lib.retraining.margin import Margin, MarginError, parse_margin

WEEKS = 4


def recent(entities: int = 60, each: int = 5, seed: int = 0) -> RecentRows:
    generator = np.random.default_rng(seed)
    count = entities * each
    return RecentRows(
        entities=np.repeat(np.arange(entities), each).astype(str),
        at_us=generator.integers(0, WEEKS * 7 * DAY_US, count),
        positives=generator.random(count) < 0.2,
        positive="fraud",
        start_us=0,
        end_us=WEEKS * 7 * DAY_US,
    )


def model(rows: RecentRows, version: str, skill: float, gain: float) -> ModelOnRows:
    generator = np.random.default_rng(1)
    scores = generator.random(len(rows)) + skill * rows.positives
    money = -10.0 * rows.positives + gain * rows.positives + generator.normal(0, 1, len(rows))
    return ModelOnRows(
        version, lambda draw: average_precision(rows.positives[draw], scores[draw]), money
    )


@pytest.fixture(scope="module")
def better() -> Comparison:
    rows = recent()
    pair = model(rows, "new", 1.0, 5.0), model(rows, "old", 0.5, 0.0)
    return compare(rows, *pair, "average precision", seed=7, repeats=200)


def test_figures_are_a_week_and_by_entity(better: Comparison) -> None:
    positives = better.positives
    assert better.money_gain.value == pytest.approx(5.0 * positives / WEEKS)
    assert better.money_gain.low < better.money_gain.value < better.money_gain.high
    assert better.cumulative_gain[-1] == pytest.approx(5.0 * positives)
    assert (better.rows, better.entities) == (300, 60)


def test_a_challenger_worth_more_is_published_with_its_figures(better: Comparison) -> None:
    verdict = judge(better, Margin(), 0.01, 20)
    assert verdict.won
    assert verdict.reason.startswith("better by more than the margin of 0 a week: the challenger")
    assert "60 entities in 28.0 days" in verdict.reason


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"margin": Margin(amount=1e6)}, "does not beat the margin of 1,000,000"),
        ({"margin": Margin(share=10.0)}, "does not beat the margin of"),
        ({"least_entities": 61}, "too small: 60 entities, at least 61 are needed"),
    ],
)
def test_what_is_not_published_says_why(better: Comparison, changed: dict, words: str) -> None:
    options = {"margin": Margin(), "measure_margin": 0.01, "least_entities": 20} | changed
    verdict = judge(better, **options)
    assert not verdict.won
    assert verdict.reason.startswith("not published: ")
    assert words in verdict.reason


def test_a_measure_that_falls_too_far_is_no_winner(better: Comparison) -> None:
    fallen = replace(better, measure_gain=replace(better.measure_gain, value=-0.02))
    verdict = judge(fallen, Margin(), 0.01, 20)
    assert "average precision falls by 0.0200, more than the 0.01 allowed" in verdict.reason
    assert judge(fallen, Margin(), 0.02, 20).won


def test_the_same_model_twice_gains_nothing_and_is_not_published() -> None:
    rows = recent()
    same = model(rows, "same", 1.0, 0.0)
    comparison = compare(rows, same, same, "average precision", seed=7, repeats=50)
    assert (comparison.money_gain.low, comparison.money_gain.high) == (0.0, 0.0)
    assert not judge(comparison, Margin(), 0.01, 20).won


def test_the_limits_hold_the_true_gain_as_often_as_they_say() -> None:
    inside, runs = 0, 200
    for seed in range(runs):
        rows = recent(entities=80, each=3, seed=seed)
        generator = np.random.default_rng(seed)
        of_entity = np.repeat(generator.normal(2.0, 5.0, 80), 3)
        difference = of_entity + generator.normal(0.0, 1.0, len(rows))
        interval = money_interval(rows, difference, seed, 200)
        inside += interval.low <= 2.0 * len(rows) / WEEKS <= interval.high
    # binomial with p = .95 (percentile intervals of 80 entities fall a little short)
    assert inside / runs >= 0.90


def test_rows_of_one_outcome_are_refused() -> None:
    rows = recent()
    pair = model(rows, "new", 1.0, 5.0), model(rows, "old", 0.5, 0.0)
    good = replace(rows, positives=np.zeros(len(rows), dtype=bool))
    with pytest.raises(ComparisonError, match=r"fraud: 0 of 300 rows that neither model saw"):
        compare(good, *pair, "average precision", 7, 10)
    empty = replace(
        rows, entities=rows.entities[:0], at_us=rows.at_us[:0], positives=good.positives[:0]
    )
    with pytest.raises(ComparisonError, match="no row lies after both models' training"):
        compare(empty, *pair, "average precision", 7, 10)


def test_money_must_be_a_number_for_each_row() -> None:
    rows = recent()
    new, old = model(rows, "new", 1.0, 5.0), model(rows, "old", 0.5, 0.0)
    broken = replace(new, money=np.full(len(rows), np.nan))
    with pytest.raises(ComparisonError, match="money of new: expected a finite number a row"):
        compare(rows, broken, old, "average precision", 7, 10)


def test_the_slice_begins_where_the_champion_ends_or_later() -> None:
    assert slice_start(0, 100 * DAY_US, 0.3, 10 * DAY_US) == 70 * DAY_US
    assert slice_start(0, 100 * DAY_US, 0.3, 90 * DAY_US) == 90 * DAY_US
    with pytest.raises(ComparisonError, match="no row is left that neither model saw"):
        slice_start(0, 100 * DAY_US, 0.3, 101 * DAY_US)
    with pytest.raises(ComparisonError, match="up to 1970-01-03 00:00 UTC"):
        require_span(2 * DAY_US, 2 * DAY_US, 2 * DAY_US)


@pytest.mark.parametrize("text", ["lots", "-1", "nan", "-2%", "", "inf"])
def test_a_margin_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(MarginError, match="--margin: expected an amount a week"):
        parse_margin(text)


def test_a_margin_is_an_amount_or_a_share_of_the_champions_money() -> None:
    assert parse_margin("500").per_week(-30_000.0) == 500.0
    assert parse_margin(" 2% ").per_week(-30_000.0) == pytest.approx(600.0)


def test_a_guarded_figure_that_grows_beyond_its_margin_is_not_published(
    better: Comparison,
) -> None:
    kept = GuardedFigure("gap between terms", 0.10, 0.14, 0.05)
    won = judge(replace(better, guarded=(kept,)), Margin(), 0.01, 2)
    assert won.won
    grown = replace(kept, challenger=0.16)
    verdict = judge(replace(better, guarded=(kept, grown)), Margin(), 0.01, 2)
    assert not verdict.won
    assert "gap between terms grows from 0.100 to 0.160, by more than the 0.05" in verdict.reason
