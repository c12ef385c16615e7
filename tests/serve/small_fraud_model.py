"""A model of the real kind, trained in seconds on simulated payments, for tests and load."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lib.calibration import fit_calibrator
from lib.feature import compute
from lib.fraud.contracts import join_labels
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.model import Ensemble
from lib.fraud.model.network import fit_networks
from lib.fraud.model.policy import Costs, fit_policy
from lib.fraud.model.sample import Sample
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.stacking import fit_meta
from lib.fraud.model.trees import fit_trees
from lib.fraud.simulation import SimulationConfig, simulate
from lib.registry import Registry, TrainingRecord

CREATED_AT = 1_790_000_000_000_000


def train(
    trees: TreeSettings,
    network: NetworkSettings,
    users: int,
    days: int,
    seed: int,
    costs: Costs,
) -> Ensemble:
    """Fits on simulated payments: the first 60% to learn from, the rest to judge and calibrate on.

    Trees that would never stop early are all kept.
    """
    simulated = simulate(SimulationConfig(users=users, days=days), seed)
    table = join_labels(simulated.transactions, simulated.labels).table
    labels = table["fraud_from"].is_valid().to_numpy()
    matrix = feature_matrix(compute(FRAUD, table), FRAUD.names)
    cut, end = int(len(labels) * 0.6), int(len(labels) * 0.8)
    parts = [slice(0, cut), slice(cut, end), slice(end, None)]
    fit, valid, later = (
        Sample(matrix[part], labels[part], np.ones(len(labels[part]))) for part in parts
    )
    judge = valid if trees.early_stopping < trees.trees else None
    forest = fit_trees(fit, judge, trees, seed=seed, threads=2)
    nets, _ = fit_networks(fit, valid, network, seed=seed)
    meta = fit_meta(forest.log_odds(valid.matrix), nets.log_odds(valid.matrix), valid.labels)
    raw = meta.log_odds(forest.log_odds(later.matrix), nets.log_odds(later.matrix))
    calibrator = fit_calibrator(raw, later.labels)
    amount = table["amount_minor"].to_numpy()[end:]
    scores = calibrator.probabilities(raw)
    policy = fit_policy(scores, later.labels, amount, days * 0.2, costs)
    return Ensemble(FRAUD.names, FRAUD.digest, forest, nets, meta, calibrator, policy)


def small(seed: int = 1) -> Ensemble:
    """Enough to answer, in a few seconds."""
    trees = TreeSettings(trees=30, depth=3)
    network = NetworkSettings(hidden=(16, 8), epochs=2)
    return train(trees, network, 120, 30, seed, Costs(most_disturbed=0.1))


def publish(ensemble: Ensemble, registry: Path, folder: Path, number: int = 0) -> str:
    """Publishes a model; returns its version. `number` tells versions of one model apart."""
    record = TrainingRecord(CREATED_AT + number * 1_000_000, "simulated", "test", {}, {})
    ensemble.save(folder / f"artifact-{number}", record)
    return Registry(registry).publish(folder / f"artifact-{number}", "fraud")
