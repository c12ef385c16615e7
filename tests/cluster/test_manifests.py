"""The image and the Kubernetes manifests are what KubeRay takes and what this code needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.environment import NODE
from tests.cluster.operator_schemas import complaints

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "cluster/kubernetes"
IMAGE = (ROOT / "cluster/Dockerfile").read_text()
KINDS = {"raycluster": "RayCluster", "rayjob": "RayJob", "rayservice": "RayService"}


def manifest(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text())
    return document


def nodes_of(name: str) -> dict[str, Any]:
    """The description of the cluster within a manifest."""
    spec = manifest(name)["spec"]
    nodes: dict[str, Any] = (
        spec if name == "raycluster" else spec.get("rayClusterConfig", spec.get("rayClusterSpec"))
    )
    return nodes


@pytest.mark.parametrize("name", KINDS)
def test_a_manifest_is_what_the_operator_takes(name: str) -> None:
    document = manifest(name)
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", KINDS[name])
    assert complaints(name, document) == []


@pytest.mark.parametrize("name", KINDS)
def test_a_misspelt_field_would_be_noticed(name: str) -> None:
    document = manifest(name)
    nodes_of(name)  # raises where there is none
    document["spec"]["enableInTreeAutoscalling"] = True
    assert any("enableInTreeAutoscalling" in complaint for complaint in complaints(name, document))


@pytest.mark.parametrize("name", KINDS)
def test_the_head_has_neither_tasks_nor_gpus_and_gpu_workers_begin_with_none(name: str) -> None:
    nodes = nodes_of(name)
    assert nodes["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = {group["groupName"]: group for group in nodes["workerGroupSpecs"]}
    gpus = [group for title, group in groups.items() if title.startswith("gpu")]
    assert len(gpus) == 2
    assert all(group["minReplicas"] == 0 and group["idleTimeoutSeconds"] > 0 for group in gpus)
    assert nodes["authOptions"]["mode"] == "token"


def without_readiness(name: str) -> dict[str, Any]:
    """A service's nodes are ready once their proxy is; those of jobs have none."""
    nodes = nodes_of(name)
    for group in nodes["workerGroupSpecs"]:
        for container in group["template"]["spec"]["containers"]:
            container.pop("readinessProbe", None)
    return nodes


def test_all_manifests_describe_the_same_nodes() -> None:
    first, *others = (without_readiness(name) for name in KINDS)
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", KINDS)
def test_containers_run_without_rights_that_they_do_not_need(name: str) -> None:
    nodes = nodes_of(name)
    for group in (nodes["headGroupSpec"], *nodes["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_policies_are_kubernetes_objects_with_a_name() -> None:
    documents = list(yaml.safe_load_all((KUBERNETES / "policies.yaml").read_text()))
    assert {"NetworkPolicy"} <= {document["kind"] for document in documents}
    assert all(document["metadata"]["name"].startswith("forewarn") for document in documents)


def test_the_versions_are_the_pinned_ones() -> None:
    pins = " ".join(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    (pinned,) = set(re.findall(r"ray\[[a-z,]+\]~=([\d.]+)", pins))
    exact = (ROOT / "cluster/constraints.txt").read_text()
    assert set(re.findall(r"(?m)^ray==([\d.]+)$", exact)) == {pinned}
    assert "--constraint /tmp/constraints.txt" in IMAGE
    assert {nodes_of(name)["rayVersion"] for name in KINDS} == {pinned}
    assert "ARG PYTHON=3.11-" in IMAGE


def test_the_image_is_started_with_the_environment_of_a_node() -> None:
    environment = dict(re.findall(r'(?m)^(?:ENV|   ) (\w+)="?([^"\\\n]+?)"?(?: \\)?$', IMAGE))
    assert {name: environment.get(name) for name in NODE} == dict(NODE)


def test_the_image_holds_what_it_copies_and_runs_as_nobody_special() -> None:
    for line in re.findall(r"(?m)^COPY (.+)$", IMAGE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source.split('/')[0]}" in (ROOT / ".dockerignore").read_text()
    last = re.findall(r"(?m)^USER (\w+)$", IMAGE)[-1]
    assert last == "forewarn"


def test_the_image_names_no_package_index() -> None:
    assert "://" not in IMAGE.replace("docker/dockerfile", "")
