"""A small model of simulated accounts, fitted once for all tests that need one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from lib.calibration import Calibrator, fit_calibrator
from lib.churn.events import stream
from lib.churn.health import fit_reference
from lib.churn.model.fitting import FOLDS, customer_folds, fit_halves, fold_log_odds
from lib.churn.model.model import ChurnModel
from lib.churn.model.settings import SHALLOW_TREES, ModelSettings
from lib.churn.snapshots import Snapshots, moments_between, snapshots
from lib.churn.target import Floats, Target
from lib.churn.vocabulary import CustomerVocabulary
from lib.registry import TrainingRecord
from tests.churn.tables import base_in, day, world

TARGET = Target()


SMALL_TREES = ModelSettings(
    trees=replace(SHALLOW_TREES, trees=20, boosters=1, min_child_weight=5.0)
)
SETTINGS = ModelSettings(trees=replace(SHALLOW_TREES, trees=40, boosters=2, min_child_weight=5.0))


def calibrated(rows: Snapshots, settings: ModelSettings, seed: int) -> tuple[Calibrator, Floats]:
    """A calibrator from rows out of fold, and their calibrated chances."""
    folds, outside = customer_folds(rows, seed), np.zeros(len(rows))
    for fold in range(FOLDS):
        outside[folds == fold] = fold_log_odds(rows, folds, fold, settings, seed)
    calibrator = fit_calibrator(outside, rows.labels)
    return calibrator, calibrator.probabilities(outside)


@cache
def rows() -> tuple[CustomerVocabulary, Snapshots]:
    _, tables = world()
    base = base_in(tables)
    moments = moments_between(day(120), day(420), 20)
    return base, snapshots(stream(tables, base), base, moments, TARGET, day(420))


@cache
def trained() -> ChurnModel:
    base, customer_rows = rows()
    known_rows = customer_rows.known()
    calibrator, probabilities = calibrated(known_rows, SETTINGS, 1)
    linear, trees = fit_halves(known_rows, SETTINGS, 1)
    newest = known_rows.at_us == known_rows.at_us.max()
    return ChurnModel(
        base=base,
        target=TARGET,
        linear=linear,
        trees=trees,
        linear_share=0.5,
        calibrator=calibrator,
        usual=np.nanmedian(known_rows.matrix, axis=0),
        reference=fit_reference(known_rows.matrix[newest], known_rows.names, probabilities),
        capacity=0.1,
        threshold=float(np.quantile(probabilities, 0.9)),
    )


def save(model: ChurnModel, folder: Path) -> Path:
    model.save(folder, TrainingRecord(1_795_428_900_000_000, "f" * 64, "test", {}, {}))
    return folder
