"""Fallback decisions wait here until a model has scored them; claims are leases."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from lib.records.database import Database
from lib.records.errors import RecordsError
from lib.records.models import Decision, Json, Row, decision_from_row
from lib.records.schema import DECISION_IDS, DECISIONS, RESCORES

METHODS = ("fallback", "pending")
"""Of decisions that wait here: a part was out, or is slower than the answer could wait."""
GONE = "the decision is archived or erased"
"""The fault of what cannot be scored again at any time."""
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
    failures: int = 0
    parked_at: int | None = None
    fault: str | None = None


@dataclass(frozen=True)
class RetryPolicy:
    """How often a decision that cannot be scored again is tried; times are microseconds.

    Attributes:
        most_failures: it is parked after so many.
        first_pause: before it is claimed again; doubled by every failure.
        longest_pause: at most.
    """

    most_failures: int = 8
    first_pause: int = 30_000_000
    longest_pause: int = 3_600_000_000

    def pause(self, failures: int) -> int:
        """The pause after so many failures."""
        return min(self.first_pause << min(failures - 1, 30), self.longest_pause)


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
        .where(
            RESCORES.c.system == system,
            RESCORES.c.rescored_at.is_(None),
            RESCORES.c.parked_at.is_(None),
            free,
        )
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
    same_decision = and_(
        DECISIONS.c.system == DECISION_IDS.c.system,
        DECISIONS.c.subject_id == DECISION_IDS.c.subject_id,
        DECISIONS.c.received_at == DECISION_IDS.c.received_at,
    )
    query = (
        select(DECISIONS)
        .join(DECISION_IDS, same_decision)
        .where(DECISION_IDS.c.system == system, DECISION_IDS.c.subject_id.in_(claimed))
        .order_by(DECISIONS.c.decided_at, DECISIONS.c.subject_id)
    )
    decisions = [decision_from_row(dict(row)) for row in connection.execute(query).mappings()]
    if absent := set(claimed) - {same_decision.subject_id for same_decision in decisions}:
        changes = {"parked_at": now, "fault": GONE}
        connection.execute(update(RESCORES).where(*_named(system, absent)).values(changes))
    return decisions


def fail(
    connection: Connection, system: str, subject_id: str, fault: str, now: int, policy: RetryPolicy
) -> bool:
    """Note a failure; the decision waits, or is parked. True where it is parked now."""
    condition = _named(system, {subject_id})
    query = select(RESCORES.c.failures).where(*condition, RESCORES.c.rescored_at.is_(None))
    failures = connection.execute(query.with_for_update()).scalar_one_or_none()
    if failures is None:
        return False
    parked: bool = failures + 1 >= policy.most_failures
    values = {
        "failures": failures + 1,
        "fault": fault,
        "claimed_until": now + policy.pause(failures + 1),
        "parked_at": now if parked else None,
    }
    connection.execute(update(RESCORES).where(*condition).values(values))
    return parked


def give_back(connection: Connection, system: str, subjects: Collection[str]) -> None:
    """End the claims of decisions that were not tried."""
    free = {"claimed_until": None, "claimed_by": None}
    connection.execute(update(RESCORES).where(*_named(system, subjects)).values(free))


def unpark(connection: Connection, system: str, subjects: Collection[str] | None = None) -> int:
    """Let parked decisions be claimed again from their first failure on; returns how many.

    Those whose decision is gone stay parked.
    """
    conditions = [_is_parked(system), func.coalesce(RESCORES.c.fault, "") != GONE]
    if subjects is not None:
        conditions.append(RESCORES.c.subject_id.in_(sorted(subjects)))
    free = {"parked_at": None, "failures": 0, "claimed_until": None}
    return int(connection.execute(update(RESCORES).where(*conditions).values(free)).rowcount)


def parked(connection: Connection, system: str) -> int:
    """How many are parked."""
    query = select(func.count()).where(_is_parked(system))
    return connection.execute(query).scalar_one()


def list_parked(connection: Connection, system: str) -> list[Rescore]:
    """All that are parked, longest first."""
    query = select(RESCORES).where(_is_parked(system))
    query = query.order_by(RESCORES.c.parked_at, RESCORES.c.subject_id)
    return [Rescore(**row) for row in connection.execute(query).mappings()]


def _is_parked(system: str) -> ColumnElement[bool]:
    return and_(
        RESCORES.c.system == system,
        RESCORES.c.parked_at.is_not(None),
        RESCORES.c.rescored_at.is_(None),
    )


def _named(system: str, subjects: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return RESCORES.c.system == system, RESCORES.c.subject_id.in_(sorted(subjects))


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
        RESCORES.c.system == system,
        RESCORES.c.rescored_at.is_(None),
        RESCORES.c.parked_at.is_(None),
    )
    return connection.execute(query).scalar_one()
