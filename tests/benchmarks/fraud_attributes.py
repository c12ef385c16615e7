"""What do columns of one's own add, and are they the same in files and in profiles?

`python -m tests.benchmarks.fraud_attributes` simulates payments with a category of sixty values, a
channel, a flag and twenty-one numbers, of which some tell fraud apart; trains by `jobs.fraud.train`
with them and a feature file, and without; and replays the payments through SQLite and Redis. Equal
means the same 64 bits, or missing on both sides. The last line is one JSON object.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import tyro

from jobs.fraud import train
from jobs.fraud.train import TrainConfig
from lib.feature import FeatureSet
from lib.fraud.payment_features import PaymentFeatures
from tests.benchmarks.fraud_parity import observed, opened
from tests.benchmarks.result import print_result
from tests.fraud.attribute_files import AttributeFiles, write_files


@dataclass(frozen=True)
class Config:
    """Train with and without attributes, and compare files with profiles."""

    users: int = 2_400
    """users of the simulation"""
    days: int = 90
    """days of the simulation"""
    limit: int = 200_000
    """payments that are replayed"""
    seed: int = 5
    """of the simulation and of the training"""


def trained(files: AttributeFiles, folder: Path, config: Config, **options: str) -> Path:
    """The output of a training on the files, with further options."""
    named: dict[str, Any] = {
        "transactions": str(files.transactions),
        "labels": str(files.labels),
        "output": str(folder),
        "engine": "process",
        "quick": True,
        "baselines": False,
        "simulated": True,
        "seed": config.seed,
        "progress": "none",
        **options,
    }
    train.main(TrainConfig(**named))
    return folder


def differing(table: pa.Table, feature_set: FeatureSet, kind: str) -> int:
    """How many values of a table's features a store of the kind gives otherwise."""
    dropped = [name for name in feature_set.names if name not in feature_set.kept_columns]
    with opened(kind) as store:
        online = observed(table.drop_columns(dropped), store, feature_set)
    offline = np.column_stack([table[name].to_numpy() for name in feature_set.names])
    return int((~((online == offline) | (np.isnan(online) & np.isnan(offline)))).sum())


def intervals_of(output: Path) -> dict[str, list[float]]:
    """Measures of a training on its test days, each with the ends of its 95% interval."""
    stored = json.loads((output / "report.json").read_text())["intervals"]
    ends = ("value", "low", "high")
    return {name: [round(each[end], 3) for end in ends] for name, each in stored.items()}


def main(config: Config) -> None:
    """Simulate, train twice, replay, print the JSON line."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_files(folder, config.users, config.days, config.seed, fraud_share=0.005)
        own = {"mapping_transactions": str(files.mapping), "feature_file": str(files.features)}
        runs = {
            "with": trained(files, folder / "with", config, **own),
            "without": trained(files, folder / "without", config),
        }
        measured = {run: intervals_of(output) for run, output in runs.items()}
        note = json.loads((runs["with"] / "features" / "features.json").read_text())
        feature_set = PaymentFeatures.from_json(note).feature_set
        table = ds.dataset(runs["with"] / "features" / "data").to_table()
        keys = ("received_at", "event_time", "transaction_id")  # as payments are processed
        table = table.sort_by([(key, "ascending") for key in keys])
        replayed = table.slice(0, config.limit)
        counts = {kind: differing(replayed, feature_set, kind) for kind in ("sqlite", "redis")}
    print_result(
        len(replayed),
        time.perf_counter() - started,
        payments=len(table),
        features=len(feature_set.names),
        values=len(replayed) * len(feature_set.names),
        **{f"differing_{kind}": count for kind, count in counts.items()},
        **{f"{key}_{run}": measured[run][key] for run in measured for key in ("ap", "auc")},
    )


if __name__ == "__main__":
    main(tyro.cli(Config))
