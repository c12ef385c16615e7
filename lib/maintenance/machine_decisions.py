"""What was decided about machines, newest first: of all of them, and of one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, select

from lib.maintenance.repository import WorkOrderRepository
from lib.records import Decision, Fact, decision_store
from lib.records.models import decision_from_row
from lib.records.repository import Repository
from lib.records.review.models import AuditEntry
from lib.records.review.tables import AUDIT
from lib.records.schema import DECISION_IDS, DECISIONS, FACTS, SAME_DECISION

_SYSTEM = "maintenance"


@dataclass(frozen=True, slots=True)
class MachineDecision:
    """A decision about a machine in brief.

    Attributes:
        machine_id: of the machine.
        subject_id: of the decision.
        event_time: that it is about, microseconds since 1970 UTC.
        decision, method: what was decided, and by what.
        score: probability of a failure within 7 days; None without a model.
        rule_id: the rule that decided, if one did.
    """

    machine_id: str
    subject_id: str
    event_time: int
    decision: str
    method: str
    score: float | None
    rule_id: str | None


class MachineDecisionRepository(Repository):
    """Decisions about machines, without those that went to the archive."""

    def list_newest_decisions(self, since: int, limit: int) -> list[MachineDecision]:
        """Decisions about events since then (microseconds UTC), the newest first."""
        table = DECISIONS.c
        query = (
            select(DECISION_IDS.c.entity_id, *_brief())
            .join(DECISION_IDS, SAME_DECISION)
            .where(table.system == _SYSTEM, table.event_time >= since)
            .where(DECISION_IDS.c.entity_id.is_not(None))
            .order_by(table.event_time.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [MachineDecision(*row) for row in connection.execute(query)]

    def list_machine_decisions(self, machine_id: str, limit: int) -> list[MachineDecision]:
        """The decisions about a machine that were received last, the newest first."""
        ids = DECISION_IDS.c
        newest = (
            select(ids.system, ids.subject_id, ids.entity_id, ids.received_at)
            .where(ids.system == _SYSTEM, ids.entity_id == machine_id)
            .order_by(ids.received_at.desc())
            .limit(limit)
            .subquery()
        )
        names = ("system", "subject_id", "received_at")
        same = and_(*(DECISIONS.c[name] == newest.c[name] for name in names))
        query = select(newest.c.entity_id, *_brief()).join(DECISIONS, same)
        query = query.order_by(newest.c.received_at.desc(), newest.c.subject_id)
        with self._database.reading() as connection:
            return [MachineDecision(*row) for row in connection.execute(query)]

    def find_machine_decision(self, subject_id: str) -> Decision | None:
        """A decision with its answer and features; None where there is none."""
        with self._database.reading() as connection:
            row = decision_store.find(connection, _SYSTEM, subject_id)
        return None if row is None else decision_from_row(row)

    def list_machine_facts(self, machine_id: str, limit: int) -> list[Fact]:
        """Failures of a machine and what people saw of it, the newest first."""
        table = FACTS.c
        return self._list(
            Fact, FACTS, table.system == _SYSTEM, table.subject_id == machine_id,
            order=[table.observed_at.desc(), table.id.desc()], limit=limit,
        )  # fmt: skip

    def list_notes(self, subject_ids: Collection[str], limit: int) -> list[AuditEntry]:
        """What people noted about decisions, the newest first."""
        table = AUDIT.c
        return self._list(
            AuditEntry, AUDIT,
            table.system == _SYSTEM, table.subject_id.in_(sorted(subject_ids)),
            table.what == "noted",
            order=[table.number.desc()], limit=limit,
        )  # fmt: skip


def _brief() -> list[ColumnElement[Any]]:
    names = ("subject_id", "event_time", "decision", "method", "score", "rule_id")
    return [DECISIONS.c[name] for name in names]


class MachineRecords(WorkOrderRepository, MachineDecisionRepository):
    """Weeks, work orders and decisions over one pool of connections."""
