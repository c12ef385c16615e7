"""A torch module that workers of Ray Train fit together, resumable after a lost worker."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig
from ray.train.torch import TorchConfig, TorchTrainer
from safetensors.torch import load_file, save_file
from torch import nn

from jobs.cluster.run_storage import run_location
from jobs.framework.workers import Workers, read_reports_often
from lib.storage import Storage

_WEIGHTS = "model.safetensors"
_EPOCH = "epoch.json"


def train_on_workers(
    work: Callable[[Mapping[str, Any]], None],
    options: Mapping[str, Any],
    workers: Workers,
    storage: Storage,
    name: str,
) -> Checkpoint | None:
    """The last checkpoint of a run of Ray Train; one that was cut off resumes under its name.

    Args:
        work: what each worker runs; takes `options`, and begins with `TrainWorker.current`.
        options: plain values; the workers' device is added.
        workers: who trains.
        storage: for checkpoints, reachable from all machines.
        name: of the run.
    """
    read_reports_often()
    trainer = TorchTrainer(
        work,
        train_loop_config={**options, "device": workers.device},
        scaling_config=workers.scaling,
        torch_config=TorchConfig(backend="nccl" if workers.device == "cuda" else "gloo"),
        run_config=RunConfig(
            name=name,
            failure_config=FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            **run_location(storage, "ray-train"),
        ),
    )
    return trainer.fit().checkpoint


def fit_module(
    module: nn.Module,
    work: Callable[[Mapping[str, Any]], None],
    options: Mapping[str, Any],
    workers: Workers,
    storage: Storage,
    name: str,
) -> None:
    """Fill a module with the weights that workers report; see `train_on_workers`."""
    checkpoint = train_on_workers(work, options, workers, storage, name)
    if checkpoint is None:
        raise RuntimeError("Ray Train ended without a checkpoint; see its log above")
    _load(module, checkpoint)


@dataclass(frozen=True)
class TrainWorker:
    """A worker of Ray Train, from within.

    Attributes:
        rank: of this one, from 0.
        count: of all.
        device: on which it computes.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def current(cls, options: Mapping[str, Any]) -> TrainWorker:
        """This worker, of the options that `train_on_workers` gave it."""
        context = ray.train.get_context()
        # Ray Train names the GPU that a worker holds even where torch cannot use it
        cuda = options["device"] == "cuda"
        device = ray.train.torch.get_device() if cuda else torch.device("cpu")
        return cls(context.get_world_rank(), context.get_world_size(), device)

    def prepare(self, module: nn.Module, *, shares_statistics: bool = True) -> nn.Module:
        """The module on this worker's device, with gradients averaged over all workers.

        Args:
            module: of this worker.
            shares_statistics: what the first worker's layers remember of their inputs is sent to
                all before each step. Only a worker that asks the network between steps needs it:
                a step does not read it, and the first worker's are the ones that are kept.
        """
        options = {"forward_sync_buffers": shares_statistics, "gradient_as_bucket_view": True}
        prepared: nn.Module = ray.train.torch.prepare_model(
            module, move_to_device=self.device, parallel_strategy_kwargs=options
        )
        return prepared

    def resume(self, module: nn.Module) -> int:
        """Load the newest checkpoint, where there is one; the epochs that it was trained for."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return 0
        _load(module, checkpoint)
        with checkpoint.as_directory() as folder:
            return int(json.loads((Path(folder) / _EPOCH).read_text())["epoch"])

    def report(self, module: nn.Module, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Report an epoch to Ray Train; the first worker hands over the weights."""
        if self.rank != 0:
            ray.train.report(dict(metrics))
            return
        inner = module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module
        with tempfile.TemporaryDirectory() as folder:
            state = {name: value.cpu().contiguous() for name, value in inner.state_dict().items()}
            save_file(state, Path(folder) / _WEIGHTS)
            (Path(folder) / _EPOCH).write_text(json.dumps({"epoch": epoch}))
            ray.train.report(dict(metrics), checkpoint=Checkpoint.from_directory(folder))


def _load(module: nn.Module, checkpoint: Checkpoint) -> None:
    with checkpoint.as_directory() as folder:
        module.load_state_dict(load_file(Path(folder) / _WEIGHTS))
