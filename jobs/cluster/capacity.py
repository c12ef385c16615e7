"""What a cluster has, and what its autoscaler may add: nodes, and the types of nodes to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.declaration import read_yaml

if TYPE_CHECKING:
    from ray._raylet import GcsClient

Resources = Mapping[str, float]
_KINDS = ("CPU", "GPU")
_HEAD = "node:__internal_head__"


@dataclass(frozen=True)
class Node:
    """A node that is up.

    Attributes:
        node_id: of Ray.
        type_name: as the autoscaler names it; "" where it did not start the node.
        total, free: all CPU and GPU, and those that nothing has reserved.
    """

    node_id: str
    type_name: str
    total: Resources
    free: Resources


@dataclass(frozen=True)
class NodeType:
    """A type of node that the autoscaler starts.

    Attributes:
        name: as its configuration names it.
        resources: CPU and GPU of each.
        more: nodes of it that may be started beside those that are up.
    """

    name: str
    resources: Resources
    more: int


@dataclass(frozen=True)
class Nodes:
    """A look at the cluster.

    Attributes:
        up: nodes that are up.
        types: types that may be started; empty where nodes do not come by themselves.
        known: whether `types` is all there is. An autoscaler that runs outside the head, as on
            Kubernetes, does not tell its types; it only says what it could never start.
        hopeless: requests that the autoscaler has given up.
    """

    up: tuple[Node, ...]
    types: tuple[NodeType, ...]
    known: bool = True
    hopeless: tuple[Resources, ...] = ()

    def total(self, kind: str) -> float:
        """All of `CPU` or `GPU` that is up."""
        return sum(node.total.get(kind, 0.0) for node in self.up)

    def free(self, kind: str) -> float:
        """What of it nobody holds."""
        return sum(node.free.get(kind, 0.0) for node in self.up)

    def places(self, bundle: Resources) -> int:
        """How many workers that hold `bundle` could run at once, all possible nodes started."""
        up_count = sum(fitting(bundle, node.total) for node in self.up)
        return up_count + sum(
            fitting(bundle, node_type.resources) * node_type.more for node_type in self.types
        )


def fitting(bundle: Resources, node: Resources) -> int:
    """How many workers that hold `bundle` fit on one node."""
    parts = [int(node.get(kind, 0.0) / need + 1e-6) for kind, need in bundle.items() if need > 0]
    return min(parts, default=1)


Declared = Mapping[str, Any]
"""`{"limit": nodes, "types": {name: {"max_workers", "CPU", "GPU"}}}`"""


def look(declared: Declared | None) -> Nodes:
    """The cluster that this process is connected to, as it is now.

    Args:
        declared: what `declared_types` found.
    """
    import ray
    from ray._raylet import GcsClient
    from ray.autoscaler.v2.sdk import get_cluster_resource_state
    from ray.core.generated.autoscaler_pb2 import NodeStatus

    client = GcsClient(ray.get_runtime_context().gcs_address)
    state = get_cluster_resource_state(client)
    up = tuple(
        Node(
            node.node_id.hex(),
            node.ray_node_type_name,
            {kind: node.total_resources.get(kind, 0.0) for kind in _KINDS},
            {kind: node.available_resources.get(kind, 0.0) for kind in _KINDS},
        )
        for node in state.node_states
        if node.status != NodeStatus.DEAD
    )
    if declared is None:
        return Nodes(up, (), known=False, hopeless=_given_up(client))
    return Nodes(up, _startable(declared, up), hopeless=_given_up(client))


def _startable(declared: Declared, up: tuple[Node, ...]) -> tuple[NodeType, ...]:
    """Node types with how many more of each may come, after what is up."""
    there = Counter(node.type_name for node in up)
    left = declared["limit"] - sum(there[name] for name in declared["types"])
    node_types = []
    for name, settings in declared["types"].items():
        more = min(int(settings["max_workers"]) - there[name], left)
        node_types.append(NodeType(name, {kind: settings[kind] for kind in _KINDS}, max(0, more)))
    return tuple(node_types)


def _given_up(client: GcsClient) -> tuple[Resources, ...]:
    """Requests that the autoscaler (its second version) says no node type can satisfy."""
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    reply = GetClusterStatusReply.FromString(client.get_cluster_status(timeout_s=10))
    state = reply.autoscaling_state
    gangs = (
        request for gang in state.infeasible_gang_resource_requests for request in gang.requests
    )
    return tuple(
        {kind: request.resources_bundle.get(kind, 0.0) for kind in _KINDS}
        for request in (*state.infeasible_resource_requests, *gangs)
    )


def declared_types() -> Declared | None:
    """The node types in the configuration of the autoscaler on the head; None where none runs."""
    import ray

    port = ray.get_runtime_context().gcs_address.rsplit(":", 1)[-1]
    ask = ray.remote(num_cpus=0, resources={_HEAD: 0.001}, max_retries=1)(read_node_types)
    declaration: Declared | None = ray.get(ask.remote(port))
    return declaration


def read_node_types(port: str, processes: Path = Path("/proc")) -> Declared | None:
    """Types and limits from the file that this machine's autoscaler was started with.

    Args:
        port: of the cluster's control plane: a machine may run several.
        processes: where the kernel tells the command lines.

    Returns:
        No types where the autoscaler has no file and so starts nothing; None where there is no
        autoscaler.
    """
    for entry in processes.glob("[0-9]*/cmdline"):
        try:
            arguments = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if not any(word.endswith("/monitor.py") for word in arguments):
            continue
        options = dict(
            word[2:].split("=", 1) for word in arguments if word.startswith("--") and "=" in word
        )
        if options.get("gcs-address", "").rsplit(":", 1)[-1] == port:
            return _types_of(options.get("autoscaling-config"))
    return None


def _types_of(file: str | None) -> Declared:
    """Worker types of a cluster's file: the head is up already and comes once."""
    if file is None:
        return {"limit": 0, "types": {}}
    content = read_yaml(Path(file).expanduser().read_text(encoding="utf-8"), file)
    limit = int(content.get("max_workers", 0))
    types = {
        name: {"max_workers": int(settings.get("max_workers", limit))}
        | {kind: float(settings.get("resources", {}).get(kind, 0.0)) for kind in _KINDS}
        for name, settings in content["available_node_types"].items()
        if name != content.get("head_node_type")
    }
    return {"limit": limit, "types": types}
