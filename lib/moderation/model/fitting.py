"""The training loop of every network here: seeded, resumable, on any device.

Epoch k draws from generators seeded by (seed, k) alone, so a run that goes on after epoch k from
its checkpoint takes the same steps as one that was never stopped, to the bit on a CPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lib.moderation.model.model_config import TrainingConfig
from lib.moderation.model.outputs import Ints, ModelError
from lib.moderation.model.serialization import json_bytes, read_tensors, tensors_bytes

_WARM_UP, _LONGEST_GRADIENT = 0.1, 1.0
# batches whose rows are sorted by length together, so that little is padded
_BUCKET = 16


class Task(Protocol):
    """Something to be learnt by gradient steps."""

    @property
    def module(self) -> nn.Module:
        """What learns."""

    @property
    def lengths(self) -> Ints:
        """(rows,) cost of each row, e.g. its word pieces; all alike where rows are alike."""

    def groups(self, learning: TrainingConfig) -> list[dict[str, Any]]:
        """Parameters with `lr`, the highest step of each group."""

    def loss(self, rows: Ints, rng: np.random.Generator) -> Tensor:
        """Mean loss of some rows; `rng` is for augmentation."""


class AlikeRows:
    """What a task has whose rows are all alike in cost."""

    targets: Tensor

    @property
    def lengths(self) -> Ints:
        """All alike."""
        return np.ones(len(self.targets), dtype=np.int64)


@dataclass(frozen=True)
class Checkpoint:
    """All that is needed to go on after an epoch.

    Attributes:
        epoch: passes done.
        seed: of the training.
        loss: mean training loss of the last.
        weights: safetensors of the module and of the optimiser's moments.
        about: JSON of everything else.
    """

    epoch: int
    seed: int
    loss: float
    weights: bytes
    about: bytes

    @classmethod
    def read(cls, weights: bytes, about: bytes) -> Checkpoint:
        """From the two stored files.

        Raises:
            ModelError: `about` is not that of a checkpoint.
        """
        try:
            metadata = json.loads(about)
            return cls(
                int(metadata["epoch"]),
                int(metadata["seed"]),
                float(metadata["loss"]),
                weights,
                about,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"checkpoint: {type(error).__name__}: {error}") from error


OnEpoch = Callable[[Checkpoint], None]


class Embedder:
    """A model whose network ends in a head on embeddings.

    Attributes:
        net: the network.
    """

    net: Any

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return int(self.net.head.in_features)


@dataclass(frozen=True)
class Runtime:
    """Where and how a training or an answer is computed."""

    device: str = "cpu"
    """as torch names it; mixed precision (bfloat16) where it is cuda"""
    threads: int | None = None
    """threads of torch on the CPU; None leaves them as they are"""

    def start(self) -> None:
        """Set the number of threads of this process."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def precision(self) -> torch.autocast:
        """The context that computes in mixed precision on CUDA and changes nothing elsewhere."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda")


def device_of(device: str) -> str:
    """`cpu` or `cuda`: what is named, or of `auto` what this machine has."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def fit(
    task: Task,
    learning: TrainingConfig,
    seed: int,
    runtime: Runtime | None = None,
    on_epoch: OnEpoch | None = None,
    resume: Checkpoint | None = None,
) -> float:
    """Train in place; answers the mean loss of the last epoch.

    Args:
        task: what learns, and from what.
        learning: epochs, batches, steps.
        seed: of order, dropout and augmentation.
        runtime: where; the module must already be there.
        on_epoch: called with a checkpoint after each epoch.
        resume: go on after this one; it must be of the same task, settings and seed.

    Raises:
        ModelError: there are no rows, or the checkpoint is of another training.
    """
    runtime = runtime or Runtime()
    if not len(task.lengths):
        raise ModelError("training rows: expected at least one, got none")
    runtime.start()
    batches = math.ceil(len(task.lengths) / learning.batch)
    steps = learning.epochs * batches
    optimiser = torch.optim.AdamW(task.groups(learning), weight_decay=learning.weight_decay)
    highest = [float(group["lr"]) for group in optimiser.param_groups]
    first, loss = 0, float("nan")
    if resume is not None:
        _restore(task.module, optimiser, resume, _identity(learning, seed))
        first, loss = resume.epoch, resume.loss
    for epoch in range(first, learning.epochs):
        torch.manual_seed(seed * 1_000_003 + epoch)
        rng = np.random.default_rng((seed, epoch))
        task.module.train()
        total = 0.0
        for k, rows in enumerate(batches_of(task.lengths, learning.batch, rng)):
            _set_steps(optimiser, highest, epoch * batches + k, steps)
            total += _step(task, optimiser, rows, rng, runtime) * len(rows)
        loss = total / len(task.lengths)
        if not math.isfinite(loss):
            raise ModelError(f"training: the loss of epoch {epoch + 1} is {loss}; lower the rate")
        if on_epoch is not None:
            on_epoch(
                _checkpoint(task.module, optimiser, epoch + 1, loss, _identity(learning, seed))
            )
    optimiser.zero_grad(set_to_none=True)
    task.module.eval()
    return loss


