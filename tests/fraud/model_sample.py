"""Payments made up for the model's tests: two signals, heavy tails, missing values."""

import numpy as np

from lib.calibration import fit_calibrator, sigmoid
from lib.fraud.model.model import Ensemble
from lib.fraud.model.network import fit_networks
from lib.fraud.model.policy import Costs, fit_policy
from lib.fraud.model.sample import Sample
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.stacking import fit_meta
from lib.fraud.model.trees import fit_trees

NAMES = (
    "amount",
    "amount_zscore",
    "fraud_rate_by_merchant_7d_behind_7d",
    "is_new_device",
    "txn_count_by_user_1h",
    "distance_from_home_km",
)
DIGEST = "ab" * 32


def sample_of(rows: int, seed: int) -> Sample:
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(rows, len(NAMES)))
    matrix[:, 0] = np.exp(3 + 1.5 * matrix[:, 0])
    matrix[:, 3] = matrix[:, 3] > 1
    matrix[:, 4] = generator.integers(0, 5, rows)
    truth = -3.5 + 1.2 * matrix[:, 1] + matrix[:, 2] * (1 + matrix[:, 3])
    labels = generator.random(rows) < sigmoid(truth)
    matrix[generator.random(matrix.shape) < 0.05] = np.nan
    return Sample(matrix.astype(np.float32), labels, np.ones(rows))


def small_ensemble(boosters: int = 2, networks: int = 2) -> Ensemble:
    train, valid, later = sample_of(3_000, 1), sample_of(1_000, 2), sample_of(2_000, 3)
    trees = fit_trees(
        train, valid, TreeSettings(trees=40, depth=4, boosters=boosters), seed=1, threads=1
    )
    settings = NetworkSettings(hidden=(16, 8), epochs=3, networks=networks)
    nets, _ = fit_networks(train, valid, settings, seed=1)
    halves = trees.log_odds(valid.matrix), nets.log_odds(valid.matrix)
    meta = fit_meta(*halves, valid.labels)
    raw = meta.log_odds(trees.log_odds(later.matrix), nets.log_odds(later.matrix))
    calibrator = fit_calibrator(raw, later.labels)
    amount = np.nan_to_num(later.matrix[:, 0]) * 100
    probabilities = calibrator.probabilities(raw)
    policy = fit_policy(probabilities, later.labels, amount, 7.0, Costs(most_disturbed=0.1))
    return Ensemble(NAMES, DIGEST, trees, nets, meta, calibrator, policy)
