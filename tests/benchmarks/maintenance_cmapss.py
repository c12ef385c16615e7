"""Remaining life of turbofans by survival curves: python -m tests.benchmarks.maintenance_cmapss

Complete histories of engines run to failure; the test engines are cut off, with their true
remaining life beside them. A row is an engine at a cycle; the time unit is a cycle. Remaining life
is capped at 125 cycles and scored once per test engine, at its last cycle, as published work does.
Intervals are fitted on out-of-fold curves, weighed to the ages at which engines are asked about.
Every setting was chosen by folds over the training engines; the blend's weight and the width of
the intervals are fitted out of fold. Figures are medians over seeds.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from xgboost import XGBRegressor

from lib.contract import TIME, load_mapping, read_checked, utc_us
from lib.maintenance.contracts import TELEMETRY
from lib.maintenance.feature_set import HOUR_US, AssetFeatureSet, Sensor
from lib.maintenance.model.rows import TrainingRows, concat, landmarks
from lib.maintenance.offline import histories
from lib.survival.blending import Rows, blend, fit_weight, folds
from lib.survival.cox import fit_cox
from lib.survival.curves import Curves
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.measures import concordance, integrated_brier_score
from lib.survival.outcomes import Outcomes
from lib.survival.prediction_interval import PredictionInterval
from lib.survival.settings import HazardSettings
from lib.survival.training import fit_network
from tests.benchmarks.result import ROOT, print_result

CAP = 125.0
START_US = utc_us(2000)
YOUNGEST = 10
STRIDE = 1
WINDOWS = (5, 15, 30)
GRID = np.linspace(0.0, CAP, 126)
SCORED = np.linspace(2.5, CAP - 2.5, 49)
NETWORK = HazardSettings(horizon=CAP, intervals=25, epochs=25, dropout=0.3, members=2, held_out=0)
TREES = {
    "n_estimators": 300,
    "max_depth": 5,
    "learning_rate": 0.03,
    "subsample": 0.5,
    "colsample_bytree": 0.3,
    "min_child_weight": 20,
    "n_jobs": 1,
}
MAPPING = ROOT / "tests/benchmarks/mappings/cmapss_telemetry.yaml"
MODELS = ("kaplan_meier", "gradient_boosting", "cox", "deep", "blend")


@dataclass(frozen=True)
class Engines:
    """Rows to learn from, the last row of each test engine, and the names of the columns."""

    train: TrainingRows
    test: TrainingRows
    names: tuple[str, ...]
    rows_read: int


def main() -> None:
    """Read, fit for each seed, print the table and the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of train_, test_, RUL_")
    parser.add_argument("--subset", default="FD001", help="which subset's files")
    parser.add_argument("--mapping", type=Path, default=MAPPING, help="their columns into ours")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    engines = read(options.data, options.subset, options.mapping)
    runs = [scores(engines, seed) for seed in range(options.seeds)]
    result = {
        model: {
            key: round(float(np.median([run[model][key] for run in runs])), 4)
            for key in runs[0][model]
        }
        for model in (*MODELS, "blend_60_40")
    }
    show(engines, result)
    seconds = time.perf_counter() - start
    spread = [round(run["blend"]["rmse"], 2) for run in runs]
    about = {"subset": options.subset, "seeds": options.seeds, "blend_rmse_by_seed": spread}
    about["weight_of_deep"] = [round(run["weight"]["deep"], 3) for run in runs]
    print_result(engines.rows_read, seconds, **about, **result)


