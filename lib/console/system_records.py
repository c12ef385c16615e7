"""All that the console reads of one system's records, over one pool of connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select

from lib.business.repository import StatementRepository
from lib.console.actor import is_actor
from lib.console.decision_search import DecisionSearch
from lib.console.review_steps import open_to_all
from lib.console.rule_records import RuleHitRecords
from lib.experiment.exposure import Span
from lib.experiment.models import ExperimentChange
from lib.experiment.repository import ExperimentRepository
from lib.maintenance.machine_decisions import MachineRecords
from lib.maintenance.repository import ScheduleChange
from lib.monitoring.repository import MonitoringRepository
from lib.records.review import ReviewStore
from lib.records.review.models import AuditEntry
from lib.records.review.tables import AUDIT
from lib.records.schema import (
    DECISIONS,
    EXPERIMENT_CHANGES,
    EXPERIMENT_DECISIONS,
    EXPERIMENTS,
    RULE_CHANGES,
    SCHEDULE_CHANGES,
)
from lib.retraining.promotion import PromotionRepository
from lib.rules.repository import RuleChange, RuleRepository

_WHOLE_TIME = 2**62


@dataclass(frozen=True, slots=True)
class TrialCount:
    """Subjects of an experiment that have all of these in common.

    Attributes:
        arm: whose decision was answered.
        champion_decision, challenger_decision: what both models decided.
        fault: why the challenger has no score; None where it has one.
        rows: how many.
        challenger_ms: mean time to the challenger's score, milliseconds.
    """

    arm: str
    champion_decision: str | None
    challenger_decision: str | None
    fault: str | None
    rows: int
    challenger_ms: float | None


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which entries of an audit are meant; None takes all. Times in microseconds UTC.

    Attributes:
        person: who acted.
        action: as the audit calls it.
        since: from then on.
        until: before then.
    """

    person: str | None = None
    action: str | None = None
    since: int = 0
    until: int = _WHOLE_TIME

    def conditions(
        self, person: ColumnElement[str], action: ColumnElement[str], at: ColumnElement[int]
    ) -> list[ColumnElement[bool]]:
        """The same for the columns of a table."""
        conditions = [at >= self.since, at < self.until]
        if self.person is not None:
            conditions.append(is_actor(person, self.person))
        if self.action is not None:
            conditions.append(action == self.action)
        return conditions


class SystemRecords(
    ReviewStore,
    ExperimentRepository,
    MonitoringRepository,
    PromotionRepository,
    StatementRepository,
    RuleRepository,
    RuleHitRecords,
    MachineRecords,
    DecisionSearch,
):
    """Decisions, queue, experiments and incidents of one system.

    Args:
        url: as of `Repository`.
        system: whose rows these are.
    """

    @property
    def system(self) -> str:
        """Whose rows these are."""
        return self._system

    def count_decisions(self, since: int, until: int) -> dict[str, int]:
        """How many decisions of each kind events from `since` until before `until` were given."""
        table = DECISIONS.c
        within = (table.system == self._system, table.event_time >= since, table.event_time < until)
        query = select(table.decision, func.count()).where(*within).group_by(table.decision)
        with self._database.reading() as connection:
            return {str(decision): int(count) for decision, count in connection.execute(query)}

    def count_trials(self, experiment_id: str) -> list[TrialCount]:
        """Subjects of an experiment by arm, by what both models decided, and by fault."""
        table = EXPERIMENT_DECISIONS.c
        kind = (table.arm, table.champion_decision, table.challenger_decision, table.fault)
        query = select(*kind, func.count(), func.avg(table.challenger_ms))
        query = query.where(table.experiment_id == experiment_id).group_by(*kind).order_by(*kind)
        with self._database.reading() as connection:
            return [TrialCount(*row) for row in connection.execute(query)]

    def count_entities(
        self, experiment_id: str, spans: Sequence[Span]
    ) -> Sequence[Mapping[str, int]]:
        """Entities by arm, for each span those that were first seen in it."""
        table = EXPERIMENT_DECISIONS.c
        first = (
            select(table.entity_id, func.min(table.decided_at).label("at"))
            .where(table.experiment_id == experiment_id)
            .group_by(table.entity_id)
            .subquery()
        )
        ends = [(first.c.at < span.until, number) for number, span in enumerate(spans)]
        piece = case(*ends, else_=len(spans))
        query = (
            select(piece, table.arm, func.count(table.entity_id.distinct()))
            .join(first, (table.entity_id == first.c.entity_id) & (table.decided_at == first.c.at))
            .where(table.experiment_id == experiment_id)
            .group_by(piece, table.arm)
        )
        counts: list[dict[str, int]] = [{} for _ in spans]
        with self._database.reading() as connection:
            for number, arm, entities in connection.execute(query):
                if number < len(counts):
                    counts[number][arm] = int(entities)
        return counts

    def list_review_steps(self, step_filter: StepFilter, most: int) -> list[AuditEntry]:
        """What happened to items of the queue, the newest first.

        By a person or an action, without what would tell either to whoever judges a subject next.
        """
        table = AUDIT.c
        conditions = [
            table.system == self._system,
            *step_filter.conditions(table.who, table.what, table.at),
        ]
        if (step_filter.person, step_filter.action) != (None, None):
            conditions.append(open_to_all(table) | ~self.is_open(table.subject_id))
        order = [table.at.desc(), table.number.desc()]
        return self._list(AuditEntry, AUDIT, *conditions, order=order, limit=most)

    def list_rule_steps(self, step_filter: StepFilter, most: int) -> list[RuleChange]:
        """What happened to rules, the newest first."""
        table = RULE_CHANGES.c
        conditions = (
            table.system == self._system,
            *step_filter.conditions(table.by, table.action, table.at),
        )
        order = [table.id.desc()]
        return self._list(RuleChange, RULE_CHANGES, *conditions, order=order, limit=most)

    def list_experiment_steps(self, step_filter: StepFilter, most: int) -> list[ExperimentChange]:
        """What happened to experiments, the newest first."""
        table = EXPERIMENT_CHANGES.c
        of_system = select(EXPERIMENTS.c.id).where(EXPERIMENTS.c.system == self._system)
        conditions = (
            table.experiment_id.in_(of_system),
            *step_filter.conditions(table.by, table.action, table.at),
        )
        order = [table.at.desc(), table.id.desc()]
        return self._list(
            ExperimentChange, EXPERIMENT_CHANGES, *conditions, order=order, limit=most
        )

    def list_schedule_steps(self, step_filter: StepFilter, most: int) -> list[ScheduleChange]:
        """What people changed in planned weeks, the newest first."""
        table = SCHEDULE_CHANGES.c
        conditions = step_filter.conditions(table.by, table.action, table.at)
        return self.list_all_changes(*conditions, limit=most)
