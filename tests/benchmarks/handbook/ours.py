"""Our model on the Handbook's payments: boosted trees, several of them, averaged as log-odds.

Chosen on weeks that train from 2018-05-30 to 2018-07-18, whose tests end before 2018-08-08.
"""

from dataclasses import dataclass

import numpy as np
import xgboost

from tests.benchmarks.handbook.protocol import Payments, Split

WARM_UP_DAYS = 30  # the file's first days have no settled labels to look back on
GOOD_SHARE = 0.1  # of genuine payments, per member, that history is trained on
RISK_RISES_WITH = (
    "amount",
    "amount_ratio_to_clean_mean",
    "days_since_good_payment_by_merchant",
)


@dataclass(frozen=True)
class Member:
    """One boosted ensemble of the average.

    Attributes:
        trees: how many.
        depth: of each tree.
        rate: learning rate.
        leaf_weight: smallest sum of second derivatives in a leaf.
        monotone: whether risk may only rise with `RISK_RISES_WITH`.
    """

    trees: int
    depth: int
    rate: float
    leaf_weight: float
    monotone: bool


WEEK_MEMBERS = (Member(120, 4, 0.08, 5, False), Member(120, 4, 0.08, 5, True))
HISTORY_MEMBERS = (Member(250, 5, 0.05, 10, False), Member(250, 5, 0.05, 10, True))


def _parameters(member: Member, names: tuple[str, ...], seed: int) -> dict[str, object]:
    rises = [1 if member.monotone and name in RISK_RISES_WITH else 0 for name in names]
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_bin": 512,
        "base_score": 0.01,
        "max_depth": member.depth,
        "eta": member.rate,
        "min_child_weight": member.leaf_weight,
        "reg_lambda": 5,
        "subsample": 0.8,
        "colsample_bytree": 0.6,
        "monotone_constraints": tuple(rises),
        "nthread": 2,
        "seed": seed,
    }


def _average(
    members: tuple[Member, ...],
    names: tuple[str, ...],
    samples: list[xgboost.DMatrix],
    test: xgboost.DMatrix,
) -> np.ndarray:
    """Return the members' mean log-odds on `test`, each trained on its own sample."""
    total = np.zeros(test.num_row())
    for seed, (member, sample) in enumerate(zip(members, samples, strict=True)):
        booster = xgboost.train(_parameters(member, names, seed), sample, member.trees)
        total += booster.predict(test, output_margin=True)
    return total / len(members)


def score_ours(
    payments: Payments, names: tuple[str, ...], inputs: np.ndarray, fold: Split
) -> np.ndarray:
    """Train on the fold's seven days alone; return the test rows' log-odds."""
    labels = payments.fraud[fold.train].astype(int)
    train = xgboost.DMatrix(inputs[fold.train], labels)
    samples = [train] * len(WEEK_MEMBERS)
    return _average(WEEK_MEMBERS, names, samples, xgboost.DMatrix(inputs[fold.test]))


def score_ours_history(
    payments: Payments, names: tuple[str, ...], inputs: np.ndarray, fold: Split
) -> np.ndarray:
    """Train on all days up to the fold's train end; return the test rows' log-odds.

    All frauds are kept; of genuine payments each member sees another share, weighted back.
    """
    warm = fold.history[payments.day[fold.history] >= payments.day[0] + WARM_UP_DAYS]
    samples = []
    for seed in range(len(HISTORY_MEMBERS)):
        drawn = np.random.default_rng(seed).random(len(warm)) < GOOD_SHARE
        rows = warm[payments.fraud[warm] | drawn]
        labels = payments.fraud[rows].astype(int)
        weight = np.where(labels == 1, 1.0, 1.0 / GOOD_SHARE)
        samples.append(xgboost.DMatrix(inputs[rows], labels, weight=weight))
    return _average(HISTORY_MEMBERS, names, samples, xgboost.DMatrix(inputs[fold.test]))
