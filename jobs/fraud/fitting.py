"""Fitting the folds and the final halves, in this process or spread over Ray."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pyarrow as pa
import ray

from jobs.cluster.admission import Placement, Request, await_workers, with_gpus
from jobs.cluster.gpu import devices_here
from jobs.framework.progress import progress
from jobs.framework.step_cache import Arrays, StepCache
from jobs.framework.xgboost_training import WorkerResources, XGBoostData, fit_boosted_trees
from jobs.fraud.distributed_network import NetworkWorkers, fit_networks_on_workers
from jobs.fraud.training_config import TrainConfig
from lib.fraud.model.fitting import Compute, FoldData, FoldScores, fit_fold, fit_halves
from lib.fraud.model.inputs import fit_standardiser
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.sample import Sample, kept_rows, refuse_one_class
from lib.fraud.model.settings import ModelSettings
from lib.fraud.model.trees import BoostedTrees, booster_parameters
from lib.storage import write_parquet

_RETRIES = 3


def local_compute(config: TrainConfig) -> Compute:
    """What a fit in this process uses: a GPU where one is asked for and CUDA works."""
    device = devices_here().both if config.gpus_per_worker > 0 else "cpu"
    if config.gpus_per_worker > 0 and device == "cpu":
        print("no CUDA for both XGBoost and torch here: training on the cores instead")
    return Compute(device, config.threads)


def fit_folds(
    folds: Sequence[FoldData], settings: ModelSettings, config: TrainConfig, stages: StepCache
) -> list[FoldScores]:
    """Out-of-fold scores; folds that are finished are read, the others run side by side on Ray."""
    names = [f"fold-{number}" for number in range(len(folds))]
    for fold in folds:
        refuse_one_class(fold.train.labels)
    missing = [number for number, name in enumerate(names) if not stages.has_arrays(name)]
    fitted = (_on_ray if config.engine == "ray" else _in_process)(missing, folds, settings, config)
    with progress(len(missing), "fitted", "folds") as done:
        for index, scores in fitted:
            stages.arrays(names[index], partial(_fold_arrays, scores))
            done(1)
    return [_read_fold(stages.arrays(name, dict)) for name in names]


def _in_process(
    missing: Sequence[int],
    folds: Sequence[FoldData],
    settings: ModelSettings,
    config: TrainConfig,
) -> Iterator[tuple[int, FoldScores]]:
    machine = local_compute(config)
    for index in missing:
        yield index, fit_fold(folds[index], settings, config.seed + index, machine)


def _on_ray(
    missing: Sequence[int],
    folds: Sequence[FoldData],
    settings: ModelSettings,
    config: TrainConfig,
) -> Iterator[tuple[int, FoldScores]]:
    """One Ray task for each fold, all at once; answers come as they end."""
    if not missing:
        return
    request = with_gpus(config.request)
    # one is enough to begin with: folds do not wait for each other
    placement = await_workers(replace(request, workers=1, least=0))
    task = ray.remote(num_cpus=request.cpus, num_gpus=request.gpus, max_retries=_RETRIES)(fit_fold)
    machine = Compute(placement.devices.both, request.cpus)
    waiting = {
        task.remote(folds[index], settings, config.seed + index, machine): index
        for index in missing
    }
    while waiting:
        (ready, *_), _rest = ray.wait(list(waiting))
        yield waiting.pop(ready), ray.get(ready)


def _fold_arrays(scores: FoldScores) -> Arrays:
    return {name: np.atleast_1d(np.asarray(value)) for name, value in asdict(scores).items()}


def _read_fold(arrays: Arrays) -> FoldScores:
    return FoldScores(
        arrays["trees"], arrays["network"], int(arrays["rounds"][0]), int(arrays["epochs"][0])
    )


def fit_final(
    train: Sample,
    names: Sequence[str],
    settings: ModelSettings,
    config: TrainConfig,
    stages: StepCache,
) -> tuple[BoostedTrees, Networks]:
    """Both halves fitted on all training rows; each is kept as soon as it is finished."""
    refuse_one_class(train.labels)
    if not _finished(settings, stages):
        fit = _fit_here if config.engine == "process" else _fit_on_ray
        fit(train, names, settings, config, stages)
    boosters = [stages.bytes(name, bytes) for name in _booster_names(settings)]
    networks = Networks.from_arrays(stages.arrays("network", dict))
    return BoostedTrees.from_bytes(boosters, len(names), config.threads), networks


def _booster_names(settings: ModelSettings) -> list[str]:
    return [f"trees-{number}.ubj" for number in range(settings.trees.boosters)]


def _finished(settings: ModelSettings, stages: StepCache) -> bool:
    return stages.has_arrays("network") and all(map(stages.has, _booster_names(settings)))


def _fit_here(
    train: Sample,
    _names: Sequence[str],
    settings: ModelSettings,
    config: TrainConfig,
    stages: StepCache,
) -> None:
    """Both halves in this process."""
    trees, networks = fit_halves(train, settings, local_compute(config))
    for name, content in zip(_booster_names(settings), trees.to_bytes(), strict=True):
        stages.bytes(name, partial(bytes, content))
    stages.arrays("network", networks.to_arrays)


def _fit_on_ray(
    train: Sample,
    names: Sequence[str],
    settings: ModelSettings,
    config: TrainConfig,
    stages: StepCache,
) -> None:
    """What is missing of both halves, by workers."""
    request = with_gpus(config.request)
    placement = await_workers(request)
    files = _write_shards(train, names, request.workers, stages, "rows")
    for number, name in enumerate(_booster_names(settings)):
        seed = settings.seed + number
        rows = partial(_bagged_shards, train, names, settings, request, stages, files, seed)
        stages.bytes(
            name,
            lambda rows=rows, seed=seed: _booster(
                rows(), names, settings, config, stages, seed, request, placement
            ),
        )
    workers = NetworkWorkers(
        request.workers,
        request.least if request.elastic else 0,
        request.cpus,
        request.gpus,
        placement.devices.network,
    )
    stages.arrays(
        "network",
        lambda: fit_networks_on_workers(
            files,
            names,
            fit_standardiser(train.matrix),
            settings.network,
            settings.seed,
            workers,
            stages.storage,
        ).to_arrays(),
    )


def _booster(
    files: tuple[str, ...],
    names: Sequence[str],
    settings: ModelSettings,
    config: TrainConfig,
    stages: StepCache,
    seed: int,
    request: Request,
    placement: Placement,
) -> bytes:
    """One booster over Ray."""
    workers = WorkerResources(
        request.workers,
        request.least if request.elastic else 0,
        request.cpus,
        request.gpus,
        placement.devices.trees,
    )
    return fit_boosted_trees(
        XGBoostData(files, (), tuple(names)),
        booster_parameters(settings.trees, seed),
        settings.trees.trees,
        settings.trees.early_stopping,
        workers,
        backend=config.boosting,
        storage=stages.storage,
        name=f"trees-{seed}",
    )


def _bagged_shards(
    train: Sample,
    names: Sequence[str],
    settings: ModelSettings,
    request: Request,
    stages: StepCache,
    files: tuple[str, ...],
    seed: int,
) -> tuple[str, ...]:
    """All rows, or with a bag those of its own draw of good payments."""
    if settings.trees.negative_share >= 1.0:
        return files
    kept = kept_rows(train.labels, settings.trees.negative_share, seed)
    return _write_shards(train.rows(kept), names, request.workers, stages, f"rows-{seed}")


def _write_shards(
    train: Sample, names: Sequence[str], count: int, stages: StepCache, folder: str
) -> tuple[str, ...]:
    """Training rows as `count` Parquet files, every count-th row to each; their addresses."""
    addresses = []
    for index in range(count):
        rows = train.rows(slice(index, None, count))
        columns = {name: rows.matrix[:, at] for at, name in enumerate(names)}
        columns["label"] = rows.labels.astype(np.float32)
        columns["weight"] = rows.weights.astype(np.float32)
        path = f"{folder}/{index:04d}.parquet"
        addresses.append(write_parquet(pa.table(columns), stages.storage, path))
    return tuple(addresses)
