"""Customers' health over time, and what people know better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from lib.records.database import Database
from lib.records.errors import RecordsError
from lib.records.migration import migrate
from lib.records.models import Json, require_note, require_text, require_time
from lib.records.schema import CUSTOMER_HEALTH, HEALTH_OVERRIDES

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthEntry:
    """A customer's health at a moment. Times are microseconds since 1970 UTC.

    Attributes:
        customer_id: who.
        at: the moment.
        created_at: when it was reckoned.
        chance: to leave, 0 to 1.
        score: 0 to 100, 100 the best.
        band: red, amber or green.
        components: 0 to 100 by name, None where nothing is told.
        reasons: the strongest first.
        model_version: whose.
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
        require_text("customer_id", self.customer_id)
        require_time("at", self.at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """What a person knows better. Times are microseconds since 1970 UTC.

    Attributes:
        id: names it.
        customer_id: of whom.
        score: 0 to 100; None withdraws what was said before.
        author: who says so.
        reason: why.
        key_id: of the API key that it came with.
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
        for name in ("id", "customer_id", "author"):
            require_text(name, getattr(self, name))
        require_note("reason", self.reason)
        for name in ("created_at", "expires_at"):
            require_time(name, getattr(self, name))
        if self.expires_at <= self.created_at:
            raise RecordsError("expires_at: expected after created_at")


class CustomerHealth:
    """History and overrides in SQLite or PostgreSQL; safe for threads and processes.

    Every method raises RecordsUnavailableError where the database cannot be reached.

    Args:
        url: `sqlite:///path` or `postgresql+psycopg://...`; the database that `Records` uses.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def migrate(self) -> None:
        """See `Records.migrate`."""
        migrate(self._database)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()

    def keep(self, entries: Iterable[HealthEntry]) -> int:
        """Store entries; of two about one customer and moment the first stays. Returns how many."""
        # one order for everybody: two callers that overlap cannot wait for each other
        ordered = sorted(entries, key=lambda entry: (entry.customer_id, entry.at))
        rows = [asdict(entry) for entry in ordered]
        fresh = 0
        with self._database.writing() as connection:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = rows[start : start + _ROWS_AT_ONCE]
                fresh += self._database.insert_new(connection, CUSTOMER_HEALTH, part)
        return fresh

    def history(self, customer_id: str, most: int = 400) -> list[HealthEntry]:
        """A customer's entries, the newest first."""
        query = (
            select(CUSTOMER_HEALTH)
            .where(CUSTOMER_HEALTH.c.customer_id == customer_id)
            .order_by(CUSTOMER_HEALTH.c.at.desc())
            .limit(most)
        )
        with self._database.reading() as connection:
            return [HealthEntry(**row) for row in connection.execute(query).mappings()]

    def override(self, override: Override) -> None:
        """Keep what a person says; an override stays until it expires or another is said."""
        with self._database.writing() as connection:
            self._database.insert_new(connection, HEALTH_OVERRIDES, [asdict(override)])

    def overrides(self, customer_id: str, most: int = 20) -> list[Override]:
        """What people said of a customer, the newest first."""
        query = (
            select(HEALTH_OVERRIDES)
            .where(HEALTH_OVERRIDES.c.customer_id == customer_id)
            .order_by(HEALTH_OVERRIDES.c.created_at.desc(), HEALTH_OVERRIDES.c.id)
            .limit(most)
        )
        with self._database.reading() as connection:
            rows: list[Any] = list(connection.execute(query).mappings())
        return [Override(**row) for row in rows]

    def in_force(self, customer_id: str, now: int) -> Override | None:
        """The override that holds now: the newest, unless it has expired or withdraws."""
        newest = next(iter(self.overrides(customer_id, 1)), None)
        if newest is None or newest.score is None or newest.expires_at <= now:
            return None
        return newest
