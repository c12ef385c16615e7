"""Who of a wholesaler's customers falls silent for 60 days: UCI Online Retail.

Customers with a purchase in the last 90 days; leaving is no purchase in the next 60. Trained at
weekly moments from May to the 2nd of August 2011, whose outcomes are known before the test's
moment, 2011-10-01. The baseline is trained at the first days of those months, as is usual.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from lib.calibration import expected_calibration_error
from lib.churn.contracts import CONTRACTS
from lib.churn.events import stream
from lib.churn.model.baselines import rfm_scores
from lib.churn.model.fitting import Split, fit_halves, split_at
from lib.churn.model.model import blended
from lib.churn.model.settings import ModelSettings
from lib.churn.snapshots import Snapshots, moments_between, snapshots
from lib.churn.target import Floats, Target
from lib.churn.vocabulary import vocabulary_of
from lib.contract import load_mapping, read_checked, utc_us
from lib.evaluation import average_precision, bootstrap_interval, roc_auc
from tests.benchmarks.result import print_result
from tests.churn.small_model import calibrated

_MAPPINGS = Path(__file__).with_name("mappings")
_TEST, _FIRST, _LAST = utc_us(2011, 10), utc_us(2011, 5), utc_us(2011, 8, 2)
_MONTHS = tuple(utc_us(2011, month) for month in (5, 6, 7, 8))
TARGET = Target(means="no_invoice", window_days=60, active_days=90)


def rows_of(path: str) -> tuple[Snapshots, int]:
    """Rows at all moments, and how many rows of the file were read."""
    tables, read = {}, 0
    for name in ("customers", "invoices"):
        checked = read_checked(load_mapping(_MAPPINGS / f"retail_{name}.yaml", CONTRACTS), path)
        tables[name] = checked.good
        read = max(read, checked.rows_in)
        print(f"{name}: {checked.rows_in:,} rows, {checked.quarantined.num_rows} quarantined")
    base = vocabulary_of(tables["customers"]["segment"].unique().to_pylist(), (), ("invoices",))
    moments = sorted({*moments_between(_FIRST, _LAST, 7), *_MONTHS, _TEST})
    until = int(np.max(tables["invoices"]["event_time"].cast("int64").to_numpy()))
    return snapshots(stream(tables, base), base, moments, TARGET, until), read


def figures(split: Split, scores: Floats, seed: int) -> dict[str, float]:
    """AUC and average precision with intervals by customer."""
    test = split.test
    measures: dict[str, float] = {}
    for name, measure in (("auc", roc_auc), ("ap", average_precision)):
        interval = bootstrap_interval(
            lambda rows, measure=measure: measure(test.labels[rows], scores[rows]),  # type: ignore[misc]
            test.customers,
            seed,
            1000,
        )
        measures |= {
            name: interval.value,
            f"{name}_low": interval.low,
            f"{name}_high": interval.high,
        }
    return measures


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="online_retail.parquet")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    started = time.perf_counter()
    rows, read = rows_of(options.data)
    weekly = rows.take(np.isin(rows.at_us, [*moments_between(_FIRST, _LAST, 7), _TEST]))
    monthly = rows.take(np.isin(rows.at_us, [*_MONTHS, _TEST]))
    split = split_at(weekly, TARGET, _TEST)
    settings = ModelSettings().suited(TARGET)
    linear, trees = fit_halves(split.train, settings, options.seed)
    halves = linear.log_odds(split.test.matrix), trees.log_odds(split.test.matrix)
    ours = blended(*halves, settings.linear_share)
    calibrator, _ = calibrated(split.train, settings, options.seed)
    probabilities = calibrator.probabilities(ours)
    methods = {
        "rfm_logistic": rfm_scores(split_at(monthly, TARGET, _TEST)),
        "linear_half": halves[0],
        "boosted_half": halves[1],
        "ours": ours,
    }
    measures = {name: figures(split, scores, options.seed) for name, scores in methods.items()}
    for name, values in measures.items():
        print(
            f"{name:14} AUC {values['auc']:.4f} "
            f"({values['auc_low']:.3f}-{values['auc_high']:.3f})  "
            f"AP {values['ap']:.4f} ({values['ap_low']:.3f}-{values['ap_high']:.3f})"
        )
    better = {
        f"{name}_above_rfm": _difference(split, measure, methods, options.seed)
        for name, measure in (("auc", roc_auc), ("ap", average_precision))
    }
    print_result(
        read,
        time.perf_counter() - started,
        **measures,
        **better,
        ece=expected_calibration_error(split.test.labels, probabilities),
        test_rows=len(split.test),
        prevalence=float(split.test.labels.mean()),
        training_rows=len(split.train),
        features=len(rows.names),
        data=Path(options.data).name,
    )


def _difference(
    split: Split, measure: object, methods: dict[str, Floats], seed: int
) -> tuple[float, float, float]:
    """Ours less the baseline, with the interval of the difference."""
    labels, ours, baseline = split.test.labels, methods["ours"], methods["rfm_logistic"]
    interval = bootstrap_interval(
        lambda rows: measure(labels[rows], ours[rows]) - measure(labels[rows], baseline[rows]),  # type: ignore[operator]
        split.test.customers,
        seed,
        1000,
    )
    return interval.value, interval.low, interval.high


if __name__ == "__main__":
    main()
