"""What the console is started with."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lib.console.sessions import SessionLimits
from lib.fraud.amounts import MOST_DIGITS
from lib.records.systems import System
from lib.review.salt import require_salt_address
from serve.framework.settings import FrontSettings, RecordsUrl, positive

_SECOND = 1_000_000


class SystemSettings(BaseModel):
    """Where one system keeps its records and models, as its own application names them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    records: RecordsUrl
    registry: str = Field("data/registry", description="registry of models: directory or URI")
    review_salt: Annotated[str | None, AfterValidator(require_salt_address)] = Field(
        None, description="salt of its review queue, as its own application names it"
    )
    media: str | None = Field(
        None,
        description="folder or URI of the media of posts, as their own application names it; "
        "without it none is shown",
    )
    currency_digits: int = Field(
        2,
        ge=0,
        le=MOST_DIGITS,
        description="decimal digits of the settlement currency of payments, as their own "
        "application names them",
    )


def _from_text(value: Any) -> Any:
    """`serve run` gives every argument as text."""
    return json.loads(value) if isinstance(value, str) else value


Systems = Annotated[
    dict[System, SystemSettings],
    BeforeValidator(_from_text),
    Field(min_length=1, description="systems that are shown"),
]


class ConsoleSettings(FrontSettings):
    """Arguments of the console, as a Serve config file gives them."""

    systems: Systems
    records: Annotated[str, Field(description="database of the console's own sessions")]
    https: bool = Field(
        False,
        description="whether browsers reach it by HTTPS alone: cookies are sent over nothing else",
    )
    proxies: int = Field(
        1,
        ge=0,
        description="proxies before a replica that each add an address to X-Forwarded-For; Ray "
        "Serve's is one, a load balancer another",
    )
    session_minutes: float = positive(60.0, "without a request, after which a session ends")
    session_hours: float = positive(12.0, "after which a session ends in any case")
    session_days: float = positive(90.0, "that ended sessions are kept")
    sign_in_failures: int = positive(
        5, "failed sign-ins of an address or a key before further ones wait"
    )
    store_timeout_ms: float = positive(5_000.0, "then the records of a system count as unavailable")
    backtest_ms: float = positive(9_000.0, "for a backtest of rules over stored decisions")
    shared_seconds: float = Field(
        10.0,
        ge=0,
        description="that the figures of home and of a queue are shown to everybody before they "
        "are counted anew",
    )
    threads: int = positive(8, "pages that read records at a time in a replica")

    @property
    def session_limits(self) -> SessionLimits:
        """How long sessions last."""
        return SessionLimits(
            idle=round(self.session_minutes * 60 * _SECOND),
            longest=round(self.session_hours * 3600 * _SECOND),
        )
