"""Fitting the folds and the final halves, in this process or spread over Ray."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np

from jobs.cluster.admission import Request, await_workers, with_gpus
from jobs.cluster.gpu import devices_here
from jobs.framework.step_cache import Arrays, StepCache
from jobs.framework.training_files import write_training_files
from jobs.framework.workers import Workers, run_calls
from jobs.framework.xgboost_training import XGBoostData, fit_boosted_trees
from jobs.fraud.distributed_network import fit_networks_on_workers
from jobs.fraud.training_config import TrainConfig
from lib.fraud.model.fitting import Compute, FoldData, FoldScores, fit_fold, fit_halves
from lib.fraud.model.inputs import fit_standardiser
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.sample import Sample, kept_rows, refuse_one_class
from lib.fraud.model.settings import ModelSettings
from lib.fraud.model.trees import BoostedTrees, booster_parameters


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
    if missing:
        compute, request = _fold_compute(config)
        calls = {k: (folds[k], settings, config.seed + k, compute) for k in missing}
        for index, scores in run_calls(fit_fold, calls, "folds", request):
            stages.arrays(names[index], partial(_fold_arrays, scores))
    return [_read_fold(stages.arrays(name, dict)) for name in names]


def _fold_compute(config: TrainConfig) -> tuple[Compute, Request | None]:
    """What the fit of a fold uses, and on Ray what it asks for."""
    if config.engine == "process":
        return local_compute(config), None
    request = with_gpus(config.request)
    # one is enough to begin with: folds do not wait for each other
    placement = await_workers(replace(request, workers=1, least=0))
    return Compute(placement.devices.both, request.cpus), request


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
    devices = await_workers(request).devices
    files = _write_files(train, names, request.workers, stages, "rows")
    for number, name in enumerate(_booster_names(settings)):
        stages.bytes(
            name,
            partial(
                _booster, train, names, settings, config, stages, settings.seed + number, files,
                Workers.of(request, devices.trees),
            ),
        )  # fmt: skip
    stages.arrays(
        "network",
        lambda: fit_networks_on_workers(
            files,
            names,
            fit_standardiser(train.matrix),
            settings.network,
            settings.seed,
            Workers.of(request, devices.network),
            stages.storage,
        ).to_arrays(),
    )


def _booster(
    train: Sample,
    names: Sequence[str],
    settings: ModelSettings,
    config: TrainConfig,
    stages: StepCache,
    seed: int,
    files: tuple[str, ...],
    workers: Workers,
) -> bytes:
    """One booster over Ray, of all rows, or with a bag those of its own draw of good payments."""
    share = settings.trees.negative_share
    if share < 1.0:
        bag = train.rows(kept_rows(train.labels, share, seed))
        files = _write_files(bag, names, workers.count, stages, f"rows-{seed}")
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


def _write_files(
    train: Sample, names: Sequence[str], count: int, stages: StepCache, folder: str
) -> tuple[str, ...]:
    return write_training_files(
        train.matrix, train.labels, train.weights, names, count, stages.storage, folder
    )
