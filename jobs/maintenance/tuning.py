"""Search for settings of the maintenance model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ray import tune

from jobs.framework.tuning import Search, Tuner
from jobs.maintenance.training_set import find_rows
from jobs.maintenance.tune import TuneConfig
from lib.maintenance.feature_set import AssetFeatureSet
from lib.maintenance.model.fitting import mode_names, reach, require_machines, scored_times
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import ModelSettings, time_grid
from lib.survival.blending import folds
from lib.survival.measures import integrated_brier_score
from lib.survival.training import fit_network

MEASURE = "integrated_brier_score"
_WIDTHS = {"small": (32, 16), "design": (128, 64, 32), "wide": (256, 128)}


def search_settings(config: TuneConfig) -> str:
    """Search; returns the path or URI of best.yaml."""
    source = find_rows(config.features, config.preventive)
    require_machines(source.rows, config.folds, "--folds")
    first, last = int(source.rows.at_us.min()), int(source.rows.at_us.max())
    train = source.rows.until(first + round((1.0 - config.test_share) * (last - first)))
    settings = ModelSettings(horizon_hours=config.horizon_hours)
    horizon = reach(train, settings)
    tuner = Tuner(config)
    best = tuner.search(
        Search("network", _space(config), MEASURE, "min", config.folds),
        _trial,
        rows=train.thinned(config.most_rows, config.seed),
        features=source.features,
        horizon=horizon,
        count=config.folds,
        seed=config.seed,
    )
    best["hidden"] = list(_WIDTHS[best.pop("width")])
    path = tuner.store({"model": {"network": best}})
    print(f"best settings: {path}\nuse them: python -m jobs.maintenance.train --config {path} ...")
    return path


def _space(config: TuneConfig) -> dict[str, Any]:
    return {
        "width": tune.choice(list(_WIDTHS)),
        "dropout": tune.uniform(0.1, 0.5),
        "intervals": tune.randint(8, 31),
        "learning_rate": tune.loguniform(3e-4, 6e-3),
        "weight_decay": tune.loguniform(1e-4, 1e-1),
        "batch_size": tune.choice([128, 256, 512]),
        "epochs": tune.randint(5, config.epochs + 1),
    }


def _trial(
    chosen: Mapping[str, Any],
    rows: TrainingRows,
    features: AssetFeatureSet,
    horizon: float,
    count: int,
    seed: int,
) -> None:
    """Fits fold by fold, and reports the mean Brier score so far."""
    hidden = _WIDTHS[chosen["width"]]
    plain = {name: value for name, value in chosen.items() if name != "width"}
    settings = replace(ModelSettings().network, hidden=hidden, members=1, **plain)
    settings = replace(settings, horizon=horizon)
    modes, grid = mode_names(rows), time_grid(horizon)
    scores: list[float] = []
    for kept, left in folds(rows.machines, count, seed):
        train, rest = rows.take(kept), rows.take(left)
        outcomes = rest.outcomes.capped(horizon)
        network = fit_network(
            features.names, train.rows, train.by_mode(modes), train.machines, settings, seed,
            failing=len(modes), categorical=features.codes,
        )  # fmt: skip
        times = scored_times(outcomes.time, grid)
        scores.append(integrated_brier_score(outcomes, network.curves(rest.rows), times))
        tune.report({MEASURE: float(np.mean(scores)), "step": len(scores)})
