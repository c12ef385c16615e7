"""The workers a job asks for: refused where they can never come, waited for aloud where they can.

A job that trains asks before it starts workers. Compared is what the cluster has and what its
autoscaler may start; while a node is on its way, a line every few seconds says what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from jobs.cluster.capacity import Nodes, Resources, declared_types, fitting, look
from jobs.cluster.gpu import Devices, devices_here

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

AUTO = -1.0
_AT_ONCE_SECONDS = 0.5
_EVERY_SECONDS = 3.0
_PRINT_NOW = partial(print, flush=True)


class ResourceError(ValueError):
    """A cluster can never give what a job asks for."""


@dataclass(frozen=True)
class Request:
    """Workers that a job asks for.

    Args:
        workers: processes that train together, at most.
        least: elastic: fewest of them that it goes on with; 0 keeps the number fixed.
        cpus: cores of each.
        gpus: GPUs of each.

    Raises:
        ResourceError: a number that means nothing.
    """

    workers: int = 2
    least: int = 0
    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 1 or self.cpus < 1:
            raise ResourceError(
                f"--num-workers {self.workers}, --cpus-per-worker {self.cpus}: expected 1 or more"
            )
        if not 0 <= self.least <= self.workers:
            raise ResourceError(
                f"--min-workers {self.least}: expected 0 (a fixed number) to {self.workers}, "
                "the number of --num-workers"
            )

    @property
    def needed(self) -> int:
        """Workers without which training does not start."""
        return self.least or self.workers

    @property
    def elastic(self) -> bool:
        """Whether training goes on with fewer."""
        return 0 < self.least < self.workers

    @property
    def bundle(self) -> dict[str, float]:
        """What one worker holds."""
        resources = {"CPU": float(self.cpus)}
        return resources | ({"GPU": self.gpus} if self.gpus > 0 else {})

    def words(self, count: int) -> str:
        """`2 workers with 1 CPU and 1 GPU`."""
        return f"{count} worker{'' if count == 1 else 's'} with {resource_text(self.bundle)}"


@dataclass(frozen=True)
class Placement:
    """Where the workers run, and on what each half can train there."""

    nodes: tuple[str, ...]
    devices: Devices


def with_gpus(request: Request) -> Request:
    """A request that leaves the GPUs to the cluster, settled: one each where it can give enough."""
    if request.gpus != AUTO:
        return request
    wish = replace(request, gpus=1.0)
    enough = look(declared_types()).places(wish.bundle) >= wish.needed
    return wish if enough else replace(request, gpus=0.0)


def refuse_at_once(request: Request) -> None:
    """Refuse what can never be, before anything is read or computed.

    Raises:
        ResourceError: the message says what the cluster could give.
    """
    refuse_impossible(with_gpus(request), look(declared_types()))


def await_core() -> None:
    """Wait for the first node that can work, where only a head without cores is up."""
    import ray

    if ray.cluster_resources().get("CPU", 0.0) < 1.0:
        await_workers(Request(workers=1))


def await_workers(request: Request, say: Callable[[str], None] = _PRINT_NOW) -> Placement:
    """Wait until the workers that are needed could start, saying what is missing; then let go.

    Raises:
        ResourceError: they can never start on this cluster; the message says what could.
    """
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group

    declared = declared_types()
    refuse_impossible(request, look(declared))
    started = time.monotonic()
    group = placement_group([request.bundle] * request.needed, strategy="SPREAD")
    try:
        ready = group.ready()
        timeout = _AT_ONCE_SECONDS
        while not ray.wait([ready], timeout=timeout)[0]:
            nodes = look(declared)
            refuse_impossible(request, nodes)
            say(waiting_line(request, nodes, time.monotonic() - started))
            timeout = _EVERY_SECONDS
        placement = _placement(request, group)
    finally:
        remove_placement_group(group)
    say(_placed_line(request, placement))
    return placement


def refuse_impossible(request: Request, nodes: Nodes) -> None:
    """Refuse what neither the nodes that are up nor those that may be started can give.

    Raises:
        ResourceError: names what was asked, what there is at most, and what to change.
    """
    request_text, most = request.words(request.needed), nodes.places(request.bundle)
    if nodes.known and not most:
        raise ResourceError(
            f"asked for {request_text}, and no node can hold even one: the largest offers "
            f"{_largest(nodes)}; lower --cpus-per-worker or --gpus-per-worker, "
            "or give the cluster a larger node type"
        )
    if nodes.known and most < request.needed:
        raise ResourceError(
            f"asked for {request_text}, and the cluster can hold {most} at most: "
            f"{_stock(nodes, request)}; lower --num-workers to {most} (or set --min-workers), "
            "or raise max_workers of a node type"
        )
    fits_now = any(fitting(request.bundle, node.total) for node in nodes.up)
    if not fits_now and any(dict(bundle) == _full(request.bundle) for bundle in nodes.hopeless):
        raise ResourceError(
            f"asked for {request_text}, and the autoscaler says that no node type of its can hold "
            f"one; the largest node that is up offers {_largest(nodes)}; lower --cpus-per-worker "
            "or --gpus-per-worker, or give the cluster a larger node type"
        )


def waiting_line(request: Request, nodes: Nodes, seconds: float) -> str:
    """What is waited for, what is free of it, and what may come."""
    return (
        f"waiting for {request.words(request.needed)}: {_stock(nodes, request)} ({seconds:.0f} s)"
    )


def resource_text(resources: Resources) -> str:
    """`1 CPU and 1 GPU`."""
    parts = [f"{amount:g} {kind}" for kind, amount in resources.items() if amount > 0]
    return " and ".join(parts) or "nothing"


def _stock(nodes: Nodes, request: Request) -> str:
    """What is free of the scarcest thing asked for, and which nodes may come."""
    kind = "GPU" if request.gpus > 0 else "CPU"
    free = f"{nodes.free(kind):g} {kind} free of {nodes.total(kind):g}"
    if not nodes.known:
        return f"{free}; the cluster's autoscaler does not say what it may start"
    more = [
        f"{node_type.more} more node{'' if node_type.more == 1 else 's'} of type {node_type.name}"
        for node_type in nodes.types
        if node_type.more and fitting(request.bundle, node_type.resources)
    ]
    if not more:
        return f"{free}; no further node may start, others must end first"
    return f"{free}; the cluster may start {' and '.join(more)}"


def _largest(nodes: Nodes) -> str:
    """The largest node that is up or may be started, in words."""
    offers = [(node.total, "that is up") for node in nodes.up]
    offers += [(node_type.resources, f"of type {node_type.name}") for node_type in nodes.types]
    best = max(offers, key=lambda offer: (offer[0].get("GPU", 0.0), offer[0].get("CPU", 0.0)))
    return f"{resource_text(best[0])} (a node {best[1]})"


def _full(bundle: Resources) -> dict[str, float]:
    return {kind: bundle.get(kind, 0.0) for kind in ("CPU", "GPU")}


def _placement(request: Request, group: PlacementGroup) -> Placement:
    """The nodes of a group that is there, and where GPUs are asked for what they can train on."""
    from ray.util.placement_group import placement_group_table

    nodes = placement_group_table(group)["bundles_to_node_id"].values()
    devices = _common_devices(request, group) if request.gpus > 0 else Devices()
    return Placement(tuple(sorted(set(nodes))), devices)


def _common_devices(request: Request, group: PlacementGroup) -> Devices:
    """What all workers can train on: they work in step, so the least of them decides."""
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    ask = ray.remote(num_cpus=request.cpus, num_gpus=request.gpus)(devices_here)
    strategies = [PlacementGroupSchedulingStrategy(group, at) for at in range(request.needed)]
    devices = ray.get(
        [ask.options(scheduling_strategy=strategy).remote() for strategy in strategies]
    )
    halves = ((of_worker.trees, of_worker.network) for of_worker in devices)
    return Devices(
        *("cuda" if set(half) == {"cuda"} else "cpu" for half in zip(*halves, strict=True))
    )


def _placed_line(request: Request, placement: Placement) -> str:
    line = f"{request.words(request.needed)}: on node {', '.join(placement.nodes)}"
    if request.gpus == 0:
        return line
    devices = {"XGBoost": placement.devices.trees, "torch": placement.devices.network}
    missing = [library for library, device in devices.items() if device == "cpu"]
    if not missing:
        return line
    return f"{line}; no CUDA for {' and '.join(missing)} there: training on its cores instead"
