"""How many copies of a deployment run, and what each of them reserves."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DeploymentSettings(BaseModel):
    """Copies of one deployment: a fixed number, or between two numbers by what there is to do.

    Two at least, on two nodes, so that one may die or be replaced while the other answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: int = Field(2, ge=1, description="replicas at least")
    max: int | None = Field(
        None, ge=1, description="replicas at most; none: as many as at least, no autoscaling"
    )
    cpus: float = Field(1.0, ge=0, description="cores that each reserves")
    gpus: float = Field(0.0, ge=0, description="GPUs that each reserves")
    target_ongoing_requests: float = Field(
        4.0, gt=0, description="requests at a time for each, in the mean, that autoscaling aims at"
    )
    look_back_period_s: float = Field(
        20.0, gt=10, description="seconds that the mean is taken over; Ray measures every 10"
    )
    upscale_delay_s: float = Field(
        20.0, ge=0, description="seconds above the target before replicas are added"
    )
    downscale_delay_s: float = Field(
        300.0, ge=0, description="seconds below the target before replicas are taken away"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        # `serve run` gives every argument as text: 'front={"min": 1}'
        return json.loads(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _in_order(self) -> DeploymentSettings:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"max: expected at least min ({self.min}), got {self.max}")
        shorter = min(self.upscale_delay_s, self.downscale_delay_s)
        if self.max is not None and shorter < self.look_back_period_s:
            raise ValueError(
                f"upscale_delay_s and downscale_delay_s: expected at least look_back_period_s "
                f"({self.look_back_period_s:g}), got {shorter:g}"
            )
        return self

    @property
    def max_replicas(self) -> int:
        """Replicas at most."""
        return self.min if self.max is None else self.max

    def options(self) -> dict[str, Any]:
        """Options of `ray.serve.deployment`."""
        resources: dict[str, Any] = {"num_cpus": self.cpus}
        if self.gpus:
            resources["num_gpus"] = self.gpus
        if self.max_replicas == self.min:
            return {"num_replicas": self.min, "ray_actor_options": resources}
        scaling = {
            "min_replicas": self.min,
            "initial_replicas": self.min,
            "max_replicas": self.max_replicas,
            "target_ongoing_requests": self.target_ongoing_requests,
            "look_back_period_s": self.look_back_period_s,
            "upscale_delay_s": self.upscale_delay_s,
            "downscale_delay_s": self.downscale_delay_s,
        }
        return {"autoscaling_config": scaling, "ray_actor_options": resources}
