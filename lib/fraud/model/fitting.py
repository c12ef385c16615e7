"""Fitting one fold or the whole model in one process: plain functions for jobs to spread."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lib.boosting.boosted_trees import BoostedTrees
from lib.fraud.model.inputs import Floats, recency_weights
from lib.fraud.model.network import fit_networks
from lib.fraud.model.numpy_mlp import Networks
from lib.fraud.model.payments import Payments
from lib.fraud.model.sample import Sample
from lib.fraud.model.settings import ModelSettings
from lib.fraud.model.stacking import MetaLearner, fit_meta
from lib.fraud.model.time_split import Fold, Slice
from lib.fraud.model.trees import fit_trees


@dataclass(frozen=True)
class Compute:
    """What a fit may use: `cpu` or `cuda`, and threads (0 takes all cores)."""

    device: str = "cpu"
    threads: int = 0

    def limit(self) -> None:
        """Hold torch in this process to the threads."""
        if self.threads > 0:
            torch.set_num_threads(self.threads)


@dataclass(frozen=True)
class HalfScores:
    """Out-of-fold log-odds (rows of the scored block,) of one half; trees or epochs it learnt."""

    log_odds: Floats
    learnt: int


@dataclass(frozen=True)
class FoldScores:
    """Out-of-fold log-odds (rows of the scored block,) of both halves, and how long they learnt."""

    trees: Floats
    network: Floats
    rounds: int
    epochs: int


def weighed_sample(payments: Payments, span: Slice, half_life_days: float) -> Sample:
    """Rows of a slice to fit on, newer ones weighing more where a half-life is given."""
    rows = payments.within(span)
    return payments.sample(span, recency_weights(rows.event_time, span.as_of, half_life_days))


def fold_data(payments: Payments, fold: Fold[Slice], half_life_days: float) -> Fold[Sample]:
    """Cut one fold out of the payments."""
    return Fold(
        weighed_sample(payments, fold.train, half_life_days),
        payments.sample(fold.stop),
        payments.sample(fold.scored),
    )


def fit_fold(
    data: Fold[Sample], settings: ModelSettings, seed: int, machine: Compute
) -> FoldScores:
    """Fit one booster and one network on earlier days, stop by the next, score the days after."""
    trees = fit_fold_trees(data, settings, seed, machine)
    network = fit_fold_network(data, settings, seed, machine)
    return FoldScores(trees.log_odds, network.log_odds, trees.learnt, network.learnt)


def fit_fold_trees(
    data: Fold[Sample], settings: ModelSettings, seed: int, machine: Compute
) -> HalfScores:
    """The boosted half of `fit_fold`."""
    machine.limit()
    single = replace(settings.trees, boosters=1)
    trees = fit_trees(
        data.train, data.stop, single, seed=seed, device=machine.device, threads=machine.threads
    )
    return HalfScores(trees.log_odds(data.scored.matrix), trees.rounds)


def fit_fold_network(
    data: Fold[Sample], settings: ModelSettings, seed: int, machine: Compute
) -> HalfScores:
    """The neural half of `fit_fold`."""
    machine.limit()
    alone = replace(settings.network, networks=1)
    networks, epochs = fit_networks(data.train, data.stop, alone, seed=seed, device=machine.device)
    return HalfScores(networks.log_odds(data.scored.matrix), epochs)


def settled(settings: ModelSettings, folds: Sequence[FoldScores]) -> ModelSettings:
    """Settings of the final fit, which has no rows left to stop by: the folds say how long.

    The most trees and epochs that a fold kept are taken, as the final fit sees more rows than any
    fold did.
    """
    rounds = max([10, *(fold.rounds for fold in folds)])
    epochs = max([2, *(fold.epochs for fold in folds)])
    return replace(
        settings,
        trees=replace(settings.trees, trees=min(rounds, settings.trees.trees)),
        network=replace(settings.network, epochs=min(epochs, settings.network.epochs)),
    )


def fit_halves(
    train: Sample, settings: ModelSettings, machine: Compute
) -> tuple[BoostedTrees, Networks]:
    """Fit both halves on all rows, for as long as `settings` say."""
    machine.limit()
    trees = fit_trees(
        train,
        None,
        settings.trees,
        seed=settings.seed,
        device=machine.device,
        threads=machine.threads,
    )
    return trees, fit_networks(
        train, None, settings.network, seed=settings.seed, device=machine.device
    )[0]


def stack(folds: Sequence[Fold[Sample]], scores: Sequence[FoldScores]) -> MetaLearner:
    """The meta-learner from all folds' scores."""
    return fit_meta(
        np.concatenate([fold_scores.trees for fold_scores in scores]),
        np.concatenate([fold_scores.network for fold_scores in scores]),
        np.concatenate([fold.scored.labels for fold in folds]),
        np.repeat(np.arange(len(folds)), [len(fold.scored) for fold in folds]),
    )
