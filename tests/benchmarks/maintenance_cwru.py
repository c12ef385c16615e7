"""Bearing faults from vibration, split by load: python -m tests.benchmarks.maintenance_cwru

Signals of the Case Western Reserve University bearing centre, cut into windows. A classifier learns
on three motor loads and is asked about the fourth; random windows would put neighbours of the same
recording on both sides, so that split is shown only to say how much it leaks. The classifier, its
settings and the windows were fixed before any accuracy was looked at. The only Normal signal is of
load 0: left out, it is told wrong throughout, since no other load shows it; loads 1 to 3 ask about
nine classes. Every fault is one specimen, so nothing is said of other bearings.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.ensemble import RandomForestClassifier

from lib.evaluation import bootstrap_interval
from lib.maintenance.waveform import Bearing, feature_names, waveform_features
from tests.benchmarks.result import print_result

SKF_6205 = Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04)
WINDOW_SECONDS = 0.34


def main() -> None:
    """Windows, features, one forest per load left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of cwru_de.parquet")
    options = parser.parse_args()
    start = time.perf_counter()
    table = pq.read_table(options.data / "cwru_de.parquet").to_pylist()
    rows, classes, loads, signals = windows(table)
    names = feature_names(SKF_6205)
    levels = [names.index(name) for name in ("rms", "kurtosis")]
    every = list(range(len(names)))
    result: dict[str, object] = {}
    print(f"{len(table)} signals, {len(rows)} windows of {WINDOW_SECONDS} s, ten classes")
    print("load left out   windows   all features            rms and kurtosis   most frequent")
    hits = {"ours": np.zeros(len(rows)), "levels": np.zeros(len(rows))}
    for load in np.unique(loads):
        test = loads == load
        for key, columns in (("ours", every), ("levels", levels)):
            hits[key][test] = accuracy(rows[:, columns], classes, ~test, test)
        common = (classes[test] == most_frequent(classes[~test])).mean()
        print(
            f"{load} hp {test.sum():16d} {hits['ours'][test].mean():14.4f} "
            f"{hits['levels'][test].mean():26.4f} {common:15.4f}"
        )
        result[f"load_{load}"] = round(float(hits["ours"][test].mean()), 4)
    interval = bootstrap_interval(lambda some: float(hits["ours"][some].mean()), signals, seed=1)
    leak = np.random.default_rng(1).random(len(rows)) < 0.25
    leaking = float(accuracy(rows, classes, ~leak, leak).mean())
    print(f"all loads: {interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f} by signals)")
    print(f"random windows, which leak: {leaking:.4f}")
    result |= {"accuracy": round(interval.value, 4), "accuracy_low": round(interval.low, 4)}
    result |= {"accuracy_high": round(interval.high, 4), "random_windows": round(leaking, 4)}
    result["rms_and_kurtosis"] = round(float(hits["levels"].mean()), 4)
    print_result(len(table), time.perf_counter() - start, windows=len(rows), **result)


def windows(table: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features, class, load and signal of every window; none overlaps another."""
    rows, classes, loads, signals = [], [], [], []
    for number, signal in enumerate(table):
        samples = np.asarray(signal["de"], dtype=np.float64)
        size = int(WINDOW_SECONDS * signal["fs"])
        for first in range(0, len(samples) - size + 1, size):
            part = samples[first : first + size]
            rows.append(waveform_features(part, signal["fs"], signal["rpm"] / 60.0, SKF_6205))
            classes.append(f"{signal['fault']} {signal['diam_mil']}")
            loads.append(signal["load_hp"])
            signals.append(number)
    return np.array(rows), np.array(classes), np.array(loads), np.array(signals)


def accuracy(
    rows: np.ndarray, classes: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Whether each test window is told right."""
    forest = RandomForestClassifier(300, min_samples_leaf=2, random_state=0, n_jobs=1)
    return forest.fit(rows[train], classes[train]).predict(rows[test]) == classes[test]


def most_frequent(classes: np.ndarray) -> str:
    """The class that most windows have."""
    names, counts = np.unique(classes, return_counts=True)
    return names[counts.argmax()]


if __name__ == "__main__":
    main()
