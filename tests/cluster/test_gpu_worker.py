"""A training job that asks for a GPU gets a node with one, runs there, and the node goes again.

The nodes are raylets of Ray's fake provider; autoscaler, scheduler and training are the real ones.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fake_nodes import FakeNodes
from tests.cluster.gpu_worker import GPU_TYPE, ROOT, watch_training

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[FakeNodes]:
    with FakeNodes(GPU_TYPE, idle_minutes=5) as started:
        yield started


def train(nodes: FakeNodes, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A training on features that are none: it must be refused before it reads them."""
    (tmp_path / "none").mkdir()
    command = [sys.executable, "-m", "jobs.fraud.train", "--output", str(tmp_path / "out")]
    command += ["--features", str(tmp_path / "none"), *options]
    return subprocess.run(
        command, cwd=ROOT, env=nodes.environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--num-workers", "1", "--gpus-per-worker", "4"],
            "the largest offers 2 CPU and 1 GPU (a node of type gpu)",
        ),
        (
            ["--num-workers", "3", "--gpus-per-worker", "1"],
            "can hold 2 at most: 0 GPU free of 0; the cluster may start 2 more nodes of type gpu",
        ),
    ],
)
def test_training_asks_for_nothing_that_no_node_type_can_give(
    nodes: FakeNodes, tmp_path: Path, options: list[str], complaint: str
) -> None:
    done = train(nodes, tmp_path, *options)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: asked for")


@pytest.mark.slow
def test_a_gpu_worker_comes_when_training_asks_and_goes_when_idle(
    capsys: pytest.CaptureFixture[str],
) -> None:
    observation = watch_training()
    with capsys.disabled():
        print(observation.figures())
    output = "".join(observation.lines)
    assert "waiting for 1 worker with 1 CPU and 1 GPU: 0 GPU free of 0; the cluster may" in output
    assert any(f"with 1 CPU and 1 GPU: on node {node}" in output for node in observation.gpu_nodes)
    assert set(observation.ran_on) == {"trees", "network"}
    assert set.union(*observation.ran_on.values()) <= observation.gpu_nodes
    assert "test:" in output
    assert "served form differs by" in output
    assert observation.asked < observation.up < observation.ended < observation.down
