"""What a fraud application is started with, and what may change while it runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from serve.gateway import Limits, Replicas


class FraudArgs(BaseModel):
    """Arguments of the application, as a Serve config file gives them.

    Paths and URLs are as the replicas see them; a relative path is below their working directory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry: str = Field("data/registry", description="registry of models: directory or URI")
    model: str = Field("champion", description="alias or version to start with")
    rules: str | None = Field(
        None, description="rules to start with: path, or the YAML itself; none: the packaged ones"
    )
    profile_store: str = Field(
        "sqlite:///data/fraud/profiles.sqlite", description="sqlite:///path or redis://host:port/0"
    )
    records: str = Field(
        "sqlite:///data/fraud/records.sqlite", description="database of decisions and labels"
    )
    journal: Path = Field(
        Path("data/fraud/journal"), description="local directory for decisions not yet stored"
    )
    models: Path = Field(Path("data/fraud/models"), description="local copies of models")
    api_keys: Path = Field(Path("data/keys.json"), description="file of API keys")
    log: Path | None = Field(None, description="file of JSON lines; none: standard error")
    exploration_key: Path | None = Field(
        None, description="file with the secret of the exploration sample, if rules have one"
    )

    colocated: bool = Field(
        False, description="rules, features and model in one replica: no hop between deployments"
    )
    front: Replicas = Field(Replicas(), description="replicas of the front node")
    ensemble: Replicas = Field(Replicas(), description="replicas of the model, unless colocated")

    body_bytes: int = Field(64 * 1024, gt=0, description="largest body of a payment, bytes")
    labels_body_bytes: int = Field(1024 * 1024, gt=0, description="largest body of labels, bytes")
    deadline_ms: float = Field(2000.0, gt=0, description="time for an answer, milliseconds")
    in_flight: int = Field(128, gt=0, description="requests at a time in a replica; then 503")
    retry_after_s: int = Field(1, ge=0, description="seconds that a 503 asks to wait")
    shutdown_s: float = Field(10.0, gt=0, description="seconds to finish what was begun")

    receipt_seconds: int = Field(
        3600, gt=0, description="how long a retry is recognised; older payments are refused"
    )
    ahead_seconds: int = Field(300, ge=0, description="how far a caller's clock may be ahead")
    store_timeout_ms: float = Field(250.0, gt=0, description="then the profile store counts as out")
    model_timeout_ms: float = Field(250.0, gt=0, description="then the model counts as out")
    fallback_cap_minor: int = Field(
        5_000,
        ge=0,
        description="without a model ever loaded: larger amounts go to REVIEW, minor units",
    )

    drain_seconds: float = Field(1.0, gt=0, description="between writes to the database")
    rescore_seconds: float = Field(2.0, gt=0, description="between looks for fallbacks to re-score")
    follow_seconds: float = Field(15.0, gt=0, description="between looks at a moved alias")

    @property
    def limits(self) -> Limits:
        """What the gateway admits."""
        return Limits(
            body_bytes=self.body_bytes,
            deadline_ms=self.deadline_ms,
            in_flight=self.in_flight,
            retry_after_s=self.retry_after_s,
        )


class Live(BaseModel):
    """`user_config`: what is loaded, checked and swapped without a restart.

    Attributes:
        model: alias or version.
        rules: path, or the YAML itself; None: the packaged rules.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "champion"
    rules: str | None = None
