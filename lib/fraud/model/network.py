"""The neural half: a multilayer perceptron in torch, trained alike in one process and on many."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.evaluation import average_precision
from lib.feature.jit import compiled
from lib.fraud.model.inputs import Matrix, fit_standardiser
from lib.fraud.model.numpy_mlp import DenseNetwork, Networks
from lib.fraud.model.sample import Sample, refuse_one_class
from lib.fraud.model.settings import NetworkSettings


@dataclass(frozen=True)
class Epoch:
    """One pass: its number from 1, mean training loss, loss and average precision on later rows.

    The last two are NaN without later rows.
    """

    number: int
    loss: float
    valid_loss: float
    valid_ap: float


@compiled
def _gate(units: Any, bits: Any, cut: Any, kept: Any, gates: Any, out: Any) -> None:
    """Sets the gate of each unit, `kept` or 0, and what passes it."""
    closed = np.float32(0.0)
    for unit in range(len(units)):
        gate = kept if bits[unit] >= cut and units[unit] > closed else closed
        gates[unit] = gate
        out[unit] = units[unit] * gate


class _Gated(torch.autograd.Function):
    """ReLU and dropout of units, given 16 random bits for each, in one pass each way."""

    @staticmethod
    def forward(ctx: Any, units: Tensor, bits: Any, cut: int) -> Tensor:
        units = units.contiguous()
        gates, out = torch.empty_like(units), torch.empty_like(units)
        kept = np.float32(2**16 / (2**16 - cut))
        flat = (tensor.detach().view(-1).numpy() for tensor in (units, gates, out))
        read, put, passed = flat
        _gate(read, bits, np.int16(cut - 2**15), kept, put, passed)
        ctx.save_for_backward(gates)
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        (gates,) = ctx.saved_tensors
        return slopes[0] * gates, None, None


class RectifiedDropout(nn.Module):
    """ReLU, then dropout, in a fifth of the time that torch's own two take on a processor.

    A unit stays where 16 random bits are at least `share` of their range, so the share is exact to
    1/65,536; what stays is scaled up, as by `torch.nn.Dropout`. The bits follow from torch's seed.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share
        self._bits: np.random.SFC64 | None = None

    def forward(self, units: Tensor) -> Tensor:
        """What passes of units (rows, units); at rest, all of it that is above 0."""
        if not self.training or units.device.type != "cpu" or units.dtype != torch.float32:
            positive = nn.functional.relu(units)
            return nn.functional.dropout(positive, self._share, self.training)
        if self._bits is None:
            self._bits = np.random.SFC64(int(torch.randint(2**62, ())))
        words = self._bits.random_raw(-(-units.numel() // 4)).view(np.int16)
        cut = round(self._share * 2**16)
        passed: Tensor = _Gated.apply(units, words, cut)  # type: ignore[no-untyped-call]
        return passed


class Perceptron(nn.Module):
    """Dense, batch norm, ReLU, dropout for each hidden layer; one logit at the end."""

    def __init__(self, width: int, settings: NetworkSettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for units in settings.hidden:
            layers += [nn.Linear(width, units), nn.BatchNorm1d(units)]
            # a fourth layer, as in checkpoints in which ReLU and dropout are two
            layers += [RectifiedDropout(settings.dropout), nn.Identity()]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Raw log-odds (rows,) of standardised inputs (rows, width)."""
        answer: Tensor = self.layers(inputs)[:, 0]
        return answer


@dataclass(frozen=True)
class Batches:
    """Rows of one worker as tensors on its device."""

    inputs: Tensor
    labels: Tensor
    weights: Tensor

    def shuffled(self, size: int, count: int, generator: torch.Generator) -> Iterator["Batches"]:
        """`count` batches of `size` rows in random order; a last batch of one row is left out."""
        order = torch.randperm(len(self.labels), generator=generator)
        for part in torch.split(order, size)[:count]:
            if len(part) > 1:
                rows = part.to(self.inputs.device)
                yield Batches(self.inputs[rows], self.labels[rows], self.weights[rows])


def batches(sample: Sample, inputs: Matrix, device: str) -> Batches:
    """Tensors of a sample whose features were standardised to `inputs` (rows, width)."""
    return Batches(
        torch.from_numpy(inputs).to(device),
        torch.from_numpy(sample.labels.astype(np.float32)).to(device),
        torch.from_numpy(sample.weights.astype(np.float32)).to(device),
    )


def train_network(
    model: nn.Module,
    train: Batches,
    valid: Batches | None,
    settings: NetworkSettings,
    *,
    seed: int,
    first_epoch: int = 1,
    workers: int = 1,
    steps: int | None = None,
    agree: Callable[[float], float] = float,
    on_epoch: Callable[[Epoch, bool], None] | None = None,
) -> int:
    """Train until the loss on later rows stops falling; leaves the best weights in place.

    Args:
        model: a Perceptron, or one wrapped for distributed training.
        train: this worker's rows.
        valid: later rows, the same on every worker; None runs all epochs.
        settings: of the training.
        seed: of the order of rows.
        first_epoch: 1, or one more than the epochs already done.
        workers: how many share a step; each takes its part of the batch.
        steps: batches of an epoch, the same on every worker; None takes all rows.
        agree: makes one number of the workers' numbers, so that all stop together.
        on_epoch: told each epoch and whether it is the best so far.

    Returns:
        The number of the epoch whose weights stay.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    generator = torch.Generator().manual_seed(seed * 1000 + first_epoch)
    size = max(2, settings.batch_size // workers)
    best, best_epoch, kept = -np.inf, first_epoch - 1, _weights(model)
    for number in range(first_epoch, settings.epochs + 1):
        count = steps or len(train.labels) // size + 1
        loss = _one_epoch(model, train.shuffled(size, count, generator), optimiser, settings)
        epoch = Epoch(number, loss, *_judge(model, valid, settings))
        score = float(number) if valid is None else -agree(epoch.valid_loss)
        if better := score > best:
            best, best_epoch, kept = score, number, _weights(model)
        if on_epoch is not None:
            on_epoch(epoch, better)
        if number - best_epoch >= settings.patience:
            break
    model.load_state_dict(kept)
    model.eval()
    return best_epoch


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights as they are."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _one_epoch(
    model: nn.Module,
    parts: Iterator[Batches],
    optimiser: torch.optim.Optimizer,
    settings: NetworkSettings,
) -> float:
    """One pass; the mean loss of its batches."""
    model.train()
    weight = torch.tensor(settings.positive_weight)
    losses = []
    for part in parts:
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(part.inputs),
            part.labels,
            weight=part.weights,
            pos_weight=weight.to(part.inputs.device),
        )
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean()) if losses else float("nan")


def _judge(
    model: nn.Module, valid: Batches | None, settings: NetworkSettings
) -> tuple[float, float]:
    """Loss and average precision on later rows, NaN where there is nothing to judge by.

    The loss decides when to stop: average precision over few frauds jumps.
    """
    if valid is None:
        return float("nan"), float("nan")
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(part) for part in torch.split(valid.inputs, 65_536)]).float()
        weight = torch.tensor(settings.positive_weight).to(logits.device)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, valid.labels, pos_weight=weight
        )
    labels = valid.labels.cpu().numpy()
    if not 0 < labels.sum() < len(labels):
        return float(loss), float("nan")
    return float(loss), average_precision(labels, logits.cpu().numpy())


