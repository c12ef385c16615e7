"""Customers' health over time, and the scores that people set in its place."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import exists, select

from lib.churn.customer_steps import CustomerStep, add_steps
from lib.churn.health import COMPONENTS
from lib.churn.standing_repository import MONTHS_A_YEAR, CustomerStanding
from lib.records.errors import RecordsError
from lib.records.models import Json, require_fields, require_note
from lib.records.repository import Repository, query_rows
from lib.records.schema import (
    CUSTOMER_HEALTH,
    CUSTOMER_STANDINGS,
    HEALTH_OVERRIDES,
    IS_LATER_OVERRIDE,
    LATER_OVERRIDES,
)

_STANDINGS_PER_STATEMENT = 1000


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
        segment: None where it is not known.
        mrr: revenue a month, currency units; None where it is not known.
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
    segment: str | None = None
    mrr: float | None = None

    def __post_init__(self) -> None:
        require_fields(self, ("customer_id",), ("at",))

    @property
    def standing(self) -> CustomerStanding:
        """Where the customer stands by this entry."""
        return CustomerStanding(
            customer_id=self.customer_id,
            at=self.at,
            probability=self.chance,
            score=self.score,
            band=self.band,
            segment=self.segment,
            mrr=self.mrr,
            revenue_at_risk=self.chance * (self.mrr or 0.0) * MONTHS_A_YEAR,
        )


def entry_of(row: Mapping[str, Any], at: int, version: str | None, now: int) -> HealthEntry:
    """A row of `scores_table` as it is kept.

    Args:
        row: of a customer.
        at: its `as_of`, microseconds since 1970 UTC.
        version: of the model.
        now: microseconds since 1970 UTC.
    """
    return HealthEntry(
        customer_id=row["customer_id"],
        at=at,
        created_at=now,
        chance=row["chance"],
        score=row["score"],
        band=row["band"],
        components={name: row[name] for name in COMPONENTS},
        reasons=json.loads(row["reasons"]),
        model_version=version,
        segment=row.get("segment"),
        mrr=row.get("mrr"),
    )


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
        newest = {entry.customer_id: asdict(entry.standing) for entry in ordered}
        rows = list(newest.values())
        with self._database.writing() as connection:
            new = self._insert(connection, CUSTOMER_HEALTH, ordered)
            for start in range(0, len(rows), _STANDINGS_PER_STATEMENT):
                part = rows[start : start + _STANDINGS_PER_STATEMENT]
                self._database.insert_newest(connection, CUSTOMER_STANDINGS, part, "at")
        return new

    def list_entries(self, customer_id: str, limit: int = 400) -> list[HealthEntry]:
        """A customer's entries, the newest first."""
        table = CUSTOMER_HEALTH.c
        return self._list(
            HealthEntry, CUSTOMER_HEALTH, table.customer_id == customer_id,
            order=[table.at.desc()], limit=limit,
        )  # fmt: skip

    def insert_override(self, override: Override) -> None:
        """Store an override, which stays until it expires or another replaces it."""
        step = CustomerStep(
            at=override.created_at,
            author=override.author,
            key_id=override.key_id,
            action="override withdrawn" if override.score is None else "overridden",
            subject_id=override.id,
            customer_id=override.customer_id,
            detail={
                "reason": override.reason,
                "score": override.score,
                "expires_at": override.expires_at,
            },
        )
        with self._database.writing() as connection:
            if self._insert(connection, HEALTH_OVERRIDES, [override]):
                add_steps(connection, [step])

    def list_overrides(self, customer_id: str, limit: int = 20) -> list[Override]:
        """A customer's overrides, the newest first."""
        return self._newest(
            Override, HEALTH_OVERRIDES, "created_at", limit, customer_id=customer_id
        )

    def list_in_force(self, now: int, limit: int | None = None) -> list[Override]:
        """Overrides in force, by expiry: of a customer its newest, not withdrawn, not expired."""
        table = HEALTH_OVERRIDES.c
        replaced = exists(select(LATER_OVERRIDES.c.id).where(IS_LATER_OVERRIDE))
        query = query_rows(
            Override,
            HEALTH_OVERRIDES,
            table.expires_at > now,
            table.score.is_not(None),
            ~replaced,
        )
        query = query.order_by(table.expires_at, table.customer_id).limit(limit)
        with self._database.reading() as connection:
            return [Override(**row) for row in connection.execute(query).mappings()]
