"""Customers' health over time, and the scores that people set in its place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields, require_note
from lib.records.repository import Repository
from lib.records.schema import CUSTOMER_HEALTH, HEALTH_OVERRIDES


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthEntry:
    """A customer's health at a moment. Times are microseconds since 1970 UTC.

    Attributes:
        customer_id: of the customer.
        at: the moment.
        created_at: when it was computed.
        chance: probability to leave, 0 to 1.
        score: 0 to 100, 100 the best.
        band: red, amber or green.
        components: 0 to 100 by name, None without data.
        reasons: the strongest first.
        model_version: of the model that scored.
    """

    customer_id: str
    at: int
    created_at: int
    chance: float
    score: float
    band: str
    components: Mapping[str, Json]
    reasons: Sequence[Mapping[str, Json]]
    model_version: str | None

    def __post_init__(self) -> None:
        require_fields(self, ("customer_id",), ("at",))


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """A person's score in place of the computed one. Times are microseconds since 1970 UTC.

    Attributes:
        id: of the override.
        customer_id: of the customer.
        score: 0 to 100; None withdraws the override before.
        author: the person.
        reason: why.
        key_id: of the API key that sent it.
        created_at, expires_at: from when until when.
    """

    id: str
    customer_id: str
    score: float | None
    author: str
    reason: str
    key_id: str
    created_at: int
    expires_at: int

    def __post_init__(self) -> None:
        require_fields(self, ("id", "customer_id", "author"), ("created_at", "expires_at"))
        require_note("reason", self.reason)
        if self.expires_at <= self.created_at:
            raise RecordsError("expires_at: expected after created_at")


class HealthRepository(Repository):
    """Health entries and overrides of customers."""

    def insert_entries(self, entries: Iterable[HealthEntry]) -> int:
        """Store entries; of two of one customer and moment the first stays. Returns how many."""
        # a fixed order: two callers that overlap cannot wait for each other
        ordered = sorted(entries, key=lambda entry: (entry.customer_id, entry.at))
        with self._database.writing() as connection:
            return self._insert(connection, CUSTOMER_HEALTH, ordered)

    def list_entries(self, customer_id: str, limit: int = 400) -> list[HealthEntry]:
        """A customer's entries, the newest first."""
        table = CUSTOMER_HEALTH.c
        return self._list(
            HealthEntry, CUSTOMER_HEALTH, table.customer_id == customer_id,
            order=[table.at.desc()], limit=limit,
        )  # fmt: skip

    def insert_override(self, override: Override) -> None:
        """Store an override, which stays until it expires or another replaces it."""
        with self._database.writing() as connection:
            self._insert(connection, HEALTH_OVERRIDES, [override])

    def list_overrides(self, customer_id: str, limit: int = 20) -> list[Override]:
        """A customer's overrides, the newest first."""
        return self._newest(
            Override, HEALTH_OVERRIDES, "created_at", limit, customer_id=customer_id
        )
