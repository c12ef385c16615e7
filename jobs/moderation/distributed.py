"""Who trains: this process alone, or workers of Ray Train that share every step."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import ray.train
import ray.train.torch
import torch
import torch.distributed
from torch import Tensor, nn

from lib.moderation.model.fitting import Checkpoint, Runtime, fit
from lib.moderation.model.model_config import TrainingConfig
from lib.moderation.model.outputs import Ints
from lib.moderation.model.training import Run
from lib.storage import Storage


@dataclass(frozen=True)
class Backend:
    """Who trains: this process alone.

    Attributes:
        runtime: where this worker computes.
        rank: of this worker, from 0.
        size: how many there are.
    """

    runtime: Runtime
    rank: int = 0
    size: int = 1

    def wrap_ddp(self, module: nn.Module) -> nn.Module:
        """A module whose gradients are averaged over all workers."""
        return module

    def report(self, figures: Mapping[str, Any]) -> None:
        """Tell whoever watches how it goes; every worker calls it."""

    def barrier(self) -> None:
        """Wait until all workers call it."""


class RayTrainBackend(Backend):
    """Workers of Ray Train, from within one of them."""

    def wrap_ddp(self, module: nn.Module) -> nn.Module:
        """Distributed data parallel where there are several."""
        device = torch.device(self.runtime.device)
        wrapped: nn.Module = ray.train.torch.prepare_model(module, move_to_device=device)
        return wrapped

    def report(self, figures: Mapping[str, Any]) -> None:
        """To Ray Train, which also learns from it that this worker is alive."""
        ray.train.report(dict(figures))

    def barrier(self) -> None:
        """See `Backend`."""
        if self.size > 1:
            torch.distributed.barrier()


@dataclass(frozen=True)
class SharedRun(Run):
    """A run each of whose steps is shared by all workers; checkpoints go to a storage.

    Attributes:
        backend: who trains.
        storage: for checkpoints, reachable by all workers; the first worker writes them.
        name: of what is trained.
        every: epochs from one checkpoint and report to the next. Each takes a second or two, which
            is long beside an epoch of a small network.
    """

    backend: Backend = dataclasses.field(kw_only=True)
    storage: Storage = dataclasses.field(kw_only=True)
    name: str = dataclasses.field(kw_only=True)
    every: int = dataclasses.field(default=1, kw_only=True)

    @classmethod
    def going_on(
        cls, name: str, seed: int, backend: Backend, storage: Storage, every: int = 1
    ) -> SharedRun:
        """A run that continues after the last checkpoint of that name, if there is one."""
        last = json.loads(storage.read(f"checkpoints/{name}/last.json") or b"{}")
        resume = None
        if last and (weights := storage.read(last["weights"])) is not None:
            resume = Checkpoint.read(weights, last["about"].encode())
        return cls(
            seed, backend.runtime, None, resume,
            backend=backend, storage=storage, name=name, every=every,
        )  # fmt: skip

    def fit(self, task: Any, learning: TrainingConfig) -> float:
        """See `Run.fit`; all workers draw the same batches, and each takes its share of them."""
        wrapped = dataclasses.replace(task, module=self.backend.wrap_ddp(task.module))

        def loss(rows: Ints, rng: np.random.Generator) -> Tensor:
            own_loss: Tensor = wrapped.loss(share_of(rows, self.backend), rng)
            return own_loss

        shared: Any = SimpleNamespace(
            module=task.module, lengths=task.lengths, groups=task.groups, loss=loss
        )
        return fit(shared, learning, self.seed, self.runtime, self._keep, self.resume)

    def _keep(self, checkpoint: Checkpoint) -> None:
        """The newest checkpoint in full before it is named, so that one is always whole."""
        if checkpoint.epoch % self.every:
            return
        if self.backend.rank == 0:
            folder = f"checkpoints/{self.name}"
            weights = f"{folder}/{checkpoint.seed}-{checkpoint.epoch}.safetensors"
            self.storage.write(weights, checkpoint.weights)
            last = {"weights": weights, "about": checkpoint.about.decode()}
            self.storage.write(f"{folder}/last.json", json.dumps(last).encode())
            for path in self.storage.files(folder):
                if path not in (weights, f"{folder}/last.json"):
                    self.storage.delete(path)
        self.backend.report({"what": self.name, "epoch": checkpoint.epoch, "loss": checkpoint.loss})


def share_of(rows: Ints, backend: Backend) -> Ints:
    """A worker's share of a batch.

    Shares are of one size, and of two rows at least, since statistics of a batch need two: a few
    rows count twice.
    """
    share = max(2, -(-len(rows) // backend.size))
    return np.resize(rows, share * backend.size)[backend.rank :: backend.size]
