"""What applications and deployments are started with, and what may change while they run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lib.durable import RotatingFile
from lib.experiment.declaration import Experiment
from lib.review.salt import require_salt_address
from serve.framework.routes import RequestLimits

RecordsUrl = Annotated[str, Field(description="database of decisions and what became of them")]
StoreUrl = Annotated[str, Field(description="sqlite:///path or redis://host:port/0")]
JournalFolder = Annotated[Path, Field(description="local directory of decisions not yet stored")]
ModelFolder = Annotated[Path, Field(description="local copies of models")]


def packaged_yaml(what: str) -> Any:
    """A field for a YAML file that comes with the product, and may be replaced by another."""
    return Field(None, description=f"{what}: path, or the YAML itself; none: the packaged ones")


def positive(default: float, description: str) -> Any:
    """A field for a length of time, a size or a number that is never 0."""
    return Field(default, gt=0, description=description)


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
    target_ongoing_requests: float = positive(
        4.0, "requests at a time for each, in the mean, that autoscaling aims at"
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


class UserConfig(BaseModel):
    """`user_config`: what is loaded, checked and swapped without a restart.

    Attributes:
        model: alias or version.
        rules: path, or the YAML itself; None: the packaged rules.
        experiment: a comparison of two models on requests; None: one that was started in the
            records, if there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "champion"
    rules: str | None = None
    experiment: Experiment | None = None


class FrontSettings(BaseModel):
    """Arguments of everything that answers HTTP: keys, log, replicas and limits.

    Paths and URLs are as the replicas see them; a relative path is below their working directory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_keys: Path = Field(Path("data/keys.json"), description="file of API keys")
    log: Path | None = Field(None, description="file of JSON lines; none: standard error")
    log_bytes: int = positive(64 << 20, "size at which the log is put aside, bytes")
    log_files: int = Field(8, ge=0, description="logs that were put aside and are kept")
    log_days: float = Field(
        0.0, ge=0, description="days after which a log is put aside and those are removed; 0: none"
    )

    front: DeploymentSettings = Field(
        DeploymentSettings(), description="replicas of the front node"
    )

    body_bytes: int = positive(64 * 1024, "largest body, bytes")
    deadline_ms: float = positive(10_000.0, "time for an answer, milliseconds")
    longest_deadline_ms: float = positive(
        30_000.0, "the most that a caller may ask for, milliseconds"
    )
    in_flight: int = positive(64, "requests at a time in a replica; then 503")
    retry_after_s: int = Field(1, ge=0, description="seconds that a 503 asks to wait")
    shutdown_s: float = positive(15.0, "seconds to finish what was begun")

    @property
    def live(self) -> dict[str, Any]:
        """`user_config` at the start."""
        return {}

    @property
    def log_file(self) -> RotatingFile | None:
        """The file that `log` names."""
        if self.log is None:
            return None
        return RotatingFile(self.log, self.log_bytes, self.log_files, self.log_days * 86_400)

    @property
    def limits(self) -> RequestLimits:
        """What the gateway admits."""
        return RequestLimits(
            body_bytes=self.body_bytes,
            deadline_ms=self.deadline_ms,
            longest_deadline_ms=self.longest_deadline_ms,
            in_flight=self.in_flight,
            retry_after_s=self.retry_after_s,
        )


class ServiceSettings(FrontSettings):
    """Arguments that the applications of all systems take; each adds its own and its files.

    Attributes:
        user_config: form of what may change while the application runs.
    """

    user_config: ClassVar[type[UserConfig]] = UserConfig

    registry: str = Field("data/registry", description="registry of models: directory or URI")
    model: str = Field("champion", description="alias or version to start with")
    rules: str | None = packaged_yaml("rules to start with")
    experiment: dict[str, Any] | None = Field(
        None, description="experiment to start with, see `Experiment`; its system is this one"
    )
    records: RecordsUrl
    journal: JournalFolder
    models: ModelFolder

    colocated: bool = Field(
        False, description="everything in the front node: no hop between deployments"
    )

    ahead_seconds: int = Field(300, ge=0, description="how far a caller's clock may be ahead")

    drain_seconds: float = positive(1.0, "between writes to the database")
    rescore_seconds: float = positive(5.0, "between looks for fallbacks to redo")
    follow_seconds: float = positive(15.0, "between looks at a moved alias")

    review_seconds: float = positive(
        2.0, "between looks at what people are to decide, and at what they did"
    )
    review_salt: Annotated[str | None, AfterValidator(require_salt_address)] = Field(
        None,
        description="env:NAME or file:/path, holding what draws second opinions and golden items; "
        "none: a random one, made once and kept with the records",
    )
    rules_seconds: float = positive(3.0, "between looks at which version of the rules is active")
    experiment_seconds: float = positive(3.0, "between looks at the experiment that runs")
    challenger_start_s: float = positive(
        120.0, "seconds for a challenger's process to load its model"
    )
    challenger_batch_ms: float = positive(
        1000.0, "for a challenger to answer a batch; then its process is ended"
    )
    challenger_memory_mb: int = positive(
        1024, "memory of a challenger's process beyond code and libraries, MiB"
    )

    @property
    def receipts_seconds(self) -> int:
        """How long what was sent before is recognised; 0: the system keeps no receipts."""
        return 0

    @property
    def live(self) -> dict[str, Any]:
        """`user_config` at the start."""
        return {name: getattr(self, name) for name in self.user_config.model_fields}


class PlanningSettings(ServiceSettings):
    """Arguments of applications that solve plans, which takes seconds of a core."""

    planner: DeploymentSettings = Field(
        DeploymentSettings(min=1), description="replicas that solve plans, one at a time each"
    )
    store_timeout_ms: float = positive(1000.0, "then the store counts as out")
