"""Survival models on classic data: python -m tests.benchmarks.survival_classic

lifelines' own gbsg2 (breast cancer, 686) and lung (228), 5 folds x 5 seeds; settings fixed before.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import torch
from lifelines.datasets import load_gbsg2, load_lung

from lib.survival.blending import blend, fit_weight, folds
from lib.survival.cox import fit_cox
from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.measures import concordance, d_calibration, integrated_brier_score
from lib.survival.outcomes import Outcomes, SurvivalError
from lib.survival.settings import HazardSettings
from lib.survival.training import fit_network
from tests.benchmarks.result import print_result

NETWORK = HazardSettings(
    hidden=(32, 16),
    dropout=0.4,
    intervals=8,
    epochs=30,
    batch_size=64,
    learning_rate=5e-3,
    weight_decay=0.2,
    held_out=0.2,
    members=5,
)
MODELS = ("kaplan_meier", "cox", "network", "blend")


def main() -> None:
    """Both data sets, all folds and seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    result, rows = {}, 0
    for name, table in (("gbsg2", load_gbsg2()), ("lung", load_lung())):
        runs = [run for seed in range(options.seeds) for run in one_seed(*prepared(table), seed)]
        rows += len(table)
        result[name] = summary(name, runs)
    print_result(rows, time.perf_counter() - start, seeds=options.seeds, **result)


def prepared(table: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray, Outcomes]:
    """Names, rows and outcomes; texts become 0/1 columns."""
    event = "cens" if "cens" in table else "status"
    complete_rows = table[table["time"].notna()]
    columns = pd.get_dummies(complete_rows.drop(columns=["time", event]), drop_first=True).astype(
        float
    )
    return (
        tuple(columns),
        columns.to_numpy(),
        Outcomes(complete_rows["time"], complete_rows[event] == complete_rows[event].max()),
    )


def one_seed(
    names: tuple[str, ...], rows: np.ndarray, outcomes: Outcomes, seed: int
) -> list[dict[str, dict[str, float]]]:
    """Figures of each fold."""
    fold_measures = []
    for train, test in folds(np.arange(len(rows)), 5, seed):
        train_outcomes, truth = outcomes.take(train), outcomes.take(test)
        last = min(np.quantile(train_outcomes.time, 0.9), truth.time.max() * 0.999)
        times = np.linspace(np.quantile(train_outcomes.time, 0.05), last, 40)
        censoring = KaplanMeier.fit_censoring(train_outcomes)
        curves = fold_curves(names, rows, train_outcomes, train, test, seed)
        fold_measures.append(
            {
                name: {
                    "ibs": integrated_brier_score(truth, each, times, censoring),
                    "c_td": concordance(truth, each),
                    "d_calibration_p": d_calibration(truth, each).p_value,
                }
                for name, each in curves.items()
            }
        )
    return fold_measures


def fold_curves(
    names: tuple[str, ...],
    rows: np.ndarray,
    train_outcomes: Outcomes,
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
) -> dict[str, Curves]:
    """Curves of the test rows; the blend's weight from folds of the training rows."""
    grid = np.linspace(0.0, float(train_outcomes.time[train_outcomes.failed].max()), 60)
    inner = {"cox": np.empty((len(train), 60)), "network": np.empty((len(train), 60))}
    for kept, left in folds(np.arange(len(train)), 4, seed):
        for name, predict in fitted(
            names, rows[train[kept]], train_outcomes.take(kept), seed
        ).items():
            inner[name][left] = predict(rows[train[left]]).at(grid)
    first, second = (Curves(grid, inner[name]) for name in ("network", "cox"))
    weight = fit_weight(train_outcomes, first, second, grid[1:-6])
    curves = {
        name: predict(rows[test])
        for name, predict in fitted(names, rows[train], train_outcomes, seed).items()
    }
    curves["kaplan_meier"] = KaplanMeier.fit(train_outcomes).curves(len(test))
    curves["blend"] = blend(curves["network"], curves["cox"], weight, grid)
    return curves


def fitted(names: tuple[str, ...], rows: np.ndarray, outcomes: Outcomes, seed: int):
    """Both models of these rows."""
    network = fit_network(names, rows, outcomes, np.arange(len(rows)), NETWORK, seed)
    try:
        cox = fit_cox(names, rows, outcomes, penalty=0.01)
    except SurvivalError:
        cox = fit_cox(names, rows, outcomes, penalty=0.1)
    return {"network": network.curves, "cox": cox.curves}


def summary(name: str, runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Means and standard errors over folds and seeds, printed."""
    print(f"{name}: {len(runs)} test folds")
    measures = {}
    for model in MODELS:
        cells = {}
        for key in ("ibs", "c_td", "d_calibration_p"):
            values = np.array([run[model][key] for run in runs])
            cells[key] = round(float(values.mean()), 4)
            cells[f"{key}_error"] = round(float(values.std(ddof=1) / np.sqrt(len(values))), 4)
        away = np.array([run[model]["ibs"] - run["cox"]["ibs"] for run in runs])
        cells["ibs_minus_cox"] = round(float(away.mean()), 5)
        cells["ibs_minus_cox_error"] = round(float(away.std(ddof=1) / np.sqrt(len(away))), 5)
        measures[model] = cells
        print(f"  {model:14s}" + "".join(f"  {key} {value}" for key, value in cells.items()))
    return measures


if __name__ == "__main__":
    main()
