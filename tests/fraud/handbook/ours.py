"""Our model on the Handbook's payments: boosted trees and a logistic regression, as log-odds.

The inputs are features of the product. The smooth half ranks payments that no tree has evidence
about. Chosen on weeks that train from 2018-05-30 to 2018-07-18, whose tests end before 2018-08-08.
"""

from pathlib import Path

import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.feature import compute
from lib.fraud.features import FRAUD
from tests.fraud.handbook.protocol import Payments, Split
from tests.fraud.payment_files import read_payments

WARM_UP_DAYS = 30  # the file's first days have no settled labels to look back on
GOOD_SHARE = 0.1  # of genuine payments, per member, that history is trained on
SMOOTH_WEIGHT = 0.2  # of the logistic regression's log-odds beside the trees'
MEMBERS = 2  # boosted ensembles, each on its own draw of rows and columns
STRANGER_DAYS = 60.0  # stands in for a merchant without a settled good payment

SPANS = ("24h", "3d", "7d", "14d")
INPUTS = (
    "amount",
    "clean_amount_mean_by_user_60d_behind_7d",
    "amount_ratio_to_clean_mean",
    *(f"txn_count_by_user_{span}" for span in SPANS),
    *(f"amount_excess_by_user_{span}" for span in SPANS),
    *(f"amount_rms_ratio_by_user_{span}" for span in SPANS),
    *(f"fraud_count_by_user_{days}d_behind_7d" for days in (7, 14, 30)),
    "days_since_good_payment_by_merchant",
    "days_since_settled_payment_by_merchant",
    "fraud_streak_by_merchant",
    "fraud_streak_days_by_merchant",
    "fraud_streak_amount_mean_by_merchant",
)
WEEK_TREES = {"n": 120, "max_depth": 4, "eta": 0.08, "min_child_weight": 5}
HISTORY_TREES = {"n": 250, "max_depth": 5, "eta": 0.05, "min_child_weight": 10}
COMMON = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_bin": 512,
    "base_score": 0.01,
    "reg_lambda": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "nthread": 2,
}


def our_inputs(path: Path, payments: Payments) -> np.ndarray:
    """Return (rows, INPUTS) float32 features of the file's payments, in the order of `payments`."""
    table = compute(FRAUD, read_payments(str(path)))
    transactions = np.array(
        [int(transaction) for transaction in table["transaction_id"].to_pylist()]
    )
    order = np.argsort(transactions)[np.argsort(np.argsort(payments.transaction))]
    columns = [table[name].to_numpy().astype(np.float32) for name in INPUTS]
    return np.column_stack(columns)[order]


def smooth_inputs(inputs: np.ndarray) -> np.ndarray:
    """Return saturating transforms of `inputs`, without missing values, for a linear model."""
    of = {name: inputs[:, column].astype(float) for column, name in enumerate(INPUTS)}
    ratio = np.nan_to_num(of["amount_ratio_to_clean_mean"], nan=1.0)
    since_good = np.nan_to_num(of["days_since_good_payment_by_merchant"], nan=STRANGER_DAYS)
    streak = of["fraud_streak_by_merchant"]
    streak_days = np.nan_to_num(of["fraud_streak_days_by_merchant"])
    known_frauds = of["fraud_count_by_user_14d_behind_7d"]
    columns = [
        of["amount"],
        np.log1p(of["amount"]),
        ratio,
        np.log1p(ratio),
        np.minimum(ratio, 4.0) ** 2,
        np.log(since_good),
        streak > 0,
        np.minimum(streak, 3.0),
        streak_days,
        streak_days**2,
        np.nan_to_num(of["fraud_streak_amount_mean_by_merchant"]),
        np.log1p(np.maximum(of["amount_excess_by_user_7d"], 0.0)),
        np.log1p(of["amount_rms_ratio_by_user_7d"]),
        np.log1p(of["amount_rms_ratio_by_user_14d"]),
        known_frauds > 0,
        np.minimum(known_frauds, 3.0),
    ]
    return np.column_stack(columns)


def _boosted(
    settings: dict[str, float], inputs: np.ndarray, fraud: np.ndarray, weight: np.ndarray, seed: int
) -> xgboost.Booster:
    sample = xgboost.DMatrix(inputs, fraud.astype(int), weight=weight, nthread=2)
    own = {key: value for key, value in settings.items() if key != "n"}
    return xgboost.train({**COMMON, **own, "seed": seed}, sample, int(settings["n"]))


def _smooth(inputs: np.ndarray, fraud: np.ndarray, weight: np.ndarray) -> Pipeline:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return model.fit(smooth_inputs(inputs), fraud, logisticregression__sample_weight=weight)


def _score(
    settings: dict[str, float],
    payments: Payments,
    inputs: np.ndarray,
    draws: list[tuple[np.ndarray, np.ndarray]],
    test: np.ndarray,
) -> np.ndarray:
    """Return mean log-odds on the `test` rows; one draw of (rows, weights) per member."""
    target = xgboost.DMatrix(inputs[test], nthread=2)
    total = np.zeros(len(test))
    for seed, (rows, weight) in enumerate(draws):
        fraud = payments.fraud[rows]
        booster = _boosted(settings, inputs[rows], fraud, weight, seed)
        smooth = _smooth(inputs[rows], fraud, weight)
        total += booster.predict(target, output_margin=True)
        total += SMOOTH_WEIGHT * smooth.decision_function(smooth_inputs(inputs[test]))
    return total / len(draws)


def score_ours(payments: Payments, inputs: np.ndarray, fold: Split) -> np.ndarray:
    """Train on the fold's seven days alone; return the test rows' log-odds."""
    draws = [(fold.train, np.ones(len(fold.train)))] * MEMBERS
    return _score(WEEK_TREES, payments, inputs, draws, fold.test)


def score_ours_history(payments: Payments, inputs: np.ndarray, fold: Split) -> np.ndarray:
    """Train on all days up to the fold's train end; return the test rows' log-odds.

    All frauds are kept; of genuine payments each member sees another share, weighted back.
    """
    warm = fold.history[payments.day[fold.history] >= payments.day[0] + WARM_UP_DAYS]
    draws = []
    for seed in range(MEMBERS):
        drawn = np.random.default_rng(seed).random(len(warm)) < GOOD_SHARE
        rows = warm[payments.fraud[warm] | drawn]
        draws.append((rows, np.where(payments.fraud[rows], 1.0, 1.0 / GOOD_SHARE)))
    return _score(HISTORY_TREES, payments, inputs, draws, fold.test)
