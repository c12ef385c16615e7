"""Fitting the folds and the final halves, in this process or spread over Ray."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from tqdm import tqdm

from jobs.boosting import BoostingData, Workers, fit_boosted_trees
from jobs.fraud.stages import Arrays, Stages
from jobs.fraud.training_config import TrainConfig
from jobs.network import NetworkWorkers, fit_networks_on_workers
from lib.fraud.model.dense import Networks
from lib.fraud.model.fitting import (
    FoldData,
    FoldScores,
    Machine,
    ModelSettings,
    fit_fold,
    fit_halves,
)
from lib.fraud.model.inputs import fit_standardiser
from lib.fraud.model.sample import Sample, kept_rows, refuse_one_class
from lib.fraud.model.trees import BoostedTrees, booster_parameters


def gpus_per_worker(config: TrainConfig) -> float:
    """GPUs of each worker: as asked, or one where the cluster has enough."""
    if config.gpus_per_worker >= 0:
        return config.gpus_per_worker
    if config.engine == "process":
        return 0.0
    return 1.0 if ray.cluster_resources().get("GPU", 0) >= config.workers else 0.0


def fold_scores(
    folds: Sequence[FoldData], settings: ModelSettings, config: TrainConfig, stages: Stages
) -> list[FoldScores]:
    """Out-of-fold scores; folds that are finished are read, the others run side by side on Ray."""
    names = [f"fold-{place}" for place in range(len(folds))]
    for fold in folds:
        refuse_one_class(fold.train.labels)
    missing = [place for place, name in enumerate(names) if not stages.has_arrays(name)]
    fitted = (_on_ray if config.engine == "ray" else _here)(missing, folds, settings, config)
    for place, scores in tqdm(fitted, desc="folds", total=len(missing), disable=not missing):
        stages.arrays(names[place], partial(_fold_arrays, scores))
    return [_read_fold(stages.arrays(name, dict)) for name in names]


def _here(
    missing: Sequence[int],
    folds: Sequence[FoldData],
    settings: ModelSettings,
    config: TrainConfig,
) -> Iterator[tuple[int, FoldScores]]:
    machine = Machine("cuda" if gpus_per_worker(config) > 0 else "cpu", config.threads)
    for place in missing:
        yield place, fit_fold(folds[place], settings, config.seed + place, machine)


def _on_ray(
    missing: Sequence[int],
    folds: Sequence[FoldData],
    settings: ModelSettings,
    config: TrainConfig,
) -> Iterator[tuple[int, FoldScores]]:
    """One Ray task for each fold, all at once; answers come as they end."""
    gpus = gpus_per_worker(config)
    task = ray.remote(num_cpus=config.cpus_per_worker, num_gpus=gpus, max_retries=2)(fit_fold)
    machine = Machine("cuda" if gpus > 0 else "cpu", config.cpus_per_worker)
    waiting = {
        task.remote(folds[place], settings, config.seed + place, machine): place
        for place in missing
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


def final_halves(
    train: Sample,
    names: Sequence[str],
    settings: ModelSettings,
    config: TrainConfig,
    stages: Stages,
) -> tuple[BoostedTrees, Networks]:
    """Both halves fitted on all training rows; each is kept as soon as it is finished."""
    refuse_one_class(train.labels)
    if config.engine == "process":
        return _halves_here(train, settings, config, stages)
    files = _write_shards(train, names, config.workers, stages.folder / "rows")
    boosters = [
        stages.bytes(
            f"trees-{number}.ubj",
            lambda seed=settings.seed + number: _booster(
                train, names, settings, config, stages, files, seed
            ),
        )
        for number in range(settings.trees.boosters)
    ]
    networks = stages.arrays(
        "network",
        lambda: fit_networks_on_workers(
            files,
            names,
            fit_standardiser(train.matrix),
            settings.network,
            settings.seed,
            NetworkWorkers(config.workers, config.cpus_per_worker, gpus_per_worker(config) > 0),
            stages.folder / "ray-train",
        ).to_arrays(),
    )
    return BoostedTrees.from_bytes(boosters, config.threads), Networks.from_arrays(networks)


def _halves_here(
    train: Sample, settings: ModelSettings, config: TrainConfig, stages: Stages
) -> tuple[BoostedTrees, Networks]:
    """Both halves in this process."""
    machine = Machine("cuda" if gpus_per_worker(config) > 0 else "cpu", config.threads)
    if not stages.has_arrays("network"):
        trees, networks = fit_halves(train, settings, machine)
        for number, content in enumerate(trees.to_bytes()):
            stages.bytes(f"trees-{number}.ubj", lambda kept=content: kept)
        stages.arrays("network", networks.to_arrays)
    boosters = [
        (stages.folder / f"trees-{number}.ubj").read_bytes()
        for number in range(settings.trees.boosters)
    ]
    arrays = stages.arrays("network", dict)
    return BoostedTrees.from_bytes(boosters, config.threads), Networks.from_arrays(arrays)


def _booster(
    train: Sample,
    names: Sequence[str],
    settings: ModelSettings,
    config: TrainConfig,
    stages: Stages,
    files: tuple[Path, ...],
    seed: int,
) -> bytes:
    """One booster over Ray; a bag draws its own good payments for each."""
    if settings.trees.negative_share < 1.0:
        kept = kept_rows(train.labels, settings.trees.negative_share, seed)
        files = _write_shards(
            train.rows(kept), names, config.workers, stages.folder / f"rows-{seed}"
        )
    return fit_boosted_trees(
        BoostingData(files, (), tuple(names)),
        booster_parameters(settings.trees, seed),
        settings.trees.trees,
        settings.trees.early_stopping,
        Workers(config.workers, config.cpus_per_worker, gpus_per_worker(config)),
        backend=config.boosting,
        storage=stages.folder / "ray-train",
    )


def _write_shards(
    train: Sample, names: Sequence[str], count: int, folder: Path
) -> tuple[Path, ...]:
    """Training rows as `count` Parquet files, every count-th row to each."""
    folder.mkdir(exist_ok=True)
    paths = []
    for place in range(count):
        rows = train.rows(slice(place, None, count))
        columns = {name: rows.matrix[:, at] for at, name in enumerate(names)}
        columns["label"] = rows.labels.astype(np.float32)
        columns["weight"] = rows.weights.astype(np.float32)
        path = folder / f"{place:04d}.parquet"
        draft = path.with_suffix(".tmp")
        pq.write_table(pa.table(columns), draft)
        draft.replace(path)
        paths.append(path)
    return tuple(paths)
