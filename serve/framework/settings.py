"""What every application is started with, and what may change while it runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from lib.durable import RotatingFile
from serve.framework.deployment import DeploymentSettings
from serve.framework.routes import RequestLimits


class ServiceSettings(BaseModel):
    """Arguments that all applications take; each adds its own and says where its files are.

    Paths and URLs are as the replicas see them; a relative path is below their working directory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry: str = Field("data/registry", description="registry of models: directory or URI")
    model: str = Field("champion", description="alias or version to start with")
    rules: str | None = Field(
        None, description="rules to start with: path, or the YAML itself; none: the packaged ones"
    )
    records: str = Field(description="database of decisions and what became of them")
    journal: Path = Field(description="local directory for decisions not yet stored")
    models: Path = Field(description="local copies of models")
    api_keys: Path = Field(Path("data/keys.json"), description="file of API keys")
    log: Path | None = Field(None, description="file of JSON lines; none: standard error")
    log_bytes: int = Field(64 << 20, gt=0, description="size at which the log is put aside, bytes")
    log_files: int = Field(8, ge=0, description="logs that were put aside and are kept")
    log_days: float = Field(
        0.0, ge=0, description="days after which a log is put aside and those are removed; 0: none"
    )

    front: DeploymentSettings = Field(
        DeploymentSettings(), description="replicas of the front node"
    )
    colocated: bool = Field(
        False, description="everything in the front node: no hop between deployments"
    )

    body_bytes: int = Field(64 * 1024, gt=0, description="largest body, bytes")
    deadline_ms: float = Field(10_000.0, gt=0, description="time for an answer, milliseconds")
    longest_deadline_ms: float = Field(
        30_000.0, gt=0, description="the most that a caller may ask for, milliseconds"
    )
    in_flight: int = Field(128, gt=0, description="requests at a time in a replica; then 503")
    retry_after_s: int = Field(1, ge=0, description="seconds that a 503 asks to wait")
    shutdown_s: float = Field(15.0, gt=0, description="seconds to finish what was begun")
    ahead_seconds: int = Field(300, ge=0, description="how far a caller's clock may be ahead")

    drain_seconds: float = Field(1.0, gt=0, description="between writes to the database")
    rescore_seconds: float = Field(5.0, gt=0, description="between looks for fallbacks to redo")
    follow_seconds: float = Field(15.0, gt=0, description="between looks at a moved alias")

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


class UserConfig(BaseModel):
    """`user_config`: what is loaded, checked and swapped without a restart.

    Attributes:
        model: alias or version.
        rules: path, or the YAML itself; None: the packaged rules.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "champion"
    rules: str | None = None
