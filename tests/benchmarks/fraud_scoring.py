"""One payment through 500 trees and a 256-128-64 network: microseconds by engine.

Run as `python -m tests.benchmarks.fraud_scoring`; the last line is one JSON object.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import tyro
import xgboost

from lib.calibration import fit_calibrator, sigmoid
from lib.fraud.model.model import Ensemble
from lib.fraud.model.network import fit_networks, seeded_perceptron
from lib.fraud.model.policy import Policy
from lib.fraud.model.sample import Sample
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.stacking import MetaLearner
from lib.fraud.model.trees import fit_trees
from tests.benchmarks.result import hardware, version


@dataclass(frozen=True)
class Options:
    """Measure the ways to score one payment, on made-up rows."""

    rows: int = 20_000
    """rows the model is fitted on"""
    features: int = 40
    """features of a payment"""
    trees: int = 500
    """trees of depth 6"""
    calls: int = 3_000
    """calls of each way"""


def made_up(options: Options) -> Sample:
    """Rows with missing values and an interaction."""
    generator = np.random.default_rng(1)
    matrix = generator.normal(size=(options.rows, options.features)).astype(np.float32)
    truth = -3 + matrix[:, 0] + matrix[:, 1] * matrix[:, 2]
    labels = generator.random(options.rows) < sigmoid(truth)
    matrix[generator.random(matrix.shape) < 0.1] = np.nan
    return Sample(matrix, labels, np.ones(options.rows))


def fitted(sample: Sample, options: Options) -> Ensemble:
    """An ensemble of the full size."""
    trees = fit_trees(sample, None, TreeSettings(trees=options.trees), seed=1, threads=1)
    networks, _ = fit_networks(sample, None, NetworkSettings(epochs=2), seed=1)
    meta = MetaLearner(0.1, 0.6, 0.4)
    raw = meta.log_odds(trees.log_odds(sample.matrix), networks.log_odds(sample.matrix))
    calibrator = fit_calibrator(raw, sample.labels, "isotonic")
    names = tuple(f"f{number}" for number in range(options.features))
    return Ensemble(names, "0" * 64, trees, networks, meta, calibrator, Policy(0.1, 0.5, 10_000.0))


def median_us(call: Callable[[int], object], options: Options) -> float:
    """Median microseconds of a call, after a tenth of the calls to warm up."""
    durations = np.empty(options.calls)
    for index in range(-options.calls // 10, options.calls):
        started = time.perf_counter_ns()
        call(index % 1_000)
        if index >= 0:
            durations[index] = time.perf_counter_ns() - started
    return round(float(np.median(durations)) / 1_000, 1)


def ways(ensemble: Ensemble, rows: np.ndarray) -> dict[str, Callable[[int], object]]:
    """Each way to answer for one row."""
    booster = ensemble.trees.boosters[0]
    booster.set_param({"nthread": 1})
    network = seeded_perceptron(ensemble.networks.standardiser.width, NetworkSettings(), 1).eval()
    inputs = ensemble.networks.standardiser.apply(rows)
    tensor = torch.from_numpy(inputs)
    scorer = ensemble.scorer()

    def torch_eager(row: int) -> object:
        with torch.inference_mode():
            return network(tensor[row : row + 1])

    return {
        "trees_xgboost": lambda at: booster.inplace_predict(
            rows[at : at + 1], predict_type="margin"
        ),
        "network_torch": torch_eager,
        "network_numpy": lambda at: ensemble.networks.members[0].log_odds(inputs[at : at + 1]),
        "network_numpy_scaled": lambda at: ensemble.networks.log_odds(rows[at : at + 1]),
        "both_reference": lambda at: ensemble.score(rows[at : at + 1]),
        "both_onnx": lambda at: scorer.log_odds(rows[at : at + 1]),
        "served": lambda at: scorer.score(rows[at : at + 1]),
        "reasons": lambda at: scorer.reasons(rows[at]),
        "reasons_xgboost_shap": lambda at: booster.predict(
            xgboost.DMatrix(rows[at : at + 1]), pred_contribs=True
        ),
    }


def main(options: Options) -> dict[str, object]:
    """Fit, measure and print; answers the JSON object."""
    started = time.monotonic()
    torch.set_num_threads(1)
    sample = made_up(options)
    ensemble = fitted(sample, options)
    rows = sample.matrix[:1_200]
    scorer = ensemble.scorer()
    single = np.array([scorer.score(row[None, :])[0] for row in rows])
    result: dict[str, object] = {
        "microseconds_p50": {
            name: median_us(call, options) for name, call in ways(ensemble, rows).items()
        },
        "served_against_trained": float(np.abs(scorer.score(rows) - ensemble.score(rows)).max()),
        "single_against_batch": float(np.abs(single - scorer.score(rows)).max()),
        "rows_read": options.rows,
        "seconds": round(time.monotonic() - started, 1),
        "hardware": hardware(),
        "version": version(),
    }
    for name, median in result["microseconds_p50"].items():  # type: ignore[attr-defined]
        print(f"{name:24}{median:>10.1f} us")
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main(tyro.cli(Options))
