"""The launcher's file is one that Ray accepts, and Ray's autoscaler does with it what it says."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import (
    CloudResourceMonitor,
)
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.instance_manager_pb2 import Instance, InstanceUpdateEvent

from cluster.environment import GUARD, NODE
from tests.cluster.node_variables import exported

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ray_cluster.yaml").read_text()
DESCRIBED: dict[str, Any] = yaml.safe_load(TEXT)
NODES = DESCRIBED["available_node_types"]


def asked_for(resources: dict[str, float], monitor: CloudResourceMonitor) -> set[str]:
    """The node types that Ray's scheduler would start for one task."""
    config = AutoscalingConfig(yaml.safe_load(TEXT), skip_content_hash=True)
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_worker_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(resources)]),
        cloud_resource_availabilities=monitor.get_resource_availabilities(),
        recoverable_resource_availabilities=monitor.get_recoverable_resource_availabilities(),
    )
    started = ResourceDemandScheduler(None).schedule(request).to_launch
    always = {name for name, node in NODES.items() if node.get("min_workers")} | {"head"}
    return {launch.instance_type for launch in started} - always


def after(status: Any, node_type: str) -> CloudResourceMonitor:
    """What Ray remembers of a node type that failed to come up."""
    monitor = CloudResourceMonitor()
    event = InstanceUpdateEvent(
        instance_id="1", new_instance_status=status, instance_type=node_type
    )
    monitor.notify([event])
    return monitor


def test_the_cluster_file_passes_rays_own_schema() -> None:
    validate_config(prepare_config(yaml.safe_load(TEXT)))


def test_the_head_runs_no_tasks_and_no_replicas() -> None:
    assert NODES["head"]["resources"] == {"CPU": 0, "GPU": 0}
    assert "--num-cpus" not in TEXT


def test_two_nodes_that_are_not_spot_hold_the_two_replicas() -> None:
    assert NODES["cpu_on_demand"]["min_workers"] == 2
    assert "InstanceMarketOptions" not in NODES["cpu_on_demand"]["node_config"]


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_spot_and_on_demand_differ_in_nothing_but_price_and_order(kind: str) -> None:
    on_spot, sure = NODES[f"{kind}_spot"], NODES[f"{kind}_on_demand"]
    market = {"InstanceMarketOptions": {"MarketType": "spot"}}
    assert on_spot["node_config"] == sure["node_config"] | market
    assert on_spot["resources"] == sure["resources"]
    assert on_spot["priority"] > sure["priority"]


def test_gpu_workers_come_on_demand_and_go_when_idle() -> None:
    for name in ("gpu_spot", "gpu_on_demand"):
        assert NODES[name]["min_workers"] == 0
        assert NODES[name]["idle_timeout_s"] <= 600
    assert DESCRIBED["idle_timeout_minutes"] <= 10
    assert not {
        node_type
        for node_type in asked_for({"CPU": 1}, CloudResourceMonitor())
        if "gpu" in node_type
    }


def test_a_job_that_asks_for_a_gpu_gets_spot_first() -> None:
    assert asked_for({"CPU": 1, "GPU": 1}, CloudResourceMonitor()) == {"gpu_spot"}


def test_where_spot_does_not_come_up_the_next_node_is_on_demand() -> None:
    failed = after(Instance.ALLOCATION_TIMEOUT, "gpu_spot")
    assert asked_for({"CPU": 1, "GPU": 1}, failed) == {"gpu_on_demand"}


def test_ray_does_not_yet_remember_a_request_that_the_cloud_refused() -> None:
    """The file's comment says so; once Ray does, the comment can go."""
    refused = after(Instance.ALLOCATION_FAILED, "gpu_spot")
    assert asked_for({"CPU": 1, "GPU": 1}, refused) == {"gpu_spot"}


def test_every_node_gets_the_ray_that_the_project_pins() -> None:
    pinned = re.findall(r"ray\[[a-z,]+\]==([\d.]+)", TEXT)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (requirement,) = [dependency for dependency in project if dependency.startswith("ray[")]
    assert pinned == [ray.__version__] == [version("ray")]
    assert requirement == f"ray[serve,tune,data,default]~={pinned[0]}"


def test_the_token_reaches_every_node_and_is_its_owners_alone() -> None:
    assert DESCRIBED["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert any(
        re.match(r"chmod 600 .*auth_token", command) for command in DESCRIBED["setup_commands"]
    )


@pytest.mark.parametrize("which", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_nodes_are_started_with_the_environment_that_the_code_names(which: str) -> None:
    start = DESCRIBED[which][-1]
    assert start.startswith("cd ~/forewarn && . cluster/node.env &&")
    home = Path("/home/someone")
    environment = exported(ROOT / "cluster" / "node.env", home)
    assert NODE.items() <= environment.items()
    guard = home / "forewarn" / GUARD.relative_to(ROOT)
    assert environment["RAY_SERVE_HAPROXY_BINARY_PATH"] == str(guard)
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(home / ".ray" / "auth_token")


def test_the_dashboard_answers_on_loopback_and_ports_between_nodes_are_fixed() -> None:
    head, worker = (DESCRIBED[f"{role}_start_ray_commands"][-1] for role in ("head", "worker"))
    assert "--dashboard-host=127.0.0.1" in head
    fixed = re.compile(r"--(?:node-manager|object-manager|metrics-export)-port=\d+")
    assert fixed.findall(head) == fixed.findall(worker) != []
