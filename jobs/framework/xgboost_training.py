"""Boosted trees on many machines, behind one function with two implementations.

`xgboost_ray` is no longer maintained and works with xgboost 2.0 alone, so no other module imports
it, and only when it is used. The same function trains through Ray Train, with xgboost 2 and 3.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal

import numpy as np
import ray.train
import xgboost as xgb
from ray.train import CheckpointConfig, FailureConfig, RunConfig
from ray.train.xgboost import RayTrainReportCallback, XGBoostTrainer

from jobs.cluster.run_storage import run_location
from jobs.framework.training_files import LABEL, WEIGHT, read_share
from jobs.framework.workers import Workers, read_reports_often
from lib.storage import Storage, read_parquet

# trees between checkpoints, from which a lost actor's work resumes
_CHECKPOINT_FREQUENCY = 50
_NODE_SECONDS = 3_600
Backend = Literal["auto", "xgboost_ray", "ray_train"]
"""auto: xgboost-ray where the installed xgboost is one that it works with, else Ray Train"""
_XGBOOST_OF_XGBOOST_RAY = "2.0."


@dataclass(frozen=True)
class XGBoostData:
    """Parquet files with one float column for each feature, `label` (0 or 1) and `weight`.

    Args:
        train: addresses of the files to fit on, at least as many as actors.
        valid: files of later rows for early stopping; none grows all trees.
        features: feature columns, in the order of the model.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    features: tuple[str, ...]


def fit_boosted_trees(
    data: XGBoostData,
    parameters: Mapping[str, Any],
    trees: int,
    early_stopping: int,
    workers: Workers,
    *,
    backend: Backend = "auto",
    storage: Storage | None = None,
    name: str | None = None,
) -> bytes:
    """Booster as UBJ, cut back to its best tree when there are rows to judge by.

    Args:
        data: where the rows are.
        parameters: XGBoost's own parameters; device and threads are set by `workers`.
        trees: most trees.
        early_stopping: stop after so many trees without a better measure.
        workers: who trains.
        backend: which implementation.
        storage: where Ray Train keeps its checkpoints, reachable from all machines.
        name: of the run of Ray Train; one that was cut off resumes under its name.

    Raises:
        ValueError: fewer files than actors, or xgboost-ray is asked for beside an xgboost that it
            does not work with.
    """
    chosen = backend_of(backend, xgb.__version__)
    for split, files in (("training", data.train), ("validation", data.valid)):
        if len(files) < workers.count and (files or split == "training"):
            raise ValueError(
                f"{len(files)} {split} files for {workers.count} actors; "
                "write at least one file for each actor"
            )
    if not any(np.asarray(read_parquet(file, [LABEL])[LABEL]).any() for file in data.valid):
        data = replace(data, valid=())  # no fraud is among them: there is nothing to judge by
    settings = {**parameters, "device": workers.device, "nthread": workers.cpus}
    # xgboost_ray would go on without the rows of a lost actor: elastic fits are Ray Train's
    if chosen == "xgboost_ray" and not workers.least:
        booster = _with_xgboost_ray(data, settings, trees, early_stopping, workers)
    else:
        storage_options = {} if storage is None else run_location(storage, "ray-train")
        run = RunConfig(
            name=name,
            failure_config=FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            **storage_options,
        )
        booster = _with_ray_train(data, settings, trees, early_stopping, workers, run)
    best = booster.attr("best_iteration")  # noted by early stopping
    return bytes((booster if best is None else booster[: int(best) + 1]).save_raw("ubj"))


def backend_of(backend: Backend, version: str) -> Literal["xgboost_ray", "ray_train"]:
    """Who grows the trees, for the installed `version` of xgboost.

    Raises:
        ValueError: xgboost-ray does not work with that version.
    """
    works = version.startswith(_XGBOOST_OF_XGBOOST_RAY)
    if backend == "auto":
        return "xgboost_ray" if works else "ray_train"
    if backend == "xgboost_ray" and not works:
        raise ValueError(
            f"boosting: xgboost-ray works with xgboost {_XGBOOST_OF_XGBOOST_RAY}x, and xgboost "
            f"{version} is installed; choose ray_train, or install xgboost==2.0.3"
        )
    return backend


