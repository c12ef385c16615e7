"""The fits of a training, in this process or spread over Ray."""

from functools import partial

import numpy as np
import ray

from jobs.churn.training_config import TrainConfig
from jobs.cluster.admission import Request, await_workers, with_gpus
from jobs.framework.step_cache import StepCache
from jobs.framework.training_files import write_training_files
from jobs.framework.workers import Workers, run_calls
from jobs.framework.xgboost_training import XGBoostData, fit_boosted_trees
from lib.churn.model.fitting import (
    FOLDS,
    customer_folds,
    fit_halves,
    fold_log_odds,
    row_weights,
)
from lib.churn.model.linear import Linear, fit_linear
from lib.churn.model.trees import Trees, tree_parameters
from lib.churn.snapshots import Snapshots
from lib.churn.target import Floats


def fit_final(
    rows: Snapshots, config: TrainConfig, stages: StepCache, name: str
) -> tuple[Linear, Trees]:
    """Both halves; over Ray the trees are grown by workers, and each is kept when finished."""
    if config.engine == "process":
        return fit_halves(rows, config.model, config.seed)
    weights = row_weights(rows)
    linear = fit_linear(rows, weights, config.model)
    names = [f"{name}-trees-{number}.ubj" for number in range(config.model.trees.boosters)]
    if not all(map(stages.has, names)):
        _grow(rows, weights, config, stages, names)
    boosters = [stages.bytes(name, bytes) for name in names]
    return linear, Trees.from_bytes(boosters, rows.matrix.shape[1])


def _grow(
    rows: Snapshots, weights: Floats, config: TrainConfig, stages: StepCache, names: list[str]
) -> None:
    request = with_gpus(config.request)
    devices = await_workers(request).devices
    files = write_training_files(
        rows.matrix, rows.labels, weights, rows.names, request.workers, stages.storage,
        names[0].removesuffix(".ubj"),
    )  # fmt: skip
    base = float(np.average(rows.labels, weights=weights))
    settings = config.model.trees
    for number, name in enumerate(names):
        grow = partial(
            fit_boosted_trees,
            XGBoostData(files, (), rows.names),
            tree_parameters(settings, config.seed + number, base),
            settings.trees,
            0,
            Workers.of(request, devices.trees),
            backend=config.boosting,
            storage=stages.storage,
            name=name.removesuffix(".ubj"),
        )
        stages.bytes(name, grow)


def fit_folds(rows: Snapshots, config: TrainConfig, stages: StepCache) -> Floats:
    """Log-odds of each row by halves that saw no row of its customer; folds side by side on Ray."""
    folds = customer_folds(rows, config.seed)

    def compute() -> dict[str, Floats]:
        on_ray = config.engine == "ray"
        shared, request = (ray.put(rows), Request()) if on_ray else (rows, None)
        calls = {k: (shared, folds, k, config.model, config.seed) for k in range(FOLDS)}
        log_odds = np.zeros(len(rows))
        for k, part in run_calls(fold_log_odds, calls, "folds", request):
            log_odds[folds == k] = part
        return {"log_odds": log_odds}

    return np.asarray(stages.arrays("outside", compute)["log_odds"], dtype=np.float64)
