"""The hazard network on many workers by Ray Train; a lost worker is replaced."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
import torch.distributed
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from safetensors.torch import load, load_file, save, save_file
from torch import nn

from jobs.cluster.run_storage import run_location
from jobs.fraud.distributed_network import NetworkWorkers
from lib.storage import Storage, open_storage
from lib.survival import HazardNetwork, HazardSettings, TrainingBatches
from lib.survival.network import HazardModule
from lib.survival.training import HazardRows, train_hazards

_WEIGHTS = "model.safetensors"


def fit_hazards_on_workers(
    ready: TrainingBatches,
    settings: HazardSettings,
    seed: int,
    workers: NetworkWorkers,
    storage: Storage,
) -> HazardNetwork:
    """Members fitted one after another, each by workers that share every step.

    Args:
        ready: rows and what members share.
        settings: the batch size is divided among the workers.
        seed: of the first member; the next ones count up from it.
        workers: who trains.
        storage: for rows and checkpoints, reachable from all machines.
    """
    members = [
        _fit_member(ready, settings, seed + number, workers, storage)
        for number in range(settings.members)
    ]
    return ready.network(members, settings)


def _fit_member(
    ready: TrainingBatches,
    settings: HazardSettings,
    seed: int,
    workers: NetworkWorkers,
    storage: Storage,
) -> HazardModule:
    """One network by one Ray Train run."""
    train, held_out = ready.halves(settings.held_out, seed)
    module = ready.member(settings, seed)
    parts = {"train": train} | ({} if held_out is None else {"held": held_out})
    for name, rows in parts.items():
        tensors = {key: value.contiguous() for key, value in vars(rows).items()}
        storage.write(f"rows/{seed}-{name}.safetensors", save(tensors))
    storage.write(f"rows/{seed}-start.safetensors", save(module.state_dict()))
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={
            "rows": storage.address("rows"),
            "parts": list(parts),
            "settings": asdict(settings),
            "rates": ready.rates.tolist(),
            "seed": seed,
            "device": workers.device,
        },
        scaling_config=ScalingConfig(
            num_workers=(workers.least, workers.workers) if workers.least else workers.workers,
            use_gpu=workers.gpus_per_worker > 0,
            resources_per_worker=workers.resources,
        ),
        torch_config=TorchConfig(backend="nccl" if workers.device == "cuda" else "gloo"),
        run_config=RunConfig(
            name=f"hazards-{seed}",
            failure_config=FailureConfig(max_failures=workers.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            **run_location(storage, "ray-train"),
        ),
    )
    checkpoint = trainer.fit().checkpoint
    if checkpoint is None:
        raise RuntimeError("Ray Train ended without a checkpoint; see its log above")
    with checkpoint.as_directory() as folder:
        module.load_state_dict(load_file(Path(folder) / _WEIGHTS))
    return module


def _train_worker(config: Mapping[str, Any]) -> None:
    """What each worker runs: its share of the rows, gradients and the best epoch shared."""
    context = ray.train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    settings = HazardSettings(
        **{**config["settings"], "hidden": tuple(config["settings"]["hidden"])}
    )
    cuda = config["device"] == "cuda"
    device = ray.train.torch.get_device() if cuda else torch.device("cpu")
    folder, seed = open_storage(config["rows"]), config["seed"]
    train = _share(_rows(folder, seed, "train"), rank, workers, device)
    held_out = None
    if "held" in config["parts"]:
        held_out = _share(_rows(folder, seed, "held"), rank, workers, device)
    rates = torch.tensor(config["rates"], dtype=torch.float64).numpy()
    raw = HazardModule(train.inputs.shape[1], settings.hidden, settings.dropout, rates)
    raw.load_state_dict(load(folder.read(f"{seed}-start.safetensors") or b""))
    torch.manual_seed(seed + 1_000 * (rank + 1))
    model = ray.train.torch.prepare_model(raw, move_to_device=device)
    train_hazards(
        model,
        train,
        held_out,
        settings,
        seed=seed + 7_919 * rank,
        workers=workers,
        agree=lambda value: _mean(value, workers, device),
    )
    _hand_over(model, rank)


def _rows(folder: Storage, seed: int, name: str) -> HazardRows:
    return HazardRows(**load(folder.read(f"{seed}-{name}.safetensors") or b""))


def _share(rows: HazardRows, rank: int, workers: int, device: torch.device) -> HazardRows:
    """As many rows on each worker: every `workers`-th from its rank on, the last ones left out."""
    count = max(1, len(rows) // workers)
    own_rows = rows.take(((torch.arange(count) * workers) + rank) % len(rows))
    return HazardRows(**{name: value.to(device) for name, value in vars(own_rows).items()})


def _mean(value: float, workers: int, device: torch.device) -> float:
    if workers == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    return float(total) / workers


def _hand_over(model: nn.Module, rank: int) -> None:
    """The best weights, which all workers hold, from the first of them."""
    if rank != 0:
        ray.train.report({"finished": 1})
        return
    inner = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    with tempfile.TemporaryDirectory() as folder:
        state = {name: value.cpu().contiguous() for name, value in inner.state_dict().items()}
        save_file(state, Path(folder) / _WEIGHTS)
        ray.train.report({"finished": 1}, checkpoint=ray.train.Checkpoint.from_directory(folder))
