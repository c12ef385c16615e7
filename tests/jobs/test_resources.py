"""A job says what it waits for, and asks for nothing that a cluster can never give."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from jobs.cluster.admission import (
    Request,
    ResourceError,
    await_workers,
    refuse_impossible,
    waiting_line,
    with_gpus,
)
from jobs.cluster.capacity import Node, Nodes, NodeType, declared_types, look, read_node_types
from jobs.framework.options import read_options
from jobs.fraud.training_config import TrainConfig
from tests.local_ray import local_cluster

pytestmark = pytest.mark.filterwarnings("default")

CPUS = Node("a" * 56, "", {"CPU": 4.0, "GPU": 0.0}, {"CPU": 1.0, "GPU": 0.0})
GPU = NodeType("gpu", {"CPU": 8.0, "GPU": 1.0}, more=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_cluster(num_cpus=1) as started:
        yield started


def test_what_no_node_can_ever_hold_is_refused_naming_the_largest() -> None:
    nodes = Nodes((CPUS,), (GPU,))
    with pytest.raises(ResourceError) as caught:
        refuse_impossible(Request(1, cpus=64), nodes)
    message = str(caught.value)
    assert "asked for 1 worker with 64 CPU" in message
    assert "the largest offers 8 CPU and 1 GPU (a node of type gpu)" in message
    assert "lower --cpus-per-worker" in message


def test_more_workers_than_all_possible_nodes_hold_are_refused_with_the_most() -> None:
    with pytest.raises(ResourceError, match=r"can hold 2 at most: .* lower --num-workers to 2"):
        refuse_impossible(Request(3, gpus=1.0), Nodes((CPUS,), (GPU,)))
    refuse_impossible(Request(3, least=2, gpus=1.0), Nodes((CPUS,), (GPU,)))


def test_the_line_tells_what_is_free_and_what_may_come() -> None:
    line = waiting_line(Request(1, gpus=1.0), Nodes((CPUS,), (GPU,)), 12.3)
    assert line == (
        "waiting for 1 worker with 1 CPU and 1 GPU: 0 GPU free of 0; "
        "the cluster may start 2 more nodes of type gpu (12 s)"
    )
    other_line = waiting_line(Request(2, cpus=2), Nodes((CPUS,), ()), 3)
    assert "1 CPU free of 4; no further node may start, others must end first" in other_line


def test_an_autoscaler_elsewhere_is_believed_when_it_gives_up() -> None:
    unknown = Nodes((CPUS,), (), known=False)
    refuse_impossible(Request(1, gpus=1.0), unknown)
    assert "does not say what it may start" in waiting_line(Request(1, gpus=1.0), unknown, 1)
    hopeless = Nodes((CPUS,), (), known=False, hopeless=({"CPU": 1.0, "GPU": 1.0},))
    with pytest.raises(ResourceError, match="no node type of its can hold one"):
        refuse_impossible(Request(1, gpus=1.0), hopeless)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"workers": 0}, "--num-workers 0"),
        ({"cpus": 0}, "--cpus-per-worker 0"),
        ({"workers": 2, "least": 3}, "--min-workers 3: expected 0"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(options: dict, complaint: str) -> None:
    with pytest.raises(ResourceError, match=complaint):
        Request(**options)


def test_the_options_of_a_job_make_its_request() -> None:
    arguments = (
        "--output out --num-workers 4 --min-workers 2 --cpus-per-worker 3 --gpus-per-worker 1"
    )
    assert read_options(TrainConfig, arguments.split()).request == Request(4, 2, 3, 1.0)


def test_node_types_are_read_from_the_file_the_autoscaler_was_started_with(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "max_workers: 5\nhead_node_type: head\navailable_node_types:\n"
        "  head: {resources: {CPU: 0}}\n"
        "  gpu: {max_workers: 2, resources: {CPU: 8, GPU: 1}}\n"
        "  cpu: {resources: {CPU: 16}}\n"
    )
    for index, (port, option) in enumerate([("1", f"--autoscaling-config={file}"), ("2", "")]):
        entry = tmp_path / str(index) / "cmdline"
        entry.parent.mkdir()
        arguments = [
            "python",
            "-u",
            "/ray/monitor.py",
            f"--gcs-address=10.0.0.1:{port}",
            option,
            "",
        ]
        entry.write_bytes("\0".join(arguments).encode())
    assert read_node_types("1", tmp_path) == {
        "limit": 5,
        "types": {
            "gpu": {"max_workers": 2, "CPU": 8.0, "GPU": 1.0},
            "cpu": {"max_workers": 5, "CPU": 16.0, "GPU": 0.0},
        },
    }
    assert read_node_types("2", tmp_path) == {"limit": 0, "types": {}}
    assert read_node_types("3", tmp_path) is None


def test_a_cluster_without_autoscaler_is_all_there_is(cluster: Cluster) -> None:
    nodes = look(declared_types())
    assert (nodes.known, nodes.types, nodes.total("CPU")) == (True, (), 1.0)
    with pytest.raises(ResourceError, match="the largest offers 1 CPU"):
        await_workers(Request(1, cpus=2))
    assert with_gpus(Request(1, gpus=-1.0)).gpus == 0.0


def test_a_job_waits_aloud_until_others_end_and_names_its_node(cluster: Cluster) -> None:
    @ray.remote(num_cpus=1)
    def busy() -> None:
        time.sleep(4)

    other = busy.remote()
    while ray.available_resources().get("CPU"):
        time.sleep(0.05)
    messages: list[str] = []
    workers = await_workers(Request(1), messages.append)
    ray.get(other)
    assert messages[0].startswith("waiting for 1 worker with 1 CPU: 0 CPU free of 1")
    assert messages[-1] == f"1 worker with 1 CPU: on node {workers.nodes[0]}"
    assert workers.nodes == (ray.nodes()[0]["NodeID"],)


def test_what_was_reserved_while_waiting_is_free_again(cluster: Cluster) -> None:
    await_workers(Request(1), lambda _line: None)
    deadline = time.monotonic() + 10
    while ray.available_resources().get("CPU") != 1.0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_node_that_joins_ends_the_waiting_and_takes_a_gpu_worker(cluster: Cluster) -> None:
    messages: list[str] = []
    request = Request(2)
    # both workers fit once the second node is up: the fixed cluster is looked at when it has joined
    node = cluster.add_node(num_cpus=1, num_gpus=1)
    workers = await_workers(request, messages.append)
    assert len(workers.nodes) == 2
    assert with_gpus(Request(1, gpus=-1.0)).gpus == 1.0
    on_gpu = await_workers(Request(1, gpus=1.0), messages.append)
    assert on_gpu.nodes == (node.node_id,)
    assert "training on its cores instead" in messages[-1] or on_gpu.devices.both == "cuda"
    cluster.remove_node(node)
