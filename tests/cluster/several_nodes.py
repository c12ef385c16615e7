"""Several raylets on this machine, one of which is killed while a job runs on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray
from ray._private.state import actors
from ray.cluster_utils import Cluster

from tests.local_ray import NO_EXPORTER
from tests.repeated import repeated


@contextmanager
def several_nodes(count: int) -> Iterator[Cluster]:
    """A head without cores and `count` nodes with one each; this process is connected."""
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NO_EXPORTER}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(count):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def nodes_of(actor_class: str) -> set[str]:
    """Nodes on which actors of a class are alive."""
    return {
        str(actor["Address"]["NodeID"])
        for actor in actors().values()
        if actor["State"] == "ALIVE" and str(actor["ActorClassName"]).endswith(actor_class)
    }


def busy_nodes() -> set[str]:
    """Nodes whose core somebody holds."""
    free = ray._private.state.available_resources_per_node()
    return {
        node["NodeID"]
        for node in ray.nodes()
        if node["Alive"]
        and node["Resources"].get("CPU", 0) >= 1
        and free.get(node["NodeID"], {}).get("CPU", 0) < 1
    }


class Killer:
    """Kills one node as soon as a moment has come, without letting it say goodbye.

    Args:
        cluster: whose node.
        victims: the nodes that are worth killing now; asked often, none means not yet.
    """

    def __init__(self, cluster: Cluster, victims: Callable[[], set[str]]) -> None:
        self._cluster = cluster
        self._victims = victims
        self.killed = ""

    def try_once(self) -> None:
        """Kills the first victim, unless there is none yet or a node was killed before."""
        if self.killed:
            return
        victims = self._victims()
        for node in self._cluster.worker_nodes:
            if node.node_id in victims:
                self.killed = node.node_id
                self._cluster.remove_node(node, allow_graceful=False)
                return


@contextmanager
def killing(cluster: Cluster, victims: Callable[[], set[str]]) -> Iterator[Killer]:
    """A killer at work while the block runs."""
    killer = Killer(cluster, victims)
    with repeated(killer.try_once, 0.1):
        yield killer


def once_steady(victims: Callable[[], set[str]], seconds: float) -> Callable[[], set[str]]:
    """Victims that have been there for a while: what runs on them is in its middle."""
    since: list[float] = []

    def steady() -> set[str]:
        nodes = victims()
        if not nodes:
            since.clear()
            return set()
        since.append(time.monotonic())
        return nodes if since[-1] - since[0] >= seconds else set()

    return steady
