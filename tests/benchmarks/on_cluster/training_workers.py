"""Seconds of the same fit of both halves by one and by two training workers.

`python -m tests.benchmarks.on_cluster.training_workers` prints the figures. On a machine with two
cores the second worker shares them with Ray, the driver and whatever else runs.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from jobs.framework.workers import Workers
from jobs.framework.xgboost_training import XGBoostData, fit_boosted_trees
from jobs.fraud.distributed_network import fit_networks_on_workers
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix, fit_standardiser
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.trees import booster_parameters
from lib.storage import open_storage, write_parquet
from tests.jobs.training_rows import write_rows

ROWS = 300_000
TREES = TreeSettings(trees=100, depth=6)
NETWORK = NetworkSettings(hidden=(128, 64), epochs=4, patience=4)
_SEED = 7


def measure() -> dict[str, float]:
    """Seconds of each half by one and two workers, and how much faster two are."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        table = _rows(Path(folder))
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            figures: dict[str, float] = {}
            for workers in (1, 2):
                files = _shards(table, Path(folder) / f"by-{workers}", workers)
                figures |= _fit(table, files, workers, Path(folder) / f"by-{workers}")
        finally:
            ray.shutdown()
    for half in ("trees", "network"):
        single, two = (figures[f"training_{half}_{workers}_workers_s"] for workers in (1, 2))
        figures[f"training_{half}_speedup"] = round(single / two, 2)
    return figures


def _rows(folder: Path) -> pa.Table:
    data = write_rows(folder / "features", rows=ROWS) / "data"
    return pq.read_table(data)


def _shards(table: pa.Table, folder: Path, count: int) -> tuple[str, ...]:
    """Training files as the job writes them, one for each worker."""
    storage = open_storage(folder)
    ready = table.select(FRAUD.names)
    ready = ready.append_column("label", table["fraud_from"].is_valid().cast("float32"))
    ready = ready.append_column("weight", pa.array([1.0] * len(table), "float32"))
    row_ranges = [range(start, len(table), count) for start in range(count)]
    return tuple(
        write_parquet(ready.take(pa.array(rows)), storage, f"{number}.parquet")
        for number, rows in enumerate(row_ranges)
    )


def _fit(table: pa.Table, files: tuple[str, ...], workers: int, folder: Path) -> dict[str, float]:
    started = time.monotonic()
    fit_boosted_trees(
        XGBoostData(files, (), FRAUD.names),
        booster_parameters(TREES, _SEED),
        TREES.trees,
        TREES.early_stopping,
        Workers(workers),
    )
    between = time.monotonic()
    fit_networks_on_workers(
        files,
        FRAUD.names,
        fit_standardiser(feature_matrix(table, FRAUD.names)),
        NETWORK,
        _SEED,
        Workers(workers),
        open_storage(folder),
    )
    ended = time.monotonic()
    return {
        f"training_trees_{workers}_workers_s": round(between - started, 1),
        f"training_network_{workers}_workers_s": round(ended - between, 1),
    }


def main() -> None:
    """Print the figures."""
    print(json.dumps(measure()))


if __name__ == "__main__":
    main()
