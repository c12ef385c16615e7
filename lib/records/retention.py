"""Lets records age: what is older than asked for goes, what still waits for somebody stays.

Rows go some at a time, each part in a transaction of its own, so that nobody waits long; cut off
anywhere, the same call goes on. Decisions age by whole days: see `lib.records.archiving`.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from sqlalchemy import (
    Delete,
    Table,
    Text,
    Update,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)

from lib.records.archiving import Aged, archive_day, days_before, delete_archived, delete_day
from lib.records.repository import RemovalRepository
from lib.records.review.tables import AUDIT, ITEMS, LABELS, OUTCOMES, STATEMENTS, VERDICTS
from lib.records.schema import (
    CUSTOMER_HEALTH,
    CUSTOMER_STANDINGS,
    CUSTOMER_STEPS,
    DECISION_IDS,
    DECISIONS,
    EXPERIMENT_DECISIONS,
    FACTS,
    HEALTH_OVERRIDES,
    INTERVENTION_OUTCOMES,
    INTERVENTION_PLANS,
    INTERVENTIONS,
    IS_LATER_OVERRIDE,
    LATER_OVERRIDES,
    RESCORES,
    SAME_DECISION,
    SCHEDULE_CHANGES,
    SCHEDULES,
    WORK_ORDERS,
)

_ROWS_AT_ONCE = 1000


class Retention(RemovalRepository):
    """Ages records in SQLite or PostgreSQL; the service may run meanwhile.

    Args:
        url: the database that `Records` uses.
        count_only: count what would go, and leave everything as it is.
    """

    def __init__(self, url: str, *, count_only: bool = False) -> None:
        super().__init__(url)
        self._count_only = count_only

    def close(self) -> None:
        """Close the idle connections."""
        self._database.expunge()
        super().close()

    def archive_decisions(self, uri: str, before: int, now: int) -> Aged:
        """Move days that ended before `before` to the archive.

        Raises:
            RecordsError: what was written is not what is read back; nothing is removed then.
        """
        if self._count_only:
            return self._each_day(before, self._delete_day)
        return self._each_day(before, lambda day: archive_day(self._database, uri, day, now))

    def delete_decisions(self, before: int) -> Aged:
        """Remove days that ended before `before`, from table and archive, with their ids."""
        archived = delete_archived(self._database, before, count_only=self._count_only)
        aged = self._each_day(before, self._delete_day)
        return Aged(aged.deleted + archived, aged.waiting)

    def delete_facts(self, before: int) -> Aged:
        """Facts that reached us before."""
        return Aged(self._delete(FACTS, FACTS.c.received_at < before))

    def delete_rescores(self, before: int) -> Aged:
        """Answers of fallbacks that were scored again before; those that are due stay."""
        table = RESCORES.c
        due = and_(table.rescored_at.is_(None), table.queued_at < before)
        return Aged(self._delete(RESCORES, table.rescored_at < before), self._count(RESCORES, due))

    def delete_reviews(self, before: int) -> Aged:
        """Items, decisions and outcomes of posts whose every item was decided before.

        The audit keeps its skeleton and loses what was said, notes of before on subjects that have
        no item among it.
        """
        notes = self._blank_notes(before)
        undecided = case((ITEMS.c.decided_at.is_(None), 1), else_=0)
        posts = (
            select(ITEMS.c.system, ITEMS.c.subject_id)
            .group_by(ITEMS.c.system, ITEMS.c.subject_id)
            .having(func.sum(undecided) == 0, func.max(ITEMS.c.decided_at) < before)
            .limit(_ROWS_AT_ONCE // 2)
        )
        old = and_(ITEMS.c.decided_at.is_(None), ITEMS.c.created_at < before)
        waiting = self._count(ITEMS, old)
        if self._count_only:
            every = posts.limit(None).subquery()
            with self._database.reading() as connection:
                counted = connection.execute(select(func.count()).select_from(every))
                return Aged(int(counted.scalar_one()) + notes, waiting)
        count = notes
        while True:
            with self._database.erasing() as connection:
                names = [tuple(row) for row in connection.execute(posts)]
                for table in (LABELS, OUTCOMES, VERDICTS, STATEMENTS, ITEMS):
                    connection.execute(delete(table).where(_is_among(table, names)))
                audit = update(AUDIT).where(_is_among(AUDIT, names))
                connection.execute(audit.values(before=None, after=None))
            if not names:
                return Aged(count, waiting)
            count += len(names)

    def delete_health(self, before: int) -> Aged:
        """Customers' health as of moments before, and what people said that was over before."""
        count = self._delete(CUSTOMER_HEALTH, CUSTOMER_HEALTH.c.at < before)
        count += self._delete(CUSTOMER_STANDINGS, CUSTOMER_STANDINGS.c.at < before)
        # that interventions were stopped holds until they are resumed, however long ago
        steps = CUSTOMER_STEPS.c
        old = and_(steps.at < before, steps.customer_id.is_not(None))
        count += self._delete(CUSTOMER_STEPS, old)
        later = LATER_OVERRIDES.c
        replaced = exists(select(later.id).where(IS_LATER_OVERRIDE, later.created_at < before))
        # what was replaced goes first: without what replaced it, it would be in force again
        count += self._delete(HEALTH_OVERRIDES, replaced)
        expired = and_(HEALTH_OVERRIDES.c.expires_at < before, ~replaced)
        return Aged(count + self._delete(HEALTH_OVERRIDES, expired))

    def delete_interventions(self, before: int) -> Aged:
        """Plans of before, with whom they chose and what became of it."""
        chosen = INTERVENTIONS.c
        old = select(chosen.id).where(chosen.planned_at < before)
        table = INTERVENTION_OUTCOMES
        count = self._delete(table, table.c.intervention_id.in_(old))
        count += self._delete(INTERVENTIONS, chosen.planned_at < before)
        plans = INTERVENTION_PLANS
        return Aged(count + self._delete(plans, plans.c.planned_at < before))

    def delete_orders(self, before: int) -> Aged:
        """Work orders closed before, and schedules of before without any; open ones stay."""
        order = WORK_ORDERS.c
        count = self._delete(WORK_ORDERS, order.closed_at < before)
        left = select(order.schedule_id).where(order.schedule_id == SCHEDULES.c.id)
        if self._count_only:
            left = left.where((order.closed_at.is_(None)) | (order.closed_at >= before))
        count += self._delete(SCHEDULES, and_(SCHEDULES.c.created_at < before, ~left.exists()))
        count += self._delete(SCHEDULE_CHANGES, SCHEDULE_CHANGES.c.at < before)
        open_orders = and_(order.closed_at.is_(None), order.created_at < before)
        return Aged(count, self._count(WORK_ORDERS, open_orders))

    def delete_experiments(self, before: int) -> Aged:
        """What both models of an experiment said before; the experiments and their audit stay."""
        return Aged(self._delete(EXPERIMENT_DECISIONS, EXPERIMENT_DECISIONS.c.decided_at < before))

    def media_in_use(self) -> str:
        """As one text: what undecided reviews show, and requests that wait to be judged again."""
        item_query = select(cast(ITEMS.c.shown, Text)).where(ITEMS.c.decided_at.is_(None))
        ids = DECISION_IDS.c
        requested = (
            select(cast(DECISIONS.c.request, Text))
            .join(DECISION_IDS, SAME_DECISION)
            .join(
                RESCORES,
                and_(RESCORES.c.system == ids.system, RESCORES.c.subject_id == ids.subject_id),
            )
            .where(ids.system == "moderation", RESCORES.c.rescored_at.is_(None))
        )
        with self._database.reading() as connection:
            texts = [
                *connection.execute(item_query).scalars(),
                *connection.execute(requested).scalars(),
            ]
        return "\n".join(texts)

    def _delete_day(self, day: date) -> Aged:
        return delete_day(self._database, day, count_only=self._count_only)

    def _each_day(self, before: int, work: Callable[[date], Aged]) -> Aged:
        aged = [work(day) for day in days_before(self._database, before)]
        return Aged(sum(each.deleted for each in aged), sum(each.waiting for each in aged))

    def _count(self, table: Table, condition: Any) -> int:
        query = select(func.count()).select_from(table).where(condition)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def _blank_notes(self, before: int) -> int:
        step, item = AUDIT.c, ITEMS.c
        items = select(item.id).where(
            item.system == step.system, item.subject_id == step.subject_id
        )
        is_aged = and_(step.what == "noted", step.at < before, step.after.is_not(None))
        blank = update(AUDIT).values(before=None, after=None)
        return self._in_parts(AUDIT, blank, and_(is_aged, ~items.exists()))

    def _delete(self, table: Table, condition: Any) -> int:
        return self._in_parts(table, delete(table), condition)

    def _in_parts(self, table: Table, change: Delete | Update, condition: Any) -> int:
        """Delete or change those rows some at a time; returns how many, if only to count them."""
        if self._count_only:
            return self._count(table, condition)
        key: Iterable[Any] = table.primary_key.columns
        some = select(*key).where(condition).limit(_ROWS_AT_ONCE)
        statement = change.where(tuple_(*key).in_(some))
        count = 0
        while True:
            with self._database.erasing() as connection:
                part = connection.execute(statement).rowcount
            count += part
            if part < _ROWS_AT_ONCE:
                return count


def _is_among(table: Table, subjects: list[tuple[str, str]]) -> Any:
    return tuple_(table.c.system, table.c.subject_id).in_(subjects)
