"""What killing a node costs: rows lost or doubled by the features job, quality lost by training.

The nodes are raylets on this machine; a killed one ends with everything on it, without a word.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from jobs.fraud import train
from jobs.fraud.features import FeaturesConfig, write_features
from jobs.fraud.training_config import TrainConfig
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths
from lib.fraud.simulation import SimulationConfig, simulate
from tests.cluster.several_nodes import busy_nodes, killing, nodes_of, once_steady, several_nodes
from tests.jobs.training_rows import write_rows

FILES = 3
_MIDDLE_SECONDS = 3.0


def measure() -> dict[str, float]:
    """Both, on clusters of their own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return measure_features(Path(folder)) | measure_training(Path(folder))


def write_sources(folder: Path, users: int = 150, days: int = 40) -> dict[str, str]:
    """Payments in several files, some sent twice and some malformed, and their labels."""
    simulation = simulate(
        SimulationConfig(users=users, days=days, retry_share=0.02, malformed_share=0.01), seed=5
    )
    rows = simulation.transactions.num_rows
    (folder / "transactions").mkdir(parents=True)
    for number in range(FILES):
        part = simulation.transactions.slice(number * rows // FILES, rows // FILES + FILES)
        pq.write_table(part, folder / "transactions" / f"{number}.parquet")
    pq.write_table(simulation.labels, folder / "labels.parquet")
    return {"transactions": f"{folder}/transactions", "labels": f"{folder}/labels.parquet"}


def measure_features(folder: Path) -> dict[str, float]:
    """Compute features undisturbed, then again while a node is killed; compare row by row."""
    sources = write_sources(folder / "sources")
    calm, disturbed = (
        FeaturesConfig(**sources, output=str(folder / name), partitions=2)
        for name in ("calm", "disturbed")
    )
    with several_nodes(3) as cluster:
        write_features(calm)
        started = time.monotonic()
        ledger = folder / "disturbed/work/quarantine/transactions/ledger"
        joining = _when(lambda: any(ledger.glob("keys-*.json")))
        with killing(cluster, joining) as killer:
            write_features(disturbed)
        seconds = time.monotonic() - started
    if not killer.killed:
        raise RuntimeError("the features were there before a node could be killed: use more rows")
    return compare_features(Path(calm.output), Path(disturbed.output)) | {
        "kill_node_features_s": round(seconds, 1),
    }


def _when(come: Callable[[], bool]) -> Callable[[], set[str]]:
    """Busy nodes, once a moment has come."""
    return lambda: busy_nodes() if come() else set()


def compare_features(calm: Path, disturbed: Path) -> dict[str, float]:
    """Rows of one that the other lacks, has twice or has with other values, quarantine included."""
    before, after = (_sorted(folder / "data", "transaction_id") for folder in (calm, disturbed))
    ids_before, ids_after = (table["transaction_id"].to_pylist() for table in (before, after))
    notes = [json.loads((folder / "features.json").read_text()) for folder in (calm, disturbed)]
    aside = [_quarantined(folder) for folder in (calm, disturbed)]
    return {
        "kill_node_rows": len(ids_before),
        "kill_node_lost_rows": len(set(ids_before) - set(ids_after)),
        "kill_node_doubled_rows": len(ids_after) - len(set(ids_after)),
        "kill_node_other_values": float(not _equal(before, after)),
        "kill_node_quarantined": len(aside[0]),
        "kill_node_quarantine_differs": float(aside[0] != aside[1]),
        "kill_node_counts_differ": float(
            any(notes[0][name] != notes[1][name] for name in ("rows", "transactions", "labels"))
        ),
    }


def _sorted(folder: Path, key: str) -> pa.Table:
    return ds.dataset(folder, format="parquet").to_table().sort_by(key)


def _equal(before: pa.Table, after: pa.Table) -> bool:
    """The same values, NaN where NaN was, whatever the order of the columns."""
    ordered = after.select(before.column_names)
    return bool(before.to_pandas().equals(ordered.to_pandas()))


def _quarantined(output: Path) -> list[str]:
    """Every row set aside, with its reason, as text."""
    rows: list[str] = []
    for path in (output / "quarantine").rglob("*.parquet"):
        rows += [repr(sorted(row.items(), key=str)) for row in pq.read_table(path).to_pylist()]
    return sorted(rows)


def training_config(features: Path, output: Path) -> TrainConfig:
    """A small model that takes long enough to be disturbed."""
    return TrainConfig(
        output=str(output),
        features=str(features),
        num_workers=2,
        trees=TreeSettings(trees=250, depth=6, learning_rate=0.05, early_stopping=250),
        network=NetworkSettings(hidden=(16,), epochs=8, patience=8),
        slices=Lengths(label_delay=5, folds=2),
        bootstrap=2,
        baselines=False,
    )


def measure_training(folder: Path) -> dict[str, float]:
    """Train undisturbed, then again while a node of each half's workers is killed; compare."""
    features = write_rows(folder / "features", rows=20_000)
    calm, disturbed = (
        training_config(features, folder / name) for name in ("calm-model", "disturbed-model")
    )
    with several_nodes(4) as cluster:
        train.main(calm)
        _copy_folds(Path(calm.output), Path(disturbed.output))
        started = time.monotonic()
        trees = once_steady(lambda: nodes_of("_RemoteRayXGBoostActor"), _MIDDLE_SECONDS)
        run = Path(disturbed.output) / "stages"
        network = _when_checkpointed(run)
        with killing(cluster, trees) as first, killing(cluster, network) as second:
            train.main(disturbed)
        seconds = time.monotonic() - started
    if not (first.killed and second.killed):
        raise RuntimeError("training ended before a node of each half could be killed")
    before, after = (_measures(Path(config.output)) for config in (calm, disturbed))
    return {
        "kill_node_auc": round(after["auc"], 4),
        "kill_node_auc_change": round(after["auc"] - before["auc"], 4),
        "kill_node_ap": round(after["ap"], 4),
        "kill_node_ap_change": round(after["ap"] - before["ap"], 4),
        "kill_node_training_s": round(seconds, 1),
    }


def _copy_folds(calm: Path, disturbed: Path) -> None:
    """Folds are fitted once: their Ray tasks are not what is disturbed here."""
    (stage,) = (calm / "stages").iterdir()
    target = disturbed / "stages" / stage.name
    target.mkdir(parents=True)
    for path in stage.glob("fold-*"):
        shutil.copy(path, target)


def _when_checkpointed(stages: Path) -> Callable[[], set[str]]:
    """Nodes of the network's workers, once a checkpoint to resume from is there."""
    return lambda: (
        nodes_of("RayTrainWorker")
        if any(stages.glob("*/ray-train/network-*/checkpoint_*"))
        else set()
    )


def _measures(output: Path) -> dict[str, float]:
    measures: dict[str, float] = json.loads((output / "report.json").read_text())["measures"][
        "ensemble"
    ]
    return measures