def read(folder: Path, subset: str, mapping_file: Path) -> Engines:
    """Rows of every cycle of the training engines, and the last cycle of the others."""
    mapping = load_mapping(mapping_file, (TELEMETRY,))
    train, test = (
        read_checked(mapping, folder / f"{part}_{subset}.parquet").good
        for part in ("train", "test")
    )
    sensors = mapping.contract.names[2:]
    live = [name for name in sensors if np.ptp(train[name].to_numpy()) > 1e-9]
    features = AssetFeatureSet(tuple(Sensor(name) for name in live), windows_hours=WINDOWS)
    true = dict(enumerate(pq.read_table(folder / f"RUL_{subset}.parquet")["rul"].to_pylist(), 1))
    learned, test_rows = [], []
    for history in histories(features, train, machines=new(train)):
        failure, first = history.times_us[-1], history.times_us[0]
        at = history.times_us[history.times_us >= first + (YOUNGEST - 1) * HOUR_US][::-STRIDE]
        learned.append(landmarks(features, history, at[::-1], [failure], int(failure)))
    for history in histories(features, test, machines=new(test)):
        last = history.times_us[-1]
        failure = last + true[int(history.machine_id)] * HOUR_US
        test_rows.append(landmarks(features, history, [last], [failure], int(failure)))
    kept = [column for column, name in enumerate(features.names) if informative(name)]
    parts = [concat(part) for part in (learned, test_rows)]
    names = tuple(features.names[column] for column in kept)
    chosen = [replace(p, rows=p.rows[:, kept]) for p in parts]
    return Engines(chosen[0], chosen[1], names, train.num_rows + test.num_rows)


def new(telemetry: pa.Table) -> pa.Table:
    """Every engine put into service at cycle 0; cycles flown are known of any engine."""
    engines = pc.unique(telemetry["machine_id"])
    installed = pa.array(np.full(len(engines), START_US)).cast(TIME)
    return pa.table({"machine_id": engines, "installed_at": installed})


def informative(name: str) -> bool:
    """Means, slopes and levels, and cycles flown; spreads and extremes only add noise here."""
    return "_mean_" in name or "_slope_" in name or name.endswith(("_level", "age_hours"))


def scores(engines: Engines, seed: int) -> dict[str, dict[str, float]]:
    """Figures of every model for one seed."""
    train, test = engines.train, engines.test
    outcomes, truth = train.outcomes.capped(CAP), test.outcomes.capped(CAP)
    fits = {"cox": cox_of(engines), "deep": deep_of(engines, seed)}
    inner = {name: out_of_fold(fit, engines, seed) for name, fit in fits.items()}
    all_rows = np.arange(len(train))
    outer = {name: fit(all_rows)(None) for name, fit in fits.items()}
    weight = fit_weight(outcomes, inner["deep"], inner["cox"], SCORED)
    for name, share in (("blend", weight), ("blend_60_40", 0.6)):
        inner[name] = blend(inner["deep"], inner["cox"], share, GRID)
        outer[name] = blend(outer["deep"], outer["cox"], share, GRID)
    inner["gradient_boosting"], outer["gradient_boosting"] = boosted(engines, seed)
    population = KaplanMeier.fit(outcomes)
    inner["kaplan_meier"] = population.curves(len(train))
    outer["kaplan_meier"] = population.curves(len(test))
    weights = likeness(engines)
    results = {
        name: figures(outcomes, inner[name], truth, outer[name], weights, train.machines)
        for name in outer
    }
    summary = ", ".join(f"{name} {values['rmse']:.2f}" for name, values in results.items())
    print(f"seed {seed}: RMSE {summary}; weight of deep {weight:.3f}", flush=True)
    return {**results, "weight": {"deep": weight}}


def out_of_fold(fit, engines: Engines, seed: int) -> Curves:
    """Curves of every row by a model that saw none of its engine."""
    survival = np.empty((len(engines.train), len(GRID)))
    for rows, rest in folds(engines.train.machines, 5, seed):
        survival[rest] = fit(rows)(rest).at(GRID)
    return Curves(GRID, survival)


def cox_of(engines: Engines):
    """Ridge Cox on means and slopes, every tenth cycle."""
    columns = [
        column
        for column, name in enumerate(engines.names)
        if name.endswith(("_mean_15h", "_slope_per_h_30h", "_level", "age_hours"))
    ]
    names = tuple(engines.names[column] for column in columns)

    def fit(rows: Rows):
        few = rows[::10]
        outcomes = engines.train.outcomes.take(few).capped(CAP)
        model = fit_cox(names, engines.train.rows[few][:, columns], outcomes, penalty=0.01)
        return lambda query: model.curves(source(engines, query)[:, columns])

    return fit


