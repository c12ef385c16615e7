"""What a churn application is started with, and what may change while it runs."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from serve.framework.settings import (
    JournalFolder,
    ModelFolder,
    PlanningSettings,
    RecordsUrl,
    StoreUrl,
    UserConfig,
    packaged_yaml,
    positive,
)


class ChurnUserConfig(UserConfig):
    """`user_config` of a churn application.

    Attributes:
        playbooks: path, or the YAML itself; None: the packaged ones.
        interventions: False stops all interventions at once.
    """

    playbooks: str | None = None
    interventions: bool = True


class ChurnSettings(PlanningSettings):
    """Arguments of the application, as a Serve config file gives them."""

    user_config: ClassVar[type[UserConfig]] = ChurnUserConfig

    base: Path | None = Field(
        None,
        description="YAML of segments, plans and tables, as the model was trained on; none: that "
        "of the model it starts with",
    )
    profile_store: StoreUrl = "sqlite:///data/churn/profiles.sqlite"
    records: RecordsUrl = "sqlite:///data/churn/records.sqlite"
    journal: JournalFolder = Path("data/churn/journal")
    models: ModelFolder = Path("data/churn/models")
    scores: str | None = Field(
        None,
        description="output of jobs.churn.score, file or URI: who is planned for where a request "
        "names no customers",
    )

    playbooks: str | None = packaged_yaml("playbooks to start with")
    interventions: bool = Field(True, description="false: nobody is planned for")
    holdout_name: str = Field("churn", description="names the experiment, and so the holdout")
    margin: float = Field(0.8, gt=0, le=1, description="share of revenue that is kept")
    months: float = positive(12.0, "months that a saved customer is reckoned with")

    events_body_bytes: int = positive(8 * 1024 * 1024, "largest body of events, bytes")
    events_deadline_ms: float = positive(
        120_000.0, "time for an answer to events, milliseconds; 20,000 must fit"
    )
    receipt_days: int = positive(7, "days within which the same row told again changes nothing")
