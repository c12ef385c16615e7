"""What a moderation application is started with, and what may change while it runs."""

import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serve.framework import DeploymentSettings
from serve.framework.settings import (
    JournalFolder,
    ModelFolder,
    RecordsUrl,
    ServiceSettings,
    StoreUrl,
    UserConfig,
    packaged_yaml,
)


class Batching(BaseModel):
    """How posts are put together for a model: those that come while it is busy leave as one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(16, ge=1, description="posts of a batch at most")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value


class ModerationUserConfig(UserConfig):
    """`user_config` of a moderation application.

    Attributes:
        policies: path, or the YAML itself; None: the packaged ones.
        lists: word lists, the same way.
        hashes: file of hashes of known media, or None.
    """

    policies: str | None = None
    lists: str | None = None
    hashes: str | None = None


class ModerationSettings(ServiceSettings):
    """Arguments of the application, as a Serve config file gives them."""

    user_config: ClassVar[type[UserConfig]] = ModerationUserConfig

    profile_store: StoreUrl = "sqlite:///data/moderation/authors.sqlite"
    records: RecordsUrl = "sqlite:///data/moderation/records.sqlite"
    challenger_batch_ms: float = Field(
        10_000.0, gt=0, description="for a challenger to answer a batch; then its process is ended"
    )
    challenger_memory_mb: int = Field(
        4096, gt=0, description="memory of a challenger's process beyond code and libraries, MiB"
    )
    journal: JournalFolder = Path("data/moderation/journal")
    models: ModelFolder = Path("data/moderation/models")
    media: str = Field(
        "data/moderation/media",
        description="folder or URI where media of posts are kept for reviewers, by their SHA-256",
    )
    addresses: tuple[str, ...] = Field(
        (), description="prefixes of URIs that media may be fetched from, e.g. s3://uploads/"
    )

    policies: str | None = packaged_yaml("policies")
    lists: str | None = packaged_yaml("word lists")
    hashes: str | None = Field(None, description="file of hashes of known media; none: no list")
    reviews_per_hour: float | None = Field(
        None, gt=0, description="posts that people can review in an hour; none: no limit is priced"
    )

    text: DeploymentSettings = Field(DeploymentSettings(), description="replicas of the text model")
    image: DeploymentSettings = Field(
        DeploymentSettings(), description="replicas of the image models"
    )
    video: DeploymentSettings = Field(
        DeploymentSettings(), description="replicas of the video model"
    )
    batching: Batching = Field(Batching(), description="how posts are put together")
    device: str = Field("auto", description="of the models: cpu, cuda, or what there is")
    threads: int = Field(1, ge=1, description="of each model on the CPU")
    video_at_once: bool = Field(
        False, description="answer when the video is judged; else PENDING, and it follows"
    )

    body_bytes: int = Field(48 * 1024 * 1024, gt=0, description="largest body of a post, bytes")
    deadline_ms: float = Field(2_000.0, gt=0, description="time for an answer, milliseconds")
    store_timeout_ms: float = Field(500.0, gt=0, description="then the profile store is out")
    model_timeout_ms: float = Field(10_000.0, gt=0, description="then a model is out")
    prepare_seconds: float = Field(
        60.0, gt=0, description="that a new version may load in members before it is used"
    )
    receipt_days: int = Field(7, gt=0, description="how long a post told again is recognised")
    capacity_seconds: float = Field(
        60.0, gt=0, description="between looks at how scarce reviewers are"
    )
