"""Fallback decisions wait here until a model has scored them; claims are leases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update

from lib.records.database import Database
from lib.records.entries import Decision, Json, Row, decision_from_row
from lib.records.errors import RecordsError
from lib.records.schema import DECISION_IDS, DECISIONS, RESCORES

METHODS = ("fallback", "pending")
"""Of decisions that wait here: a part was out, or is slower than the answer could wait."""
_MOST_PER_CLAIM = 1000


@dataclass(frozen=True)
class Rescore:
    """The state of one fallback decision; times are microseconds since 1970 UTC."""

    system: str
    subject_id: str
    queued_at: int
    attempts: int
    claimed_by: str | None
    claimed_until: int | None
    rescored_at: int | None
    answer: Mapping[str, Any] | None


def queue(database: Database, connection: Connection, decisions: Sequence[Row]) -> None:
    """Queue those of some decisions, new in this transaction, that `METHODS` made."""
    rows = [
        {
            "system": row["system"],
            "subject_id": row["subject_id"],
            "queued_at": row["decided_at"],
            "attempts": 0,
        }
        for row in decisions
        if row["method"] in METHODS
    ]
    database.insert_new(connection, RESCORES, rows)


def claim(
    connection: Connection, system: str, limit: int, worker: str, now: int, lease: int
) -> list[Decision]:
    """Claim what is free, oldest first; rows another worker is claiming are passed over."""
    if not 1 <= limit <= _MOST_PER_CLAIM:
        raise RecordsError(f"limit: expected 1 to {_MOST_PER_CLAIM}, got {limit}")
    free = or_(RESCORES.c.claimed_until.is_(None), RESCORES.c.claimed_until <= now)
    waiting = (
        select(RESCORES.c.subject_id)
        .where(RESCORES.c.system == system, RESCORES.c.rescored_at.is_(None), free)
        .order_by(RESCORES.c.queued_at, RESCORES.c.subject_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = list(connection.execute(waiting).scalars())
    connection.execute(
        update(RESCORES)
        .where(RESCORES.c.system == system, RESCORES.c.subject_id.in_(claimed))
        .values(claimed_by=worker, claimed_until=now + lease, attempts=RESCORES.c.attempts + 1)
    )
    # the day of each is known, so that one partition is looked into, not all
    one = and_(
        DECISIONS.c.system == DECISION_IDS.c.system,
        DECISIONS.c.subject_id == DECISION_IDS.c.subject_id,
        DECISIONS.c.received_at == DECISION_IDS.c.received_at,
    )
    query = (
        select(DECISIONS)
        .join(DECISION_IDS, one)
        .where(DECISION_IDS.c.system == system, DECISION_IDS.c.subject_id.in_(claimed))
        .order_by(DECISIONS.c.decided_at, DECISIONS.c.subject_id)
    )
    return [decision_from_row(dict(row)) for row in connection.execute(query).mappings()]


def mark(
    connection: Connection, system: str, subject_id: str, answer: Mapping[str, Json], at: int
) -> bool:
    """Store the first answer; False if there is one."""
    done = connection.execute(
        update(RESCORES)
        .where(
            RESCORES.c.system == system,
            RESCORES.c.subject_id == subject_id,
            RESCORES.c.rescored_at.is_(None),
        )
        .values(rescored_at=at, answer=dict(answer))
    )
    if done.rowcount == 0 and find(connection, system, subject_id) is None:
        raise RecordsError(
            f"{system} {subject_id!r}: expected a decision of a fallback, found none queued"
        )
    return done.rowcount == 1


def find(connection: Connection, system: str, subject_id: str) -> Rescore | None:
    """The state of one subject."""
    query = select(RESCORES).where(RESCORES.c.system == system, RESCORES.c.subject_id == subject_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else Rescore(**row)


def backlog(connection: Connection, system: str) -> int:
    """How many wait."""
    query = select(func.count()).where(
        RESCORES.c.system == system, RESCORES.c.rescored_at.is_(None)
    )
    return connection.execute(query).scalar_one()