def batches_of(lengths: Ints, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """All rows in random batches of rows of like length, at most one more than `size` in each.

    A row left over joins the batch before it: what is normalised over a batch needs two rows.
    """
    order = rng.permutation(len(lengths))
    batches: list[Ints] = []
    for start in range(0, len(order), size * _BUCKET):
        bucket = order[start : start + size * _BUCKET]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[k : k + size] for k in range(0, len(bucket), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    for index in rng.permutation(len(batches)).tolist():
        yield batches[index]


def masked_loss(
    logits: Tensor, targets: Tensor, smoothing: float = 0.0, positive_weight: float = 1.0
) -> Tensor:
    """Mean cross-entropy over the labels that are known.

    Args:
        logits: (n, policies) log-odds.
        targets: (n, policies) within 0 and 1, such as the share of annotators; NaN is unknown.
        smoothing: how far targets are drawn towards one half.
        positive_weight: weight of violations against the rest.
    """
    is_known = ~torch.isnan(targets)
    soft_targets = torch.where(is_known, targets, 0.5) * (1.0 - smoothing) + 0.5 * smoothing
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, soft_targets, reduction="none",
        pos_weight=torch.full_like(logits[:1], positive_weight),
    )  # fmt: skip
    return (losses * is_known).sum() / is_known.sum().clamp(min=1)


def decayed(parameters: Sequence[tuple[str, nn.Parameter]], rate: float) -> list[dict[str, Any]]:
    """Groups of one step size; vectors (norms, offsets) are not decayed."""
    kept = [parameter for _, parameter in parameters if parameter.requires_grad]
    matrices = [parameter for parameter in kept if parameter.ndim > 1]
    vectors = [parameter for parameter in kept if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "lr": rate},
        {"params": vectors, "lr": rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _step(
    task: Task,
    optimiser: torch.optim.Optimizer,
    rows: Ints,
    rng: np.random.Generator,
    runtime: Runtime,
) -> float:
    optimiser.zero_grad(set_to_none=True)
    with runtime.precision():
        loss = task.loss(rows, rng)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(task.module.parameters(), _LONGEST_GRADIENT)
    optimiser.step()
    return float(loss.detach())


def _set_steps(
    optimiser: torch.optim.Optimizer, highest: Sequence[float], step: int, steps: int
) -> None:
    rising = min(1.0, (step + 1) / max(1.0, _WARM_UP * steps))
    share = rising * 0.5 * (1.0 + math.cos(math.pi * step / max(1, steps)))
    for group, rate in zip(optimiser.param_groups, highest, strict=True):
        group["lr"] = rate * share


def _identity(learning: TrainingConfig, seed: int) -> dict[str, Any]:
    return {"learning": vars(learning), "seed": seed}


def _checkpoint(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    epoch: int,
    loss: float,
    identity: dict[str, Any],
) -> Checkpoint:
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for key, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{key}.{name}": tensor for name, tensor in state.items()}
    about = json_bytes({"epoch": epoch, "loss": loss, **identity})
    return Checkpoint(epoch, int(identity["seed"]), loss, tensors_bytes(tensors), about)


def _restore(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    identity: dict[str, Any],
) -> None:
    metadata = json.loads(checkpoint.about)
    if {name: metadata.get(name) for name in identity} != identity:
        raise ModelError(
            f"checkpoint: it is of a training with {metadata.get('learning')} and seed "
            f"{metadata.get('seed')}, this one has {identity['learning']} and seed "
            f"{identity['seed']}"
        )
    tensors = read_tensors(checkpoint.weights, "checkpoint")
    cut = len("module.")
    weights = {name[cut:]: weight for name, weight in tensors.items() if name.startswith("module.")}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"checkpoint: {error}") from error
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, key, field = name.split(".")
            states.setdefault(int(key), {})[field] = tensor
    current = optimiser.state_dict()
    optimiser.load_state_dict({"state": states, "param_groups": current["param_groups"]})
