"""What a training remembers of its arrays."""

from dataclasses import replace

import numpy as np
import pytest

from lib.monitoring import SCORE, ModelReference, RowBlock, remember
from lib.monitoring.window import DAY

RNG = np.random.default_rng(0)
FIRST = 20_000


def block(rows: int, days: range, features: int, *, is_scored: bool) -> RowBlock:
    at = FIRST * DAY + RNG.choice(days, rows) * DAY + RNG.integers(0, DAY, rows)
    labels = RNG.choice([0.0, 1.0, np.nan], rows)
    scores = {SCORE: RNG.beta(1, 9, rows), "score hate": RNG.beta(1, 9, rows)}
    return RowBlock(
        RNG.normal(size=(rows, features)).astype(np.float32),
        at.astype(np.int64),
        np.array([f"u{code}" for code in RNG.integers(0, 50, rows)]),
        labels if is_scored else None,
        scores if is_scored else None,
    )


def test_scores_are_remembered_of_rows_that_have_them_and_features_of_all() -> None:
    blocks = [
        block(2_000, range(20), 2, is_scored=False),
        block(500, range(20, 30), 2, is_scored=True),
    ]
    model = remember("fraud", "user_id", ["a", "b"], blocks, volume_is_served=True)
    assert sum(model.rows) == model.measure("a").by_day.sum() == 2_500
    assert model.measure(SCORE).by_day.sum() == model.measure("score hate").by_day.sum() == 500
    assert model.measure("a").bins.column == "feature_a"
    labels = blocks[1].labels
    assert labels is not None
    assert model.prevalence == pytest.approx(np.nanmean(labels))
    assert ModelReference.from_json(model.to_json(), "reference.json") == model


def test_calibration_is_of_scores_by_models_that_did_not_learn_from_the_row() -> None:
    own = block(500, range(10), 1, is_scored=True)
    assert own.labels is not None
    unseen = np.full(len(own), 0.25)
    blocks = [replace(own, unseen_scores=unseen)]
    model = remember("maintenance", "machine_id", ["a"], blocks, volume_is_served=False)
    without = remember("maintenance", "machine_id", ["a"], [own], volume_is_served=False)
    assert model.measure(SCORE) == without.measure(SCORE)
    (bin_,) = model.calibration
    assert (bin_.rows, bin_.stated) == (np.isfinite(own.labels).sum(), pytest.approx(0.25))
    assert bin_.positives == (own.labels == 1.0).sum()
    assert len(without.calibration) > 1


def test_only_the_newest_ninety_days_are_kept() -> None:
    model = remember(
        "churn",
        "customer_id",
        ["a"],
        [block(3_000, range(150), 1, is_scored=False)],
        volume_is_served=False,
    )
    assert len(model.days) == 90
    assert model.days[-1] == FIRST + 149


def test_a_model_without_features_remembers_its_scores() -> None:
    model = remember(
        "moderation",
        "author_id",
        (),
        [block(400, range(10), 0, is_scored=True)],
        volume_is_served=False,
    )
    assert [measure.bins.name for measure in model.measures] == [SCORE, "score hate", "event hour"]
