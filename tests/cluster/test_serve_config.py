"""The Serve config files are what the applications say of themselves now."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from cluster.applications import CLUSTER, FILES, SERVICE, application, written

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("source", "target"), FILES.items())
def test_a_file_is_what_the_applications_make_of_its_values(source: str, target: str) -> None:
    assert (CLUSTER / target).read_text() == written(source)


@pytest.mark.parametrize("target", FILES.values())
def test_a_file_passes_rays_own_schema_and_has_every_application(target: str) -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load((CLUSTER / target).read_text()))
    systems = {path.parent.name for path in (ROOT / "serve").glob("*/app.py")}
    assert {app.name for app in config.applications} == systems
    assert {app.route_prefix for app in config.applications} == {f"/{system}" for system in systems}


def test_the_service_on_kubernetes_has_the_same_config() -> None:
    service = yaml.safe_load(SERVICE.read_text())
    config = yaml.safe_load((CLUSTER / "serve.yaml").read_text())
    assert yaml.safe_load(service["spec"]["serveConfigV2"]) == config


def test_production_has_two_replicas_of_everything_and_room_for_more() -> None:
    config = yaml.safe_load((CLUSTER / "serve.yaml").read_text())
    for app in config["applications"]:
        for deployment in app["deployments"]:
            scaling = deployment["autoscaling_config"]
            assert scaling["min_replicas"] == 2
            assert scaling["max_replicas"] > 2
            assert deployment["backpressure_config"]["status_code"] == 503


def test_an_argument_that_the_application_does_not_take_is_named() -> None:
    with pytest.raises(Exception, match="profile_stor"):
        application("fraud", {"profile_stor": "redis://nowhere"})
