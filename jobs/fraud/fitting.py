"""Fitting the folds and the final halves, in this process or spread over Ray."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from jobs.cluster.admission import Request, await_workers, with_gpus
from jobs.cluster.gpu import devices_here
from jobs.framework.step_cache import Arrays, StepCache
from jobs.framework.training_files import write_training_files
from jobs.framework.workers import Workers, run_calls, shared
from jobs.framework.xgboost_training import XGBoostData, fit_boosted_trees
from jobs.fraud.distributed_network import fit_networks_on_workers
from jobs.fraud.training_config import TrainConfig
from lib.boosting.boosted_trees import BoostedTrees
from lib.fraud.model.fitting import (
    Compute,
    FoldScores,
    HalfScores,
    fit_fold_network,
    fit_fold_trees,
    fit_halves,
)
from lib.fraud.model.inputs import fit_standardiser
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.sample import Sample, kept_rows, refuse_one_class
from lib.fraud.model.settings import ModelSettings
from lib.fraud.model.time_split import Fold
from lib.fraud.model.trees import booster_parameters

Step = tuple[Any, ...]
"""A function and its arguments."""
_HALVES: dict[str, Callable[..., HalfScores]] = {
    "trees": fit_fold_trees,
    "network": fit_fold_network,
}


def local_compute(config: TrainConfig) -> Compute:
    """What a fit in this process uses: a GPU where one is asked for and CUDA works."""
    device = devices_here().both if config.gpus_per_worker > 0 else "cpu"
    if config.gpus_per_worker > 0 and device == "cpu":
        print("no CUDA for both XGBoost and torch here: training on the cores instead")
    return Compute(device, config.threads)


def fit_folds(
    folds: Sequence[Fold[Sample]],
    settings: ModelSettings,
    config: TrainConfig,
    stages: StepCache,
    beside: Mapping[str, Callable[[], Step]] | None = None,
) -> list[FoldScores]:
    """Out-of-fold scores; what is finished is read, the rest runs side by side on Ray.

    Both halves of a fold are calls of their own, and the largest begin first, so that no core waits
    for another one's fold.

    Args:
        folds: rows to learn from, to stop by and to score.
        settings: of the model.
        config: of the job.
        stages: where finished calls are kept.
        beside: makes other calls that wait for no fold, by the name of what they give; they go
            first, as baselines take longer than a half of a fold.
    """
    for fold in folds:
        refuse_one_class(fold.train.labels)
    others = {name: make for name, make in (beside or {}).items() if not stages.has_arrays(name)}
    missing = _missing_halves(folds, stages)
    if others or missing:
        compute, request = _fold_compute(config)
        calls = {name: make() for name, make in others.items()}
        for k, halves in missing.items():
            arguments = (shared(folds[k], request), settings, config.seed + k, compute)
            calls |= {_half_name(k, half): (_HALVES[half], *arguments) for half in halves}
        for name, arrays in run_calls(_arrays_of, calls, "fits", request):
            stages.arrays(name, partial(dict, arrays))
    return [_fold_scores(stages, k) for k in range(len(folds))]


def _half_name(k: int, half: str) -> str:
    return f"fold-{k}-{half}"


def _missing_halves(folds: Sequence[Fold[Sample]], stages: StepCache) -> dict[int, list[str]]:
    """The halves of each fold that are not finished; the fold of most rows first."""
    halves = {
        k: [half for half in _HALVES if not stages.has_arrays(_half_name(k, half))]
        for k in sorted(range(len(folds)), key=lambda k: len(folds[k].train), reverse=True)
    }
    return {k: missing for k, missing in halves.items() if missing}


def _arrays_of(call: Callable[..., Arrays | HalfScores], *arguments: Any) -> Arrays:
    answer = call(*arguments)
    if isinstance(answer, HalfScores):
        return {"log_odds": answer.log_odds, "learnt": np.array([answer.learnt])}
    return answer


def _fold_scores(stages: StepCache, k: int) -> FoldScores:
    trees, network = (stages.arrays(_half_name(k, half), dict) for half in _HALVES)
    lengths = (int(half["learnt"][0]) for half in (trees, network))
    return FoldScores(trees["log_odds"], network["log_odds"], *lengths)


def _fold_compute(config: TrainConfig) -> tuple[Compute, Request | None]:
    """What the fit of a fold uses, and on Ray what it asks for."""
    if config.engine == "process":
        return local_compute(config), None
    request = with_gpus(config.request)
    # one is enough to begin with: folds do not wait for each other
    placement = await_workers(replace(request, workers=1, least=0))
    return Compute(placement.devices.both, request.cpus), request


@dataclass(frozen=True)
class FinalFit:
    """Both halves fitted on all training rows; each is kept as soon as it is finished.

    Args:
        train: the rows.
        names: of the features.
        settings: of the model; how long it learns is settled.
        config: of the job.
        stages: where finished halves are kept.
    """

    train: Sample
    names: Sequence[str]
    settings: ModelSettings
    config: TrainConfig
    stages: StepCache

    def halves(self) -> tuple[BoostedTrees, Networks]:
        """Fit what is missing, in this process or by workers."""
        refuse_one_class(self.train.labels)
        stages = self.stages
        if not (stages.has_arrays("network") and all(map(stages.has, self._boosters))):
            fit = self._fit_here if self.config.engine == "process" else self._fit_on_ray
            fit()
        boosters = [stages.bytes(name, bytes) for name in self._boosters]
        networks = Networks.from_arrays(stages.arrays("network", dict))
        return BoostedTrees.from_bytes(boosters, len(self.names), self.config.threads), networks

    @property
    def _boosters(self) -> list[str]:
        return [f"trees-{number}.ubj" for number in range(self.settings.trees.boosters)]

    def _fit_here(self) -> None:
        trees, networks = fit_halves(self.train, self.settings, local_compute(self.config))
        for name, content in zip(self._boosters, trees.to_bytes(), strict=True):
            self.stages.bytes(name, partial(bytes, content))
        self.stages.arrays("network", networks.to_arrays)

    def _fit_on_ray(self) -> None:
        request = with_gpus(self.config.request)
        devices = await_workers(request).devices
        files = self._write_files(self.train, request.workers, "rows")
        workers = Workers.of(request, devices.trees)
        for seed, name in enumerate(self._boosters, self.settings.seed):
            self.stages.bytes(name, partial(self._booster, seed, files, workers))
        self.stages.arrays(
            "network",
            lambda: fit_networks_on_workers(
                files,
                self.names,
                fit_standardiser(self.train.matrix),
                self.settings.network,
                self.settings.seed,
                Workers.of(request, devices.network),
                self.stages.storage,
            ).to_arrays(),
        )

    def _booster(self, seed: int, files: tuple[str, ...], workers: Workers) -> bytes:
        """One booster by workers, of all rows, or of a bag with its own draw of good payments."""
        train, trees = self.train, self.settings.trees
        if trees.negative_share < 1.0:
            bag = train.rows(kept_rows(train.labels, trees.negative_share, seed))
            files = self._write_files(bag, workers.count, f"rows-{seed}")
        return fit_boosted_trees(
            XGBoostData(files, (), tuple(self.names)),
            booster_parameters(trees, seed),
            trees.trees,
            trees.early_stopping,
            workers,
            backend=self.config.boosting,
            storage=self.stages.storage,
            name=f"trees-{seed}",
        )

    def _write_files(self, rows: Sample, count: int, folder: str) -> tuple[str, ...]:
        storage = self.stages.storage
        return write_training_files(
            rows.matrix, rows.labels, rows.weights, self.names, count, storage, folder
        )
