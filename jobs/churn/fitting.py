"""The fits of a training, in this process or spread over Ray."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import ray

from jobs.churn.training_config import TrainConfig
from jobs.cluster.admission import await_workers, with_gpus
from jobs.framework.step_cache import StepCache
from jobs.framework.xgboost_training import (
    LABEL,
    WEIGHT,
    WorkerResources,
    XGBoostData,
    fit_boosted_trees,
)
from lib.churn.model.fitting import (
    FOLDS,
    customer_folds,
    fit_halves,
    fit_linear_half,
    fold_log_odds,
    row_weights,
)
from lib.churn.model.linear import Linear
from lib.churn.model.trees import Trees, tree_parameters
from lib.churn.snapshots import Snapshots
from lib.churn.target import Floats
from lib.churn.vocabulary import CustomerVocabulary
from lib.storage import write_parquet

_RETRIES = 3


def fit_final(
    base: CustomerVocabulary, rows: Snapshots, config: TrainConfig, stages: StepCache, name: str
) -> tuple[Linear, Trees]:
    """Both halves; over Ray the trees are grown by workers, and each is kept when finished."""
    if config.engine == "process":
        return fit_halves(base, rows, config.model, config.seed)
    weights = row_weights(rows)
    linear = fit_linear_half(base, rows, weights, config.model)
    names = [f"{name}-trees-{number}.ubj" for number in range(config.model.trees.boosters)]
    if not all(map(stages.has, names)):
        _grow(rows, weights, config, stages, names)
    boosters = [stages.bytes(name, bytes) for name in names]
    return linear, Trees.from_bytes(boosters, rows.matrix.shape[1])


def _grow(
    rows: Snapshots, weights: Floats, config: TrainConfig, stages: StepCache, names: list[str]
) -> None:
    request = with_gpus(config.request)
    placement = await_workers(request)
    files = _shards(rows, weights, request.workers, stages, names[0].removesuffix(".ubj"))
    workers = WorkerResources(
        request.workers,
        request.least if request.elastic else 0,
        request.cpus,
        request.gpus,
        placement.devices.trees,
    )
    base = float(np.average(rows.labels, weights=weights))
    settings = config.model.trees
    for number, name in enumerate(names):
        grow = partial(
            fit_boosted_trees,
            XGBoostData(files, (), rows.names),
            tree_parameters(settings, config.seed + number, base),
            settings.trees,
            0,
            workers,
            backend=config.boosting,
            storage=stages.storage,
            name=name.removesuffix(".ubj"),
        )
        stages.bytes(name, grow)


def _shards(
    rows: Snapshots, weights: Floats, count: int, stages: StepCache, folder: str
) -> tuple[str, ...]:
    """Rows as `count` Parquet files, every count-th row to each; their addresses."""
    addresses = []
    for index in range(count):
        own_rows = slice(index, None, count)
        columns = {
            name: rows.matrix[own_rows, k].astype(np.float32) for k, name in enumerate(rows.names)
        }
        columns[LABEL] = rows.labels[own_rows].astype(np.float32)
        columns[WEIGHT] = weights[own_rows].astype(np.float32)
        path = f"{folder}/{index:04d}.parquet"
        addresses.append(write_parquet(pa.table(columns), stages.storage, path))
    return tuple(addresses)


def fit_folds(
    base: CustomerVocabulary, rows: Snapshots, config: TrainConfig, stages: StepCache
) -> Floats:
    """Log-odds of each row by halves that saw no row of its customer; folds side by side on Ray."""
    folds = customer_folds(rows, config.seed)

    def compute() -> dict[str, Floats]:
        log_odds = np.zeros(len(rows))
        if config.engine == "process":
            parts = [
                fold_log_odds(base, rows, folds, k, config.model, config.seed) for k in range(FOLDS)
            ]
        else:
            shared = ray.put(rows)
            task = ray.remote(num_cpus=1, max_retries=_RETRIES)(fold_log_odds)
            waiting = [
                task.remote(base, shared, folds, k, config.model, config.seed) for k in range(FOLDS)
            ]
            parts = ray.get(waiting)
        for k, part in enumerate(parts):
            log_odds[folds == k] = part
        return {"log_odds": log_odds}

    return np.asarray(stages.arrays("outside", compute)["log_odds"], dtype=np.float64)
