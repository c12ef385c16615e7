"""Search for settings of the churn model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ray import tune

from jobs.churn.training_set import find_rows
from jobs.churn.tune import TuneConfig
from jobs.framework.tuning import Search, Tuner
from lib.churn.model.fitting import FOLDS, customer_folds, fold_log_odds, split_by_time
from lib.churn.model.settings import ModelSettings
from lib.churn.snapshots import Snapshots
from lib.churn.target import Target
from lib.evaluation import average_precision

MEASURE = "average_precision"


def search_settings(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    source = find_rows(config.features)
    train = split_by_time(source.rows, source.target, config.test_share).train
    tuner = Tuner(config)
    best = tuner.search(
        Search("trees", _space(), MEASURE, "max", FOLDS),
        _trial,
        rows=train,
        target=source.target,
        seed=config.seed,
    )
    model = {name: best.pop(name) for name in ("ridge", "linear_share")}
    path = tuner.store({"model": {**model, "trees": best}})
    print(f"best settings: {path}\nuse them: python -m jobs.churn.train --config {path} ...")
    return path


def _space() -> dict[str, Any]:
    return {
        "trees": tune.choice([100, 200, 400]),
        "depth": tune.randint(2, 6),
        "learning_rate": tune.loguniform(0.01, 0.1),
        "subsample": tune.uniform(0.4, 1.0),
        "colsample": tune.uniform(0.2, 0.8),
        "min_child_weight": tune.loguniform(5.0, 80.0),
        "l2": tune.loguniform(1.0, 50.0),
        "ridge": tune.loguniform(5e-4, 0.5),
        "linear_share": tune.choice([0.25, 0.5, 0.75]),
    }


def _trial(chosen: Mapping[str, Any], rows: Snapshots, target: Target, seed: int) -> None:
    """Fits fold by fold, and reports the mean so far."""
    plain = dict(chosen)
    ridge, share = plain.pop("ridge"), plain.pop("linear_share")
    trees = replace(ModelSettings().trees, boosters=1, **plain)
    settings = ModelSettings(trees=trees, ridge=ridge, linear_share=share).suited(target)
    folds = customer_folds(rows, seed)
    scores: list[float] = []
    for fold in range(FOLDS):
        answers = fold_log_odds(rows, folds, fold, settings, seed)
        scores.append(average_precision(rows.labels[folds == fold], answers))
        tune.report({MEASURE: float(np.mean(scores)), "step": len(scores)})
