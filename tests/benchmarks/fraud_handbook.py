"""Accuracy on the Fraud Detection Handbook's payments, by the Handbook's own protocol.

Seven days to train, seven of label delay, seven to test; cards known to be compromised leave the
test. The rows:

logistic_regression, random_forest, xgboost: the book's, on its 15 inputs, trained on the 7 days.
ours: boosted trees and a smooth half on the product's features, trained on the same seven days.
ours_history: the same, trained on all days up to their end.
informed: a model that has the form of the book's simulator, its numbers fitted on the 7 days.
informed_history: the same, its numbers fitted on all days up to their end.
ceiling: the chance of fraud for one who knows the simulator's constants; it learns nothing.

Like the book's inputs, ours look back further than the training days, at labels at least 7 days
old. The product ships none of the last three: real payments follow no published simulator. The
last line is one JSON object: `single`, `prequential` (mean over the folds) and each fold.
"""

import argparse
import time
from datetime import date
from pathlib import Path

import numpy as np

from tests.benchmarks.result import print_result
from tests.fraud.handbook.baselines import (
    CHOSEN,
    DEFAULTS,
    NAMES,
    Settings,
    handbook_inputs,
    score_baseline,
)
from tests.fraud.handbook.ceiling import score_ceiling
from tests.fraud.handbook.informed import score_informed, score_informed_history
from tests.fraud.handbook.ours import our_inputs, score_ours, score_ours_history
from tests.fraud.handbook.protocol import Payments, Split, measure, read_payments, split

SINGLE = date(2018, 7, 25)
PREQUENTIAL = (date(2018, 8, 15), date(2018, 8, 8), date(2018, 8, 1), date(2018, 7, 25))
MEASURES = ("auc", "ap", "cp100")
Figures = dict[str, dict[str, float]]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--transactions", type=Path, required=True, help="the Parquet file")
    parser.add_argument(
        "--train-start",
        type=date.fromisoformat,
        nargs="+",
        metavar="DATE",
        help="first training days of the folds (YYYY-MM-DD), in place of the published ones; "
        "the first one is also the single split",
    )
    parser.add_argument("--quick", action="store_true", help="the single split alone")
    return parser.parse_args()


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of the description."""


class Bench:
    """All inputs of a file, computed once for every fold."""

    def __init__(self, path: Path, payments: Payments) -> None:
        self.payments = payments
        self.inputs = handbook_inputs(payments)
        self.signals = our_inputs(path, payments)
        self.ceiling = score_ceiling(payments)

    def fold(self, fold: Split, settings: Settings) -> Figures:
        """Return the measures of every model on one fold."""
        scores = {
            name: score_baseline(name, self.inputs, self.payments.fraud, fold, settings)
            for name in NAMES
        }
        fold_inputs = self.payments, self.signals, fold
        scores["ours"] = score_ours(*fold_inputs)
        scores["ours_history"] = score_ours_history(*fold_inputs)
        scores["informed"] = score_informed(*fold_inputs, scores["ours"])
        scores["informed_history"] = score_informed_history(*fold_inputs, scores["ours_history"])
        scores["ceiling"] = self.ceiling[fold.test]
        return {name: measure(self.payments, fold.test, score) for name, score in scores.items()}


def mean(folds: list[Figures]) -> Figures:
    """Return the mean of every measure over the folds."""
    return {
        name: {key: float(np.mean([fold[name][key] for fold in folds])) for key in folds[0][name]}
        for name in folds[0]
    }


def show(title: str, figures: Figures) -> None:
    """Print a table of one fold or of a mean, and how far below the ceiling we are."""
    print(f"{title:<24}{'AUC':>8}{'AP':>8}{'CP@100':>8}")
    for name, values in figures.items():
        print(f"  {name:<22}" + "".join(f"{values[key]:8.3f}" for key in MEASURES))
    ours, ceiling = figures["ours_history"], figures["ceiling"]
    differences = "".join(f"{ours[key] - ceiling[key]:+8.3f}" for key in MEASURES)
    print(f"  {'ours_history - ceiling':<22}{differences}")


def main() -> None:
    """Run the folds and print the tables and the JSON line."""
    options = arguments()
    started = time.perf_counter()
    payments = read_payments(options.transactions)
    print(f"{options.transactions}: {len(payments)} payments, {payments.fraud.sum()} frauds")
    bench = Bench(options.transactions, payments)
    starts = tuple(options.train_start or PREQUENTIAL)
    first = options.train_start[0] if options.train_start else SINGLE
    fold = split(payments, first)
    single = bench.fold(fold, DEFAULTS)
    show(f"single, from {first}", single)
    answer: dict[str, object] = {
        "single": single,
        "single_rows": {
            "train": len(fold.train),
            "train_frauds": int(payments.fraud[fold.train].sum()),
            "test": len(fold.test),
            "test_frauds": int(payments.fraud[fold.test].sum()),
        },
    }
    if not options.quick:
        folds = {}
        for start in starts:
            folds[str(start)] = bench.fold(split(payments, start), CHOSEN)
            show(f"fold, from {start}", folds[str(start)])
        answer["prequential"] = mean(list(folds.values()))
        answer["folds"] = folds
        show("prequential", mean(list(folds.values())))
    seconds = time.perf_counter() - started
    print_result(len(payments), seconds, file=options.transactions.name, **answer)


if __name__ == "__main__":
    main()
