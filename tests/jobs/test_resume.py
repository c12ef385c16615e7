"""A driver that is killed costs what it was at: the same command goes on from there."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from ray.cluster_utils import Cluster

from jobs.fraud.features import FeaturesConfig, write_features
from lib.registry import Registry
from tests.cluster.node_loss import compare_features, write_sources
from tests.jobs.training_rows import write_rows
from tests.local_ray import local_cluster

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
EPOCHS = 12
SMALL = [
    *("--num-workers", "2", "--no-baselines", "--bootstrap", "2", "--slices.folds", "2"),
    *("--slices.label-delay", "5", "--trees.trees", "200", "--trees.learning-rate", "0.05"),
    *("--trees.early-stopping", "200", "--network.epochs", str(EPOCHS)),
    *("--network.patience", str(EPOCHS), "--network.hidden", "32"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(num_cpus=2) as started:
        yield started


def start(cluster: Cluster, module: str, *options: str) -> subprocess.Popen[str]:
    """A driver of its own, in the cluster of this test."""
    environment = os.environ | {"RAY_ADDRESS": str(cluster.address), "RAY_AUTH_MODE": "disabled"}
    return subprocess.Popen(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_when(job: subprocess.Popen[str], come: Callable[[], bool]) -> None:
    """Kill a driver without a word once a moment has come."""
    deadline = time.monotonic() + 400
    while not come():
        assert job.poll() is None, f"it ended before it could be killed: {job.stdout.read()}"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.communicate()


def finish(job: subprocess.Popen[str]) -> str:
    output, _ = job.communicate(timeout=500)
    assert job.returncode == 0, output[-4_000:]
    return output


def registered_epoch(run: Path) -> int:
    """Epoch of the checkpoint from which Ray Train would resume; 0 before the first.

    A checkpoint is registered some two seconds after its folder is written.
    """
    with suppress(OSError, ValueError):  # it is not there yet, or being written
        state = json.loads((run / "checkpoint_manager_snapshot.json").read_text())
        return int(state["latest_checkpoint_result"]["metrics"]["epoch"])
    return 0


def written_epochs(run: Path) -> dict[str, int]:
    """Epochs of the checkpoints that are there, by folder."""
    epochs = {}
    for path in run.glob("checkpoint_*/epoch.json"):
        with suppress(OSError, ValueError):  # it is being written or deleted
            epochs[path.parent.name] = int(json.loads(path.read_text())["epoch"])
    return epochs


def finish_epochs(job: subprocess.Popen[str], run: Path) -> set[int]:
    """Epochs whose checkpoints a driver's workers write until it ends.

    Each checkpoint stays until the next one is registered, much longer than a look takes.
    """
    earlier, epochs = written_epochs(run), {}
    deadline = time.monotonic() + 400
    while job.poll() is None:
        epochs |= written_epochs(run)
        assert time.monotonic() < deadline
        time.sleep(0.05)
    finish(job)
    epochs |= written_epochs(run)
    return {epoch for name, epoch in epochs.items() if name not in earlier}


def times(folder: Path, *patterns: str) -> dict[str, int]:
    paths = [path for pattern in patterns for path in folder.glob(pattern)]
    return {path.name: path.stat().st_mtime_ns for path in paths}


@pytest.mark.slow
def test_features_begin_again_without_leftovers(cluster: Cluster, tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "sources", users=60)
    options = [word for name, value in sources.items() for word in (f"--{name}", value)]
    output = tmp_path / "killed"
    command = ["jobs.fraud.features", *options, "--output", str(output), "--partitions", "2"]
    ledger = output / "work/quarantine/transactions/ledger"
    kill_when(start(cluster, *command), lambda: any(ledger.glob("keys-*.json")))
    assert not (output / "features.json").exists()
    write_features(FeaturesConfig(**sources, output=str(output), partitions=2))
    calm = FeaturesConfig(**sources, output=str(tmp_path / "calm"), partitions=2)
    write_features(calm)
    differences = compare_features(Path(calm.output), output)
    assert differences["kill_node_lost_rows"] == differences["kill_node_doubled_rows"] == 0
    assert (
        differences["kill_node_quarantine_differs"] == differences["kill_node_counts_differ"] == 0
    )
    assert sorted(path.name for path in output.iterdir()) == ["data", "features.json", "quarantine"]


@pytest.mark.slow
def test_training_goes_on_in_the_half_and_epoch_it_was_killed_in(
    cluster: Cluster, tmp_path: Path
) -> None:
    features = write_rows(tmp_path / "features", rows=12_000)
    options = ["--features", str(features), *SMALL]
    calm = ["jobs.fraud.train", "--output", str(tmp_path / "calm"), *options]
    finish(start(cluster, *calm))
    output, registry = tmp_path / "killed", str(tmp_path / "registry")
    command = ["jobs.fraud.train", "--output", str(output), "--registry", registry, *options]

    def stage() -> Path:
        return next(iter((output / "stages").glob("*")), output / "stages" / "none")

    def trees_begun() -> bool:
        return (stage() / "rows" / "0001.parquet").exists()

    kill_when(start(cluster, *command), trees_begun)
    folds = times(stage(), "fold-*")
    assert len(folds) == 4, "both halves of two folds"
    assert not (stage() / "trees-0.ubj").exists()
    run = stage() / "ray-train" / "network-7"
    kill_when(start(cluster, *command), lambda: registered_epoch(run) > 0)
    reached = registered_epoch(run)
    trees = times(stage(), "trees-0.ubj")
    assert trees
    assert not (stage() / "network.safetensors").exists()
    epochs = finish_epochs(start(cluster, *command), run)
    assert times(stage(), "fold-*") == folds
    assert times(stage(), "trees-0.ubj") == trees
    assert max(epochs) == EPOCHS
    assert min(epochs) > reached, "the network began anew instead of from its checkpoint"
    (version,) = Registry(registry).versions("fraud")
    finish(start(cluster, *command))
    assert Registry(registry).versions("fraud") == (version,)
    before, after = (
        json.loads((folder / "report.json").read_text())["measures"]["ensemble"]
        for folder in (tmp_path / "calm", output)
    )
    assert abs(before["auc"] - after["auc"]) <= 0.01
    assert abs(before["ap"] - after["ap"]) <= 0.03


@pytest.mark.slow
def test_a_search_goes_on_with_the_trials_it_lacks(cluster: Cluster, tmp_path: Path) -> None:
    features = write_rows(tmp_path / "features")
    output = tmp_path / "tune"
    command = [
        *("jobs.fraud.tune", "--features", str(features), "--output", str(output)),
        *("--trials", "3", "--concurrent", "1", "--trees", "60", "--epochs", "2"),
        *("--slices.folds", "2", "--slices.label-delay", "5"),
    ]
    search = output / "search" / "trees"

    def finished() -> list[Path]:
        states = "".join(path.read_text() for path in search.glob("experiment_state-*.json"))
        trials = [path for path in search.glob("*/result.json") if '"step": 60' in path.read_text()]
        return trials if "TERMINATED" in states else []

    kill_when(start(cluster, *command), lambda: len(finished()) > 0)
    (done, *_) = sorted(finished(), key=lambda path: path.stat().st_mtime_ns)
    kept = done.read_bytes()
    log = finish(start(cluster, *command))
    assert f"trees: going on with {search}" in log
    assert "trees: 3 trials" in log
    assert done.read_bytes() == kept
    assert set(yaml.safe_load((output / "best.yaml").read_text())) == {"trees", "network"}
