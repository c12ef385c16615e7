from __future__ import annotations

import pytest
from pydantic import ValidationError

from serve.framework import DeploymentSettings


def test_two_replicas_run_unless_told_otherwise() -> None:
    assert DeploymentSettings().options() == {
        "num_replicas": 2,
        "ray_actor_options": {"num_cpus": 1.0},
    }


def test_a_range_is_autoscaled() -> None:
    options = DeploymentSettings(min=2, max=6, gpus=0.5, target_ongoing_requests=3).options()
    assert "num_replicas" not in options
    assert options["autoscaling_config"]["min_replicas"] == 2
    assert options["autoscaling_config"]["max_replicas"] == 6
    assert options["autoscaling_config"]["target_ongoing_requests"] == 3
    assert options["ray_actor_options"] == {"num_cpus": 1.0, "num_gpus": 0.5}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ray_takes_a_range_as_it_is() -> None:
    from ray.serve.config import AutoscalingConfig  # noqa: PLC0415  (importing it warns)

    scaling = AutoscalingConfig(**DeploymentSettings(max=5).options()["autoscaling_config"])
    assert (scaling.min_replicas, scaling.max_replicas) == (2, 5)
    assert scaling.get_target_ongoing_requests() == 4


def test_text_is_read_as_json_as_the_command_line_gives_it() -> None:
    assert DeploymentSettings.model_validate('{"min": 1, "cpus": 0.5}') == DeploymentSettings(
        min=1, cpus=0.5
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min": 3, "max": 2}, r"max: expected at least min \(3\), got 2"),
        ({"max": 4, "upscale_delay_s": 2}, r"expected at least look_back_period_s \(20\), got 2"),
        ({"min": 0}, "greater than or equal to 1"),
        ({"replicas": 2}, "Extra inputs are not permitted"),
    ],
)
def test_what_ray_would_misunderstand_is_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DeploymentSettings(**fields)
