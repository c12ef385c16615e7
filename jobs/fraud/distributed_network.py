"""The fraud network on many machines by Ray Train, resumable after a lost worker."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray.train
import ray.train.torch
import torch
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from safetensors.torch import load_file, save_file
from torch import nn

from jobs.cluster.run_storage import run_location
from lib.fraud.model.inputs import Matrix, Standardiser
from lib.fraud.model.network import Batches, Epoch, fold, seeded_perceptron, train_network
from lib.fraud.model.numpy_mlp import DenseNetwork, Networks
from lib.fraud.model.settings import NetworkSettings
from lib.storage import Storage, read_parquet

LABEL = "label"
WEIGHT = "weight"


@dataclass(frozen=True)
class NetworkWorkers:
    """Who trains.

    Args:
        workers: processes that share each step.
        least: fewest with which training goes on while nodes are missing; 0 keeps the number.
        cpus_per_worker: cores of each.
        gpus_per_worker: GPUs that each holds.
        device: `cuda`, or `cpu` also where GPUs are held that this build cannot use.
        max_failures: lost workers that are replaced before training fails.
    """

    workers: int = 2
    least: int = 0
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    device: str = "cpu"
    max_failures: int = 3

    @property
    def resources(self) -> dict[str, float]:
        """What one worker holds."""
        gpus = {"GPU": self.gpus_per_worker} if self.gpus_per_worker > 0 else {}
        return {"CPU": self.cpus_per_worker} | gpus


def fit_networks_on_workers(
    files: Sequence[str],
    features: Sequence[str],
    standardiser: Standardiser,
    settings: NetworkSettings,
    seed: int,
    workers: NetworkWorkers,
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
    if len(files) < workers.workers:
        raise ValueError(f"{len(files)} files for {workers.workers} workers; write one for each")
    members = [
        _fit_one(files, features, standardiser, settings, seed + number, workers, storage)
        for number in range(settings.networks)
    ]
    return Networks(standardiser, tuple(members))


def _fit_one(
    files: Sequence[str],
    features: Sequence[str],
    standardiser: Standardiser,
    settings: NetworkSettings,
    seed: int,
    workers: NetworkWorkers,
    storage: Storage,
) -> DenseNetwork:
    """One network by one Ray Train run."""
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={
            "files": list(files),
            "features": list(features),
            "standardiser": _plain(standardiser),
            "settings": asdict(settings),
            "seed": seed,
            "rows": sum(read_parquet(file, [LABEL]).num_rows for file in files),
            "device": workers.device,
        },
        scaling_config=ScalingConfig(
            num_workers=(workers.least, workers.workers) if workers.least else workers.workers,
            use_gpu=workers.gpus_per_worker > 0,
            resources_per_worker=workers.resources,
        ),
        torch_config=TorchConfig(backend="nccl" if workers.device == "cuda" else "gloo"),
        run_config=RunConfig(
            name=f"network-{seed}",
            failure_config=FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            **run_location(storage, "ray-train"),
        ),
    )
    checkpoint = trainer.fit().checkpoint
    if checkpoint is None:
        raise RuntimeError("Ray Train ended without a checkpoint; see its log above")
    model = seeded_perceptron(standardiser.width, settings, seed)
    with checkpoint.as_directory() as folder:
        model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return fold(model)


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
    context = ray.train.get_context()
    settings = NetworkSettings(
        **{**config["settings"], "hidden": tuple(config["settings"]["hidden"])}
    )
    # Ray Train names the GPU that a worker holds even where torch cannot use it
    cuda = config["device"] == "cuda"
    device = ray.train.torch.get_device() if cuda else torch.device("cpu")
    standardiser = _restored(config["standardiser"])
    workers = context.get_world_size()
    steps = max(1, config["rows"] // workers // max(2, settings.batch_size // workers))
    rows = _my_rows(config, standardiser, context.get_world_rank(), workers, steps)
    raw = seeded_perceptron(standardiser.width, settings, config["seed"])
    done = _resume(raw)
    torch.manual_seed(config["seed"] + 1_000 * (context.get_world_rank() + 1))
    model = ray.train.torch.prepare_model(raw, move_to_device=device)
    train_network(
        model,
        Batches(*(part.to(device) for part in (rows.inputs, rows.labels, rows.weights))),
        None,
        settings,
        seed=config["seed"] + 7_919 * context.get_world_rank(),
        first_epoch=done + 1,
        workers=workers,
        steps=steps,
        on_epoch=lambda epoch, _best: _report(model, epoch, context.get_world_rank()),
    )


def _my_rows(
    config: Mapping[str, Any], standardiser: Standardiser, rank: int, workers: int, steps: int
) -> Batches:
    """Every `workers`-th file from `rank` on, standardised, repeated to fill all the steps."""
    tables = [read_parquet(file) for file in config["files"][rank::workers]]
    matrix: Matrix = np.concatenate([_columns(table, config["features"]) for table in tables])
    labels = np.concatenate([np.asarray(table[LABEL], dtype=np.float32) for table in tables])
    weights = np.concatenate([np.asarray(table[WEIGHT], dtype=np.float32) for table in tables])
    size = max(2, config["settings"]["batch_size"] // workers)
    indices = np.resize(np.arange(len(labels)), max(len(labels), steps * size))
    inputs = standardiser.apply(matrix)[indices]
    return Batches(
        torch.from_numpy(inputs),
        torch.from_numpy(labels[indices]),
        torch.from_numpy(weights[indices]),
    )


def _columns(table: Any, features: Sequence[str]) -> npt.NDArray[np.float32]:
    return np.column_stack([np.asarray(table[name], dtype=np.float32) for name in features])


def _resume(model: nn.Module) -> int:
    """Load the newest checkpoint, where there is one; the epochs it has seen."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        model.load_state_dict(load_file(Path(folder) / "model.safetensors"))
        return int(json.loads((Path(folder) / "epoch.json").read_text())["epoch"])


def _report(model: nn.Module, epoch: Epoch, rank: int) -> None:
    """Tell Ray Train of an epoch; the first worker hands over the weights."""
    metrics = {"epoch": epoch.number, "loss": epoch.loss}
    if rank != 0:
        ray.train.report(metrics)
        return
    inner = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    with tempfile.TemporaryDirectory() as folder:
        state = {name: value.cpu().contiguous() for name, value in inner.state_dict().items()}
        save_file(state, Path(folder) / "model.safetensors")
        (Path(folder) / "epoch.json").write_text(json.dumps({"epoch": epoch.number}))
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))
