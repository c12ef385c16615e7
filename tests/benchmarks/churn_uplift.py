"""Whom does an e-mail change? Hillstrom's randomised experiment through `jobs.churn.train_uplift`.

`python -m tests.benchmarks.churn_uplift --data FOLDER` reads 64,000 customers, a third of whom got
an e-mail of men's goods, a third one of women's goods, a third none; once for each of two outcomes,
a visit and a purchase within two weeks. Every customer is scored by models that did not see it.
Qini and AUUC are outcomes per 10,000 customers, with 95% intervals over customers, beside the
S-learner, the highest chance of the outcome first, and a random order. The last line is JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from jobs.churn import train_uplift
from jobs.churn.train_uplift import TrainUpliftConfig
from tests.benchmarks.result import print_result

_MAPPING = Path(__file__).with_name("mappings") / "hillstrom.yaml"
_PER = 10_000.0


@dataclass(frozen=True)
class Config:
    """Train on both outcomes and print the figures."""

    data: Path
    """folder with hillstrom.parquet"""
    outcomes: tuple[str, ...] = ("visit", "conversion")
    """source columns of the outcomes"""
    bootstrap: int = 300
    """draws of customers for the intervals"""
    seed: int = 7
    """of folds, fits and draws"""


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """By intervention: effect in percent, and by way Qini, AUUC and how far ours lies above."""
    interventions = {
        name: {
            "effect_percent": _scaled(own["effect"], 100.0),
            "suffices": own["suffices"],
            **_ways(own["methods"]),
        }
        for name, own in report["interventions"].items()
    }
    return {**interventions, "mean": _ways(report["methods"])}


def _ways(methods: dict[str, Any]) -> dict[str, Any]:
    return {
        way: {
            "qini": _scaled(method["qini"], _PER),
            "auuc": _scaled(method["auuc"], _PER),
            **({"ours_above": _scaled(method["behind"], _PER)} if method["behind"] else {}),
        }
        for way, method in methods.items()
    }


def _scaled(interval: dict[str, float], scale: float) -> list[float]:
    return [round(scale * interval[end], 2) for end in ("value", "low", "high")]


def main(config: Config) -> None:
    """Train, and print the JSON line."""
    started, data = time.perf_counter(), config.data / "hillstrom.parquet"
    results, rows = {}, 0
    with tempfile.TemporaryDirectory() as name:
        for outcome in config.outcomes:
            mapping, output = Path(name) / f"{outcome}.yaml", Path(name) / outcome
            mapping.write_text(_MAPPING.read_text().replace("from: visit", f"from: {outcome}"))
            train_uplift.main(
                TrainUpliftConfig(
                    experiment=str(data),
                    mapping_experiment=mapping,
                    output=str(output),
                    bootstrap=config.bootstrap,
                    seed=config.seed,
                )
            )
            report = json.loads((output / "report.json").read_text())
            results[outcome], rows = figures(report), report["rows"]["rows_in"]
    print_result(rows, time.perf_counter() - started, file=data.name, **results)


if __name__ == "__main__":
    main(tyro.cli(Config))
