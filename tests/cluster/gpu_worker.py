"""How soon a GPU worker comes when training asks for one, and goes when it is idle.

The nodes are raylets that Ray's fake provider starts on this machine; the autoscaler and the job
are the real ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import ray
from ray._private.state import actors

from tests.cluster.fake_nodes import FakeNodes
from tests.jobs.training_rows import write_rows

ROOT = Path(__file__).parents[2]
GPU_TYPE = {"gpu": {"resources": {"CPU": 2, "GPU": 1}, "max_workers": 2}}
_IDLE_MINUTES = 0.3  # longer than this training pauses between two halves
_WORKERS = {"_RemoteRayXGBoostActor": "trees", "RayTrainWorker": "network"}
_LONGEST_SECONDS = 420


@dataclass
class Observation:
    """What was seen of a job and of the cluster below it.

    Attributes:
        requested_at: when the job began to wait for a node, seconds of one clock, as all times.
        up: when a GPU node was first seen.
        ended: when the job had ended.
        down: when no GPU node was left.
        gpu_nodes: ids of all nodes with a GPU.
        ran_on: by half of the training, the nodes it ran on.
        lines: of the job's log.
    """

    requested_at: float = 0.0
    up: float = 0.0
    ended: float = 0.0
    down: float = 0.0
    gpu_nodes: set[str] = field(default_factory=set)
    ran_on: dict[str, set[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Seconds, for the table of benchmarks."""
        return {
            "gpu_worker_up_s": round(self.up - self.requested_at, 1),
            "gpu_worker_job_s": round(self.ended - self.up, 1),
            "gpu_worker_down_s": round(self.down - self.ended, 1),
        }


def measure() -> dict[str, float]:
    """Seconds from asking to the node, of the training on it, and from its end to the node's."""
    return watch_training().figures()


def watch_training() -> Observation:
    """Train with one GPU worker on a cluster that has no GPU node yet, and watch."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        features = write_rows(Path(folder) / "features", rows=3_000)
        with FakeNodes(GPU_TYPE, _IDLE_MINUTES) as nodes, _connected(nodes):
            return _watch(_command(features, Path(folder) / "out"), nodes)


def _command(features: Path, output: Path) -> list[str]:
    """A small training; the options that matter here are the workers."""
    return [
        *(sys.executable, "-m", "jobs.fraud.train", "--quick", "--no-baselines"),
        *("--features", str(features), "--output", str(output), "--bootstrap", "2"),
        *("--num-workers", "1", "--gpus-per-worker", "1"),
        *("--trees.trees", "20", "--network.epochs", "2", "--network.hidden", "8"),
        *("--slices.folds", "2", "--slices.label-delay", "5"),
    ]


@contextmanager
def _connected(nodes: FakeNodes) -> Iterator[None]:
    """This process as one more driver, that looks on."""
    ray.init(address=nodes.address, log_to_driver=False, namespace="watch")
    try:
        yield
    finally:
        ray.shutdown()


def _watch(command: list[str], nodes: FakeNodes) -> Observation:
    observation = Observation()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=nodes.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as job:
        reader = Thread(target=_read_lines, args=(job, observation), daemon=True)
        reader.start()
        deadline = time.monotonic() + _LONGEST_SECONDS
        while job.poll() is None:
            _look(observation)
            if time.monotonic() > deadline:
                job.kill()
            time.sleep(0.1)
        reader.join()
    if job.returncode:
        raise RuntimeError("training failed:\n" + "".join(observation.lines[-40:]))
    observation.ended = time.monotonic()
    while _gpu_nodes():
        if time.monotonic() > deadline:
            raise TimeoutError("the GPU node stays although nobody uses it")
        time.sleep(0.1)
    observation.down = time.monotonic()
    return observation


def _read_lines(job: subprocess.Popen[str], observation: Observation) -> None:
    """Keep what the job says; its first line of waiting tells when it asked."""
    assert job.stdout is not None
    for line in job.stdout:
        observation.lines.append(line)
        waited = re.match(r"waiting for .*\((\d+) s\)", line)
        if waited and not observation.requested_at:
            observation.requested_at = time.monotonic() - float(waited[1])


def _look(observation: Observation) -> None:
    """Note a GPU node that has come, and on which node each kind of worker runs."""
    node_ids = _gpu_nodes()
    if node_ids and not observation.up:
        observation.up = time.monotonic()
    observation.gpu_nodes |= node_ids
    for actor in actors().values():
        kind = _WORKERS.get(str(actor["ActorClassName"]).rpartition(".")[2])
        if kind and actor["Address"]["NodeID"]:
            observation.ran_on.setdefault(kind, set()).add(actor["Address"]["NodeID"])


def _gpu_nodes() -> set[str]:
    return {
        node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")
    }
