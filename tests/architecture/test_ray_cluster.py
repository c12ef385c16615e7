"""The launcher's file is one that Ray accepts."""

from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]


def described() -> dict:
    return yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())


def test_the_cluster_file_passes_rays_own_schema():
    validate_config(prepare_config(described()))


def test_gpu_workers_come_on_demand_and_the_head_runs_no_replicas():
    nodes = described()["available_node_types"]
    assert nodes["gpu"]["min_workers"] == 0
    assert nodes["gpu"]["resources"]["GPU"] > 0
    assert nodes["head"]["resources"]["CPU"] == 0
