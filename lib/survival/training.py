"""Fits hazard networks, in one process or driven by many."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lib.survival.likelihood import (
    cut_points,
    exposures,
    hazard_loss,
    last_intervals,
    occurrence_rates,
)
from lib.survival.network import HazardModule, HazardNetwork
from lib.survival.outcomes import Floats, Outcomes, SurvivalError
from lib.survival.scaling import Scaling
from lib.survival.settings import HazardSettings


@dataclass(frozen=True)
class HazardRows:
    """Standardised rows with what became of them, as tensors of one worker.

    Attributes:
        inputs: (n, width) float32.
        exposure: (n, m) float32; event, interval: (n,) int64; see `hazard_loss`.
    """

    inputs: Tensor
    exposure: Tensor
    event: Tensor
    interval: Tensor

    @classmethod
    def of(cls, inputs: Floats, outcomes: Outcomes, cuts: Floats) -> HazardRows:
        """From scaled rows and outcomes within the last cut."""
        return cls(
            torch.from_numpy(inputs.astype(np.float32)),
            torch.from_numpy(exposures(outcomes, cuts).astype(np.float32)),
            torch.from_numpy(outcomes.event),
            torch.from_numpy(last_intervals(outcomes, cuts)),
        )

    def __len__(self) -> int:
        return len(self.event)

    def take(self, rows: Tensor) -> HazardRows:
        """Some of the rows."""
        return HazardRows(
            self.inputs[rows], self.exposure[rows], self.event[rows], self.interval[rows]
        )

    def loss(self, model: nn.Module) -> Tensor:
        """Mean negative log-likelihood of `model` on these rows."""
        return hazard_loss(model(self.inputs), self.exposure, self.event, self.interval)


@dataclass(frozen=True)
class TrainingBatches:
    """Rows ready to be trained on, and what every member of a network shares.

    Attributes:
        data: standardised, outcomes watched until the last cut.
        owners: (n,) group of each row, from 0.
        scaling, cuts: see `HazardNetwork`.
        rates: (causes, m) that a member starts from.
        failing: how many of the causes are failures.
    """

    data: HazardRows
    owners: npt.NDArray[np.int64]
    scaling: Scaling
    cuts: Floats
    rates: Floats
    failing: int = 1

    def halves(self, share: float, seed: int) -> tuple[HazardRows, HazardRows | None]:
        """Rows to train on and rows that choose the epoch, no group in both."""
        return _split(self.data, self.owners, share, seed)

    def member(self, settings: HazardSettings, seed: int) -> HazardModule:
        """A network that is not trained yet."""
        torch.manual_seed(seed)
        width = self.data.inputs.shape[1]
        return HazardModule(width, settings.hidden, settings.dropout, self.rates)

    def network(self, members: Sequence[HazardModule], settings: HazardSettings) -> HazardNetwork:
        """Trained members as one."""
        trained = tuple(member.eval() for member in members)
        return HazardNetwork(self.scaling, self.cuts, trained, settings.hidden, self.failing)


def prepare(
    names: tuple[str, ...],
    rows: Floats,
    outcomes: Outcomes,
    groups: npt.ArrayLike,
    settings: HazardSettings,
    failing: int = 1,
    categorical: Sequence[int] = (),
) -> TrainingBatches:
    """See `fit_network`."""
    owners = np.unique(np.asarray(groups), return_inverse=True)[1]
    if not len(rows) == len(outcomes) == len(owners):
        raise SurvivalError(
            f"expected rows, outcomes and groups of one length, got {len(rows)}, "
            f"{len(outcomes)} and {len(owners)}"
        )
    cuts = cut_points(outcomes, settings.intervals, settings.horizon, failing)
    capped_outcomes = outcomes.capped(float(cuts[-1]))
    scaling = Scaling.fit(names, rows, categorical=categorical)
    data = HazardRows.of(scaling.apply(rows), capped_outcomes, cuts)
    rates = occurrence_rates(capped_outcomes, cuts, max(failing, outcomes.causes))
    return TrainingBatches(data, owners, scaling, cuts, rates, failing)


def fit_network(
    names: tuple[str, ...],
    rows: Floats,
    outcomes: Outcomes,
    groups: npt.ArrayLike,
    settings: HazardSettings,
    seed: int,
    failing: int = 1,
    categorical: Sequence[int] = (),
) -> HazardNetwork:
    """A network for rows (n, columns) of subjects in `groups` (n,): machines, customers.

    Groups that choose the epoch are never trained on. The same seed gives the same network on the
    same kind of processor.

    Args:
        names: of the columns.
        rows: (n, columns), NaN where nothing is known.
        outcomes: of the same subjects.
        groups: (n,) whose row each is.
        settings: of network and training.
        seed: of the first member; the next ones count up from it.
        failing: how many of the causes, from 1 on, are failures: one for each mode.
        categorical: places of columns that hold codes; see `Scaling`.

    Raises:
        SurvivalError: nobody failed, no column varies, or lengths differ.
    """
    ready = prepare(names, rows, outcomes, groups, settings, failing, categorical)
    members = []
    for number in range(settings.members):
        train, held_out = ready.halves(settings.held_out, seed + number)
        module = ready.member(settings, seed + number)
        train_hazards(module, train, held_out, settings, seed=seed + number)
        members.append(module)
    return ready.network(members, settings)


def train_hazards(
    model: nn.Module,
    train: HazardRows,
    held_out: HazardRows | None,
    settings: HazardSettings,
    *,
    seed: int,
    workers: int = 1,
    agree: Callable[[float], float] = float,
) -> None:
    """Train and leave the weights of the best epoch in place.

    Args:
        model: gives hazards; may be wrapped for several workers.
        train: this worker's rows; as many on every worker.
        held_out: rows that choose the epoch, or None to keep the last.
        settings: batch size over all workers together, epochs, steps.
        seed: of the order of rows.
        workers: how many train together.
        agree: the mean over workers of a number, so that all choose the same epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    size = max(2, settings.batch_size // workers)
    batches = max(1, len(train) // size)
    steps = max(1, settings.epochs * batches)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, steps)
    best, best_loss = None, float("inf")
    for _ in range(settings.epochs):
        model.train()
        order = torch.randperm(len(train), generator=generator)
        for rows in torch.split(order, size)[:batches]:
            optimiser.zero_grad()
            loss = train.take(rows).loss(model)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            schedule.step()
        if held_out is None:
            continue
        model.eval()
        with torch.inference_mode():
            own_loss = float(held_out.loss(model))
        held_loss = agree(own_loss)
        if held_loss < best_loss:
            best, best_loss = copy.deepcopy(model.state_dict()), held_loss
    if best is not None:
        model.load_state_dict(best)


def _split(
    data: HazardRows, owners: npt.NDArray[np.int64], share: float, seed: int
) -> tuple[HazardRows, HazardRows | None]:
    """Rows to train on and rows that choose the epoch, no group in both."""
    count = int(owners.max()) + 1
    chosen = np.random.default_rng(seed).permutation(count)[: round(share * count)]
    held_out = np.isin(owners, chosen)
    # both halves need somebody whose end was seen
    event = data.event.numpy() > 0
    if not (event & held_out).any() or not (event & ~held_out).any():
        return data, None
    rows = [torch.from_numpy(np.flatnonzero(part)) for part in (~held_out, held_out)]
    return data.take(rows[0]), data.take(rows[1])
