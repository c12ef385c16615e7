"""The fraud network on many machines by Ray Train, resumable after a lost worker."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from jobs.framework.torch_training import TrainWorker, fit_module
from jobs.framework.training_files import LABEL, read_share
from jobs.framework.workers import Workers
from lib.fraud.model.inputs import Standardiser
from lib.fraud.model.network import Batches, fold, seeded_perceptron, train_network
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.settings import NetworkSettings
from lib.storage import Storage, read_parquet


def fit_networks_on_workers(
    files: Sequence[str],
    features: Sequence[str],
    standardiser: Standardiser,
    settings: NetworkSettings,
    seed: int,
    workers: Workers,
    storage: Storage,
) -> Networks:
    """Networks fitted for `settings.epochs` by workers that share each step.

    Args:
        files: addresses of Parquet files with the features, `label` and `weight`, at least one
            for each worker.
        features: feature columns, in the order of the model.
        standardiser: fitted on the same rows.
        settings: of the networks; the batch size is divided among the workers.
        seed: of the first network; the next ones count up from it.
        workers: who trains.
        storage: for checkpoints, reachable from all machines. A run that was cut off resumes
            from it.

    Raises:
        ValueError: fewer files than workers.
    """
    if len(files) < workers.count:
        raise ValueError(f"{len(files)} files for {workers.count} workers; write one for each")
    options = {
        "files": list(files),
        "features": list(features),
        "standardiser": _plain(standardiser),
        "settings": asdict(settings),
        "rows": sum(read_parquet(file, [LABEL]).num_rows for file in files),
    }
    members = []
    for number in range(seed, seed + settings.networks):
        model = seeded_perceptron(standardiser.width, settings, number)
        own = {**options, "seed": number}
        fit_module(model, _train_worker, own, workers, storage, f"network-{number}")
        members.append(fold(model))
    return Networks(standardiser, tuple(members))


def _plain(standardiser: Standardiser) -> dict[str, list[float]]:
    """A standardiser as lists, to travel with the configuration."""
    return {name: np.asarray(value).tolist() for name, value in vars(standardiser).items()}


def _restored(plain: Mapping[str, list[float]]) -> Standardiser:
    return Standardiser(
        np.array(plain["mean"], dtype=np.float32),
        np.array(plain["scale"], dtype=np.float32),
        np.array(plain["folded"], dtype=np.bool_),
        np.array(plain["indicators"], dtype=np.int64),
    )


def _train_worker(config: Mapping[str, Any]) -> None:
    """What each worker runs: its share of the files, gradients shared with the others."""
    worker = TrainWorker.current(config)
    settings = NetworkSettings(
        **{**config["settings"], "hidden": tuple(config["settings"]["hidden"])}
    )
    standardiser = _restored(config["standardiser"])
    steps = max(1, config["rows"] // worker.count // max(2, settings.batch_size // worker.count))
    rows = _own_rows(config, standardiser, worker, steps)
    raw = seeded_perceptron(standardiser.width, settings, config["seed"])
    epochs_done = worker.resume(raw)
    torch.manual_seed(config["seed"] + 1_000 * (worker.rank + 1))
    model = worker.prepare(raw, shares_statistics=False)
    train_network(
        model,
        rows,
        None,
        settings,
        seed=config["seed"] + 7_919 * worker.rank,
        first_epoch=epochs_done + 1,
        workers=worker.count,
        steps=steps,
        on_epoch=lambda epoch, _best: worker.report(
            model, epoch.number, {"epoch": epoch.number, "loss": epoch.loss}
        ),
    )


def _own_rows(
    config: Mapping[str, Any], standardiser: Standardiser, worker: TrainWorker, steps: int
) -> Batches:
    """This worker's rows, standardised, repeated to fill all the steps, on its device."""
    matrix, *others = read_share(config["files"], config["features"], worker.rank, worker.count)
    size = max(2, config["settings"]["batch_size"] // worker.count)
    indices = np.resize(np.arange(len(matrix)), max(len(matrix), steps * size))
    parts = [standardiser.apply(matrix), *others]
    return Batches(*(torch.from_numpy(part[indices]).to(worker.device) for part in parts))