def fit_networks(
    train: Sample,
    valid: Sample | None,
    settings: NetworkSettings,
    *,
    seed: int,
    device: str = "cpu",
    on_epoch: Callable[[Epoch, bool], None] | None = None,
) -> tuple[Networks, int]:
    """Fit in this process; the networks and the epochs they ran to their best.

    Args:
        train: rows to fit on; one class only is refused with ValueError.
        valid: later rows for early stopping; None runs all epochs.
        settings: of the network and its training.
        seed: of the first network; the next ones count up from it.
        device: `cpu` or `cuda`.
        on_epoch: told each epoch and whether it is the best so far.
    """
    refuse_one_class(train.labels)
    standardiser = fit_standardiser(train.matrix)
    rows = batches(train, standardiser.apply(train.matrix), device)
    later = batches(valid, standardiser.apply(valid.matrix), device) if valid else None
    members, epochs = [], 0
    for number in range(seed, seed + settings.networks):
        model = seeded_perceptron(standardiser.width, settings, number).to(device)
        done = train_network(model, rows, later, settings, seed=number, on_epoch=on_epoch)
        members.append(fold(model))
        epochs = max(epochs, done)
    return Networks(standardiser, tuple(members)), epochs


def seeded_perceptron(width: int, settings: NetworkSettings, seed: int) -> Perceptron:
    """A fresh network whose first weights (and dropout) depend on the seed alone."""
    torch.manual_seed(seed)
    return Perceptron(width, settings)


def fold(model: Perceptron) -> DenseNetwork:
    """Plain matrices of a trained network, each batch norm folded into the layer before it.

    Jacob et al., Quantization and training of neural networks (2018), section 3.2.
    """
    modules = list(model.cpu().eval().layers)
    weights, biases = [], []
    for index, module in enumerate(modules):
        if not isinstance(module, nn.Linear):
            continue
        weight = module.weight.detach().double().numpy().T
        bias = module.bias.detach().double().numpy()
        norm = modules[index + 1] if index + 1 < len(modules) else None
        if isinstance(norm, nn.BatchNorm1d):
            factor, shift = _norm_line(norm)
            weight, bias = weight * factor, bias * factor + shift
        weights.append(np.ascontiguousarray(weight, dtype=np.float32))
        biases.append(np.asarray(bias, dtype=np.float32))
    return DenseNetwork(tuple(weights), tuple(biases))


def _norm_line(norm: nn.BatchNorm1d) -> tuple[Matrix, Matrix]:
    """Factor and shift of a batch norm at rest."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("batch norm without running statistics cannot be folded")
    deviation = torch.sqrt(norm.running_var.double() + norm.eps)
    factor = (norm.weight.detach().double() / deviation).numpy()
    return factor, norm.bias.detach().double().numpy() - norm.running_mean.double().numpy() * factor