def deep_of(engines: Engines, seed: int):
    """Hazard networks on everything."""

    def fit(rows: Rows):
        part = engines.train.take(rows)
        network = fit_network(
            engines.names, part.rows, part.outcomes, part.machines, NETWORK, 10 * seed
        )
        return lambda query: network.curves(source(engines, query))

    return fit


def source(engines: Engines, rows: Rows | None) -> np.ndarray:
    """Columns of training rows, or of the test engines where no rows are named."""
    return engines.test.rows if rows is None else engines.train.rows[rows]


def boosted(engines: Engines, seed: int) -> tuple[Curves, Curves]:
    """A regression of remaining life, with its out-of-fold errors as the curve around it."""
    train, target = engines.train, np.minimum(engines.train.outcomes.time, CAP)

    def fit(rows: Rows) -> XGBRegressor:
        return XGBRegressor(**TREES, random_state=seed).fit(train.rows[rows], target[rows])

    inner = np.empty(len(train))
    for rows, rest in folds(train.machines, 5, seed):
        inner[rest] = fit(rows).predict(train.rows[rest])
    errors = np.quantile(target - inner, np.linspace(0.005, 0.995, 100))
    outer = fit(np.arange(len(train))).predict(engines.test.rows)
    return around(inner, errors), around(outer, errors)


def around(middle: np.ndarray, errors: np.ndarray) -> Curves:
    """Curves of a prediction with errors of known quantiles."""
    life = middle[:, None] + errors
    survival = np.stack([(life > at).mean(axis=1) for at in GRID], axis=1)
    survival[:, 0] = 1.0
    return Curves(GRID, np.maximum(survival, 1e-4))


def likeness(engines: Engines) -> np.ndarray:
    """(n,) how much more frequent each training row's age is among the engines to be predicted.

    Those are cut off at ages that are known, while training rows come from whole lives.
    """
    column = engines.names.index("age_hours")
    ages, test_ages = engines.train.rows[:, column], engines.test.rows[:, column]
    edges = np.quantile(test_ages, np.linspace(0.0, 1.0, 9)[1:-1])
    train_counts, there = (
        np.bincount(np.searchsorted(edges, part), minlength=8) for part in (ages, test_ages)
    )
    return (there / there.sum() / (train_counts / train_counts.sum()))[np.searchsorted(edges, ages)]


def figures(
    outcomes: Outcomes,
    inner: Curves,
    truth: Outcomes,
    outer: Curves,
    weights: np.ndarray,
    engines: np.ndarray,
) -> dict[str, float]:
    """Figures on the test engines; widths of intervals from out-of-fold curves."""
    life, expected = np.minimum(truth.time, CAP), outer.restricted_mean(CAP)
    off = expected - life
    measures = {
        "rmse": float(np.sqrt(np.mean(off**2))),
        "score": float(np.where(off < 0, np.exp(-off / 13.0), np.exp(off / 10.0)).sum() - len(off)),
    }
    for level in (0.8, 0.95):
        fitted = PredictionInterval.fit(outcomes, inner, level, CAP, weights, engines)
        low, high = fitted.of(outer)
        inside = (low <= life) & (life <= high)
        measures[f"cover_{level * 100:.0f}"] = float(inside.mean())
        measures[f"width_{level * 100:.0f}"] = float((high - low).mean())
    measures["c_td"] = concordance(truth, outer)
    measures["ibs"] = integrated_brier_score(truth, outer, SCORED)
    error = inner.restricted_mean(CAP) - np.minimum(outcomes.time, CAP)
    return {**measures, "rmse_out_of_fold": float(np.sqrt(np.average(error**2, weights=weights)))}


def show(engines: Engines, result: dict[str, dict[str, float]]) -> None:
    """The table that people read."""
    print(f"{len(engines.train)} rows, {len(np.unique(engines.train.machines))} training engines; ")
    print(f"{len(engines.test)} test engines, {len(engines.names)} columns; time unit: cycles")
    keys = list(result["blend"])
    print("model".ljust(20) + "".join(key.rjust(18) for key in keys))
    for model, values in result.items():
        print(model.ljust(20) + "".join(f"{values[key]:18.4f}" for key in keys))


if __name__ == "__main__":
    main()
