"""Options of a small retraining of the fraud model, also for a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from jobs.fraud import retrain
from jobs.fraud.retrain import RetrainConfig
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths
from tests.fraud.changed_fraud import PaymentFiles
from tests.jobs.retraining_records import retraining
from tests.local_ray import local_ray

SMALL = {
    "engine": "process",
    "trees": TreeSettings(trees=60, depth=4, learning_rate=0.15, boosters=1),
    "network": NetworkSettings(hidden=(8,), epochs=2, networks=1),
    "slices": Lengths(label_delay=3, folds=1, test=10, calibrate=8),
    "bootstrap": 60,
    "baselines": False,
    "simulated": True,
    "progress": "none",
}


def options(files: PaymentFiles, registry: Path, folder: Path) -> RetrainConfig:
    """Options of a retraining on files, whose records are there and empty."""
    named: dict[str, Any] = {
        "transactions": str(files.transactions),
        "labels": str(files.labels),
        "measure_margin": 0.05,
    }
    config: RetrainConfig = retraining(RetrainConfig, SMALL | named, registry, folder)
    return config


def main(transactions: str, labels: str, registry: str, folder: str) -> None:
    """Retrain on a small Ray, and print the version."""
    files = PaymentFiles(Path(transactions), Path(labels))
    with local_ray(num_cpus=1):
        print(retrain.main(options(files, Path(registry), Path(folder)))["version"])


if __name__ == "__main__":
    main(*sys.argv[1:])
