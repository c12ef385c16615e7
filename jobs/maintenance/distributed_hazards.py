"""The hazard network on many workers by Ray Train; a lost worker is replaced."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
import torch.distributed
from safetensors.torch import load, save

from jobs.framework.torch_training import TrainWorker, fit_module
from jobs.framework.workers import Workers
from lib.storage import Storage, open_storage
from lib.survival.network import HazardModule, HazardNetwork
from lib.survival.settings import HazardSettings
from lib.survival.training import HazardRows, TrainingBatches, train_hazards


def fit_hazards_on_workers(
    ready: TrainingBatches,
    settings: HazardSettings,
    seed: int,
    workers: Workers,
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
    workers: Workers,
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
    options = {
        "rows": storage.address("rows"),
        "parts": list(parts),
        "settings": asdict(settings),
        "rates": ready.rates.tolist(),
        "seed": seed,
    }
    fit_module(module, _train_worker, options, workers, storage, f"hazards-{seed}")
    return module


def _train_worker(config: Mapping[str, Any]) -> None:
    """What each worker runs: its share of the rows, gradients and the best epoch shared."""
    worker = TrainWorker.current(config)
    settings = HazardSettings(
        **{**config["settings"], "hidden": tuple(config["settings"]["hidden"])}
    )
    folder, seed = open_storage(config["rows"]), config["seed"]
    train = _share(_rows(folder, seed, "train"), worker)
    held_out = _share(_rows(folder, seed, "held"), worker) if "held" in config["parts"] else None
    rates = torch.tensor(config["rates"], dtype=torch.float64).numpy()
    raw = HazardModule(train.inputs.shape[1], settings.hidden, settings.dropout, rates)
    raw.load_state_dict(load(folder.read(f"{seed}-start.safetensors") or b""))
    torch.manual_seed(seed + 1_000 * (worker.rank + 1))
    model = worker.prepare(raw)
    train_hazards(
        model,
        train,
        held_out,
        settings,
        seed=seed + 7_919 * worker.rank,
        workers=worker.count,
        agree=lambda value: _mean(value, worker),
    )
    # all workers hold the best weights
    worker.report(model, settings.epochs, {"finished": 1})


def _rows(folder: Storage, seed: int, name: str) -> HazardRows:
    return HazardRows(**load(folder.read(f"{seed}-{name}.safetensors") or b""))


def _share(rows: HazardRows, worker: TrainWorker) -> HazardRows:
    """As many rows on each worker: every n-th from its rank on, the last ones left out."""
    count = max(1, len(rows) // worker.count)
    own_rows = rows.take(((torch.arange(count) * worker.count) + worker.rank) % len(rows))
    return HazardRows(**{name: value.to(worker.device) for name, value in vars(own_rows).items()})


def _mean(value: float, worker: TrainWorker) -> float:
    if worker.count == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=worker.device)
    torch.distributed.all_reduce(total)
    return float(total) / worker.count
