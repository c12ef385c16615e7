"""Fallback decisions wait here until a model has scored them; claims are leases."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from lib.records.errors import RecordsError
from lib.records.models import Decision, Json, Row, decision_from_row
from lib.records.repository import Repository, find_row
from lib.records.schema import DECISION_IDS, DECISIONS, RESCORES, SAME_DECISION

METHODS = ("fallback", "pending")
"""Of decisions that wait here: a part was out, or is slower than the answer could wait."""
DECISION_ABSENT = "the decision is archived or erased"
"""The fault of what cannot be scored again at any time."""
MOST_FAILURES = 8
"""A decision that cannot be scored again is parked after so many."""
_FIRST_PAUSE_US, _LONGEST_PAUSE_US = 30_000_000, 3_600_000_000
_MOST_PER_CLAIM = 1000
_KEYS_PER_QUERY = 1000


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


class RescoreRepository(Repository):
    """Fallback decisions that wait, and the answers that a model gave later."""

    def to_rescore(
        self,
        system: str,
        limit: int,
        *,
        worker: str,
        now: int | None = None,
        lease: int = 60_000_000,
    ) -> list[Decision]:
        """Claim up to `limit` fallback decisions for `lease` microseconds, oldest first.

        Whoever dies with a claim loses it when the lease ends; nobody else gets it before. Rows
        that another worker is claiming are passed over.

        Args:
            system: the risk system.
            limit: at most so many, 1 to 1000.
            worker: who claims, for operators.
            now: microseconds since 1970 UTC; None is the database's clock, which all workers share.
            lease: how long the claim holds, in microseconds.
        """
        if not 1 <= limit <= _MOST_PER_CLAIM:
            raise RecordsError(f"limit: expected 1 to {_MOST_PER_CLAIM}, got {limit}")
        with self._database.writing() as connection:
            at = self._database.now(connection) if now is None else now
            claimed = _claim(connection, system, limit, worker, at, lease)
            query = (
                select(DECISIONS)
                .join(DECISION_IDS, SAME_DECISION)
                .where(DECISION_IDS.c.system == system, DECISION_IDS.c.subject_id.in_(claimed))
                .order_by(DECISIONS.c.decided_at, DECISIONS.c.subject_id)
            )
            decisions = [
                decision_from_row(dict(row)) for row in connection.execute(query).mappings()
            ]
            if absent := set(claimed) - {decision.subject_id for decision in decisions}:
                _change(connection, _named(system, absent), parked_at=at, fault=DECISION_ABSENT)
        return decisions

    def fail_rescore(
        self, system: str, subject_id: str, fault: str, *, now: int | None = None
    ) -> bool:
        """Note that a claimed decision cannot be scored again; True where it is parked now.

        Args:
            system: the risk system.
            subject_id: what was to be scored again.
            fault: why, without personal data.
            now: as in `to_rescore`.
        """
        condition = _named(system, {subject_id})
        query = select(RESCORES.c.failures).where(condition, RESCORES.c.rescored_at.is_(None))
        with self._database.writing() as connection:
            at = self._database.now(connection) if now is None else now
            before: int | None = connection.execute(query.with_for_update()).scalar_one_or_none()
            if before is None:
                return False
            failures = before + 1
            parked_at = at if failures >= MOST_FAILURES else None
            _change(
                connection, condition, failures=failures, fault=fault,
                claimed_until=at + pause_us(failures), parked_at=parked_at,
            )  # fmt: skip
        return parked_at is not None

    def give_back(self, system: str, subjects: Collection[str]) -> None:
        """End the claims of decisions that were not tried, so that others may claim them."""
        with self._database.writing() as connection:
            _change(connection, _named(system, subjects), claimed_until=None, claimed_by=None)

    def unpark_rescores(self, system: str, subjects: Collection[str]) -> int:
        """Let parked decisions be claimed again, from their first failure on; returns how many.

        What is archived or erased stays parked.

        Args:
            system: the risk system.
            subjects: which.
        """
        names, released = sorted(set(subjects)), 0
        is_kept = func.coalesce(RESCORES.c.fault, "") != DECISION_ABSENT
        with self._database.writing() as connection:
            for start in range(0, len(names), _KEYS_PER_QUERY):
                part = _named(system, names[start : start + _KEYS_PER_QUERY])
                released += _change(
                    connection, and_(part, _is_parked(system), is_kept),
                    parked_at=None, failures=0, claimed_until=None,
                )  # fmt: skip
        return released

    def list_parked(self, system: str) -> list[Rescore]:
        """Decisions that failed too often to be tried again, longest parked first."""
        order = [RESCORES.c.parked_at, RESCORES.c.subject_id]
        return self._list(Rescore, RESCORES, _is_parked(system), order=order)

    def mark_rescored(
        self, system: str, subject_id: str, new_answer: Mapping[str, Json], at: int
    ) -> bool:
        """Keep the model's answer beside the fallback's; False if one is there already.

        Args:
            system: the risk system.
            subject_id: what was scored again.
            new_answer: the body the model would have answered.
            at: microseconds since 1970 UTC.

        Raises:
            RecordsError: the subject was never queued.
        """
        condition = _named(system, {subject_id})
        waits = and_(condition, RESCORES.c.rescored_at.is_(None))
        with self._database.writing() as connection:
            marked = _change(connection, waits, rescored_at=at, answer=dict(new_answer))
            if not marked and find_row(connection, Rescore, RESCORES, condition) is None:
                raise RecordsError(
                    f"{system} {subject_id!r}: expected a decision of a fallback, found none queued"
                )
        return bool(marked)

    def rescore(self, system: str, subject_id: str) -> Rescore | None:
        """How far the re-scoring of a fallback decision is, with its answer once there is one."""
        with self._database.reading() as connection:
            return find_row(connection, Rescore, RESCORES, _named(system, {subject_id}))

    def rescore_backlog(self, system: str) -> int:
        """How many fallback decisions still wait to be scored again."""
        query = select(func.count()).where(
            RESCORES.c.system == system,
            RESCORES.c.rescored_at.is_(None),
            RESCORES.c.parked_at.is_(None),
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def _queue(self, connection: Connection, decisions: Sequence[Row]) -> None:
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
        self._database.insert_new(connection, RESCORES, rows)


def pause_us(failures: int) -> int:
    """Microseconds before a decision is claimed again: doubled by every failure, up to an hour."""
    return min(_FIRST_PAUSE_US << min(failures - 1, 30), _LONGEST_PAUSE_US)


def _claim(
    connection: Connection, system: str, limit: int, worker: str, now: int, lease: int
) -> list[str]:
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
    _change(
        connection, _named(system, claimed),
        claimed_by=worker, claimed_until=now + lease, attempts=RESCORES.c.attempts + 1,
    )  # fmt: skip
    return claimed


def _change(connection: Connection, condition: ColumnElement[bool], **values: Any) -> int:
    """Returns how many rows were changed."""
    return connection.execute(update(RESCORES).where(condition).values(values)).rowcount


def _is_parked(system: str) -> ColumnElement[bool]:
    return and_(
        RESCORES.c.system == system,
        RESCORES.c.parked_at.is_not(None),
        RESCORES.c.rescored_at.is_(None),
    )


def _named(system: str, subjects: Collection[str]) -> ColumnElement[bool]:
    return and_(RESCORES.c.system == system, RESCORES.c.subject_id.in_(sorted(subjects)))
