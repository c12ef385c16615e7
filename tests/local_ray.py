"""A small Ray inside the test process, that leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.cluster_utils import Cluster

# Ray 2.x stops the thread that exports metrics only at the first shutdown of a process; those of
# later ones live on and crash the interpreter when they write a log line while it ends
NO_EXPORTER = {"enable_open_telemetry": False}
# Ray keeps as many processes as there are CPUs, those of Ray Data's own actors too: each stage of a
# job would start its process anew, and import everything
KEPT_WORKERS = {"num_workers_soft_limit": 6}


def share_ray() -> None:
    """Starts one with two cores unless it runs already: most modules of a run use the same."""
    if not ray.is_initialized():
        _start(num_cpus=2)


@contextmanager
def local_ray(num_cpus: int = 2, **options: Any) -> Iterator[None]:
    """Starts and shuts down; a shared one ends before.

    Only the tests of metrics export any (`tests/serve/test_meter.py`).

    Args:
        num_cpus: of the only node.
        options: of `ray.init`.
    """
    ray.shutdown()
    _start(num_cpus, **options)
    try:
        yield
    finally:
        ray.shutdown()


def _start(num_cpus: int, **options: Any) -> None:
    system = {**NO_EXPORTER, **KEPT_WORKERS, **options.pop("_system_config", {})}
    quiet = {"include_dashboard": False, "log_to_driver": False}
    ray.init(address="local", num_cpus=num_cpus, _system_config=system, **(quiet | options))


@contextmanager
def local_cluster(num_cpus: int) -> Iterator[Cluster]:
    """A cluster of one node, to which others can be added; a shared Ray ends before.

    Args:
        num_cpus: of its head.
    """
    ray.shutdown()
    head = {"num_cpus": num_cpus, "include_dashboard": False, "_system_config": NO_EXPORTER}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