def _with_xgboost_ray(
    data: XGBoostData,
    settings: Mapping[str, Any],
    trees: int,
    early_stopping: int,
    workers: Workers,
) -> xgb.Booster:
    """Actors load their own files; a lost actor is replaced and resumes from a checkpoint."""
    import xgboost_ray

    # a node may take minutes to come: the job says what it waits for, and this does not give up
    os.environ.setdefault("RXGB_PLACEMENT_GROUP_TIMEOUT_S", str(_NODE_SECONDS))
    return xgboost_ray.train(
        dict(settings),
        _matrix(xgboost_ray, data.train, data.features),
        num_boost_round=trees,
        evals=[(_matrix(xgboost_ray, data.valid, data.features), "valid")] if data.valid else [],
        early_stopping_rounds=early_stopping if data.valid else None,
        verbose_eval=False,
        ray_params=xgboost_ray.RayParams(
            num_actors=workers.count,
            cpus_per_actor=workers.cpus,
            gpus_per_actor=workers.gpus,
            checkpoint_frequency=_CHECKPOINT_FREQUENCY,
            max_actor_restarts=workers.max_failures,
        ),
    )


def _matrix(xgboost_ray: ModuleType, files: Sequence[str], features: Sequence[str]) -> Any:
    """Files that each actor reads its share of."""
    return xgboost_ray.RayDMatrix(
        list(files),
        label=LABEL,
        weight=WEIGHT,
        columns=[*features, LABEL, WEIGHT],
        filetype=xgboost_ray.RayFileType.PARQUET,
    )


def _with_ray_train(
    data: XGBoostData,
    settings: Mapping[str, Any],
    trees: int,
    early_stopping: int,
    workers: Workers,
    run: RunConfig,
) -> xgb.Booster:
    """Ray Train's workers, each with its share of the files."""
    read_reports_often()
    trainer = XGBoostTrainer(
        _train_shard,
        train_loop_config={
            "settings": dict(settings),
            "train": list(data.train),
            "valid": list(data.valid),
            "features": list(data.features),
            "trees": trees,
            "early_stopping": early_stopping,
            "checkpoint_frequency": _CHECKPOINT_FREQUENCY,
        },
        scaling_config=workers.scaling,
        run_config=run,
    )
    checkpoint = trainer.fit().checkpoint
    if checkpoint is None:
        raise RuntimeError("Ray Train ended without a checkpoint; see its log above")
    return RayTrainReportCallback.get_model(checkpoint)


class _CheckpointCallback(RayTrainReportCallback):
    """Reports a round only together with a checkpoint.

    A worker waits until its last report is read, which would take longer than growing a tree.
    """

    def _report_metrics(self, report_dict: dict[str, Any]) -> None:
        """Does nothing."""


def _train_shard(config: Mapping[str, Any]) -> None:
    """What each Ray Train worker runs: fit together on its own shard."""
    train = _share(config["train"], config["features"])
    valid = _share(config["valid"], config["features"]) if config["valid"] else None
    checkpoint = ray.train.get_checkpoint()
    started = RayTrainReportCallback.get_model(checkpoint) if checkpoint else None
    done = started.num_boosted_rounds() if started else 0
    xgb.train(
        config["settings"],
        train,
        num_boost_round=max(config["trees"] - done, 0),
        evals=[(valid, "valid")] if valid else [],
        early_stopping_rounds=config["early_stopping"] if valid else None,
        verbose_eval=False,
        xgb_model=started,
        callbacks=[_CheckpointCallback(frequency=config["checkpoint_frequency"])],
    )


def _share(files: Sequence[str], features: Sequence[str]) -> xgb.DMatrix:
    """This worker's rows: every n-th file."""
    context = ray.train.get_context()
    matrix, label, weight = read_share(
        files, features, context.get_world_rank(), context.get_world_size()
    )
    return xgb.DMatrix(matrix, label, weight=weight)
