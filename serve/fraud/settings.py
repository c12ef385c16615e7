"""What a fraud application is started with."""

from pathlib import Path

from pydantic import Field

from lib.fraud.amounts import LARGEST_OF_ALL_MINOR, MOST_DIGITS, AmountScale
from lib.fraud.contracts import LARGEST_AMOUNT_MINOR
from serve.framework import DeploymentSettings
from serve.framework.settings import (
    JournalFolder,
    ModelFolder,
    RecordsUrl,
    ServiceSettings,
    StoreUrl,
    positive,
)


class FraudSettings(ServiceSettings):
    """Arguments of the application, as a Serve config file gives them."""

    profile_store: StoreUrl = "sqlite:///data/fraud/profiles.sqlite"
    records: RecordsUrl = "sqlite:///data/fraud/records.sqlite"
    journal: JournalFolder = Path("data/fraud/journal")
    models: ModelFolder = Path("data/fraud/models")
    exploration_key: Path | None = Field(
        None, description="file with the secret of the exploration sample, if rules have one"
    )

    colocated: bool = Field(
        True,
        description="the model in the front node: no hop between deployments; false where it is to "
        "be scaled by itself or has a GPU",
    )
    ensemble: DeploymentSettings = Field(
        DeploymentSettings(), description="replicas of the model, unless colocated"
    )

    labels_body_bytes: int = positive(1024 * 1024, "largest body of labels, bytes")
    labels_deadline_ms: float = positive(
        30_000.0, "time for an answer to labels, milliseconds; 1,000 must fit"
    )
    in_flight: int = positive(128, "requests at a time in a replica; then 503")
    deadline_ms: float = positive(2000.0, "time for an answer, milliseconds")
    shutdown_s: float = positive(10.0, "seconds to finish what was begun")

    receipt_seconds: int = positive(
        3600, "how long a retry is recognised; older payments are refused"
    )
    store_timeout_ms: float = positive(250.0, "then the profile store counts as out")
    model_timeout_ms: float = positive(250.0, "then the model counts as out")
    currency_digits: int = Field(
        2,
        ge=0,
        le=MOST_DIGITS,
        description="decimal digits of the settlement currency (ISO 4217: 2 for EUR, 0 for JPY, "
        "3 for KWD), as in the mapping file of training",
    )
    largest_amount_minor: int = Field(
        LARGEST_AMOUNT_MINOR,
        gt=0,
        le=LARGEST_OF_ALL_MINOR,
        description="largest amount of a payment, minor units; larger ones are refused",
    )
    fallback_cap_minor: int = Field(
        5_000,
        ge=0,
        description="without a model ever loaded: larger amounts go to REVIEW, minor units",
    )
    rescore_seconds: float = positive(2.0, "between looks for fallbacks to rescore")

    @property
    def receipts_seconds(self) -> int:
        """See `ServiceSettings`."""
        return self.receipt_seconds

    @property
    def scale(self) -> AmountScale:
        """What an amount is."""
        return AmountScale(self.currency_digits, self.largest_amount_minor)
