"""Fitting: purged splits by time, customers held out, calibration on rows that no half has seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.churn.model.linear import Linear, fit_linear
from lib.churn.model.model import blended
from lib.churn.model.settings import ModelSettings
from lib.churn.model.trees import Trees, fit_trees
from lib.churn.snapshots import Snapshots
from lib.churn.target import FEWEST_CUSTOMERS, Floats, Target
from lib.churn.vocabulary import ChurnError

Flags = NDArray[np.bool_]
_FEWEST_ROWS = 10
FOLDS = 5


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to be measured on.

    Attributes:
        train: outcomes known before the first test moment (purged).
        test: later moments.
        unseen: which test rows are of customers that are in no training row.
        first_test_us: the first test moment.
    """

    train: Snapshots
    test: Snapshots
    unseen: Flags
    first_test_us: int


def split_by_time(rows: Snapshots, target: Target, test_share: float) -> Split:
    """The newest moments with known outcomes for the test, older ones for training.

    Raises:
        ChurnError: no outcome is known, or too few customers of a class are on a side.
    """
    labelled_rows = rows.known()
    if not len(labelled_rows):
        raise ChurnError("no row has a known outcome: the data ends before the window does")
    moments = np.unique(labelled_rows.at_us)
    test_count = max(1, round(test_share * len(moments)))
    first = int(moments[-test_count])
    return split_at(labelled_rows, target, first)


def split_at(rows: Snapshots, target: Target, first_test_us: int) -> Split:
    """Test rows from a moment on; training rows whose outcome was known by then."""
    labelled_rows = rows.known()
    train = labelled_rows.take(labelled_rows.at_us + target.reach_us <= first_test_us)
    test = labelled_rows.take(labelled_rows.at_us >= first_test_us)
    for part_name, part in (("training", train), ("test", test)):
        _refuse_few(part_name, part, labelled_rows, target)
    unseen = ~np.isin(test.customers, np.unique(train.customers))
    return Split(train, test, unseen, first_test_us)


def _refuse_few(what: str, part: Snapshots, known: Snapshots, target: Target) -> None:
    """Refuse a part without enough customers, or rows, of each class."""
    classes = ((target.leavers, 1.0), ("customers who stay", 0.0))
    for whom, label in classes:
        rows = part.labels == label
        count = len(np.unique(part.customers[rows]))
        if count < FEWEST_CUSTOMERS:
            total = len(np.unique(known.customers[known.labels == label]))
            raise ChurnError(
                f"{what}: at least {FEWEST_CUSTOMERS} {whom} are needed; found {count} ({total} in "
                f"all {len(known):,} rows of known outcome); give more customers or a longer time, "
                "another --test-share, or check that ids match and that notices and events reach "
                "to the end of the data"
            )
        if rows.sum() < _FEWEST_ROWS:
            raise ChurnError(
                f"{what}: at least {_FEWEST_ROWS} rows of {whom} are needed; found "
                f"{int(rows.sum())} of {count}; take more moments (--every-days) or another "
                "--test-share"
            )


def row_weights(rows: Snapshots) -> Floats:
    """Weights that let each customer count by the root of its rows: they are much alike."""
    _, customer_index, count = np.unique(rows.customers, return_inverse=True, return_counts=True)
    weights = 1.0 / np.sqrt(count[customer_index])
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def fit_halves(rows: Snapshots, settings: ModelSettings, seed: int) -> tuple[Linear, Trees]:
    """Both halves in this process."""
    weights = row_weights(rows)
    trees = fit_trees(rows.matrix, rows.labels, weights, settings.trees, seed)
    return fit_linear(rows, weights, settings), trees


def customer_folds(rows: Snapshots, seed: int, count: int = FOLDS) -> NDArray[np.int64]:
    """A fold for each row; all rows of a customer share one."""
    names, customer_index = np.unique(rows.customers, return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(len(names)) % count
    return np.asarray(drawn[customer_index], dtype=np.int64)


def fold_log_odds(
    rows: Snapshots, folds: NDArray[np.int64], fold: int, settings: ModelSettings, seed: int
) -> Floats:
    """Log-odds of one fold's rows by halves fitted on the others."""
    in_fold = folds == fold
    linear, trees = fit_halves(rows.take(~in_fold), settings, seed + fold)
    left_out = rows.matrix[in_fold]
    return blended(linear.log_odds(left_out), trees.log_odds(left_out), settings.linear_share)
