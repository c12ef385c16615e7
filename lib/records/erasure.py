"""Erases a person or thing from the records, and keeps that it was done without saying of whom.

What follows from a decision goes with it: facts, the backlog of re-scoring, review items and their
decisions. The audit of reviews keeps its skeleton (who did what when, about which item) and loses
what was said. Rows go some at a time, so that nobody waits long; run again, it goes on.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, delete, func, insert, or_, select, update

from lib.records.archive_files import rewrite
from lib.records.archiving import replace_archive
from lib.records.decision_store import subjects_in_parts
from lib.records.entity import (
    Entity,
    EntityRecords,
    entity_hash,
    find_entity,
)
from lib.records.repository import RemovalRepository
from lib.records.review.tables import (
    AUDIT,
    GOLDEN,
    ITEMS,
    LABELS,
    OUTCOMES,
    STATEMENTS,
    VERDICTS,
    WAITING,
)
from lib.records.schema import (
    DECISION_IDS,
    DECISIONS,
    ERASURES,
    EXPERIMENT_DECISIONS,
    FACTS,
    INCIDENTS,
    RESCORES,
)
from lib.records.systems import SYSTEMS

ERASED = "erased"
"""Stands where an id stood in a plan, a schedule or an incident of many."""


class Erasure(RemovalRepository):
    """Erasures in SQLite or PostgreSQL; the service may run meanwhile.

    Args:
        url: the database that `Records` uses.
    """

    def find(self, entity: Entity) -> EntityRecords:
        """See `lib.records.entity.find_entity`."""
        return find_entity(self._database, entity)

    def begin(self, entity: Entity, secret: bytes, by: str, now: int) -> str:
        """Write down that an erasure begins, by a keyed hash; returns its id."""
        name = uuid.uuid4().hex
        row = {
            "id": name, "system": entity.system, "kind": entity.kind, "by": by, "counts": {},
            "entity_hash": entity_hash(entity, secret), "began_at": now, "ended_at": None,
        }  # fmt: skip
        with self._database.writing() as connection:
            connection.execute(insert(ERASURES), [row])
        return name

    def end(self, erasure_id: str, counts: Mapping[str, int], now: int) -> None:
        """Write down what an erasure came to, and clear SQLite's log of what was deleted."""
        done = update(ERASURES).where(ERASURES.c.id == erasure_id)
        with self._database.writing() as connection:
            connection.execute(done.values(ended_at=now, counts=dict(counts)))
        self._database.expunge()

    def count(self, entity: Entity, records: EntityRecords) -> Counter[str]:
        """How many rows an erasure would take, by table."""
        counts: Counter[str] = Counter()
        with self._database.reading() as connection:
            for table, condition in _conditions(entity, records.subjects):
                query = select(func.count()).select_from(table).where(condition)
                counts[table.name] += int(connection.execute(query).scalar_one())
        counts["archived decisions"] = sum(map(len, records.archived.values()))
        return counts

    def erase(self, entity: Entity, records: EntityRecords, by: str, now: int) -> Counter[str]:
        """Erase the rows; returns how many rows by table.

        Decisions go last: cut off, the same call still finds the rest by them.
        """
        counts: Counter[str] = Counter()
        for table, condition in _conditions(entity, records.subjects):
            with self._database.erasing() as connection:
                if table is AUDIT:
                    counts[table.name] += _blank_audit(connection, condition, by, now)
                else:
                    counts[table.name] += connection.execute(
                        delete(table).where(condition)
                    ).rowcount
        plans = {**SYSTEMS[entity.system].plans, INCIDENTS: ("detail",)}
        for table, columns in plans.items():
            counts[table.name] += self._scrub(table, columns, entity)
        for file, subject_ids in records.archived.items():
            replace_archive(self._database, file, rewrite(file, set(subject_ids), now))
            counts["archived decisions"] += len(subject_ids)
        return counts

    def shown_elsewhere(self, digests: Iterable[str], subjects: Iterable[str]) -> set[str]:
        """Those media that an undecided review item of another post shows."""
        left, subject_ids = set(digests), set(subjects)
        query = select(ITEMS.c.subject_id, cast(ITEMS.c.shown, Text)).where(
            ITEMS.c.decided_at.is_(None)
        )
        with self._database.reading() as connection:
            texts = [
                content for post, content in connection.execute(query) if post not in subject_ids
            ]
        return {digest for digest in left if any(digest in content for content in texts)}

    def _scrub(self, table: Table, columns: tuple[str, ...], entity: Entity) -> int:
        """Put `ERASED` in the place of an id in documents on many; what is of others stays."""
        written = json.dumps(entity.id)[1:-1]
        raw = json.dumps(entity.id, ensure_ascii=False)[1:-1]
        texts = [cast(table.c[name], Text) for name in columns]
        like = or_(*(t.contains(w, autoescape=True) for t in texts for w in {written, raw}))
        with self._database.reading() as connection:
            rows = connection.execute(select(table).where(like)).mappings().all()
        changed = 0
        for row in rows:
            values = {name: _without(row[name], entity.id) for name in columns}
            is_other = row.get("system", entity.system) != entity.system
            if is_other or all(values[name] == row[name] for name in columns):
                continue
            with self._database.erasing() as connection:
                connection.execute(update(table).where(table.c.id == row["id"]).values(values))
            changed += 1
        return changed


_REVIEWS = (LABELS, OUTCOMES, VERDICTS, STATEMENTS, ITEMS, GOLDEN, WAITING, AUDIT)


def _conditions(entity: Entity, subjects: Iterable[str]) -> Iterator[tuple[Table, Any]]:
    """What goes, table by table, some subjects at a time; decisions and their ids last."""
    yield from SYSTEMS[entity.system].rows_of(entity.id)
    for part in subjects_in_parts(subjects):
        for table in (
            *_REVIEWS, FACTS, RESCORES, EXPERIMENT_DECISIONS, DECISIONS, DECISION_IDS,
        ):  # fmt: skip
            yield table, (table.c.system == entity.system) & table.c.subject_id.in_(part)


def _blank_audit(connection: Connection, condition: Any, by: str, now: int) -> int:
    """Take what was said out of entries, and add one for each post that says so."""
    has_text = or_(AUDIT.c.before.is_not(None), AUDIT.c.after.is_not(None))
    newest = (
        select(func.max(AUDIT.c.number))
        .where(condition, has_text)
        .group_by(AUDIT.c.system, AUDIT.c.subject_id)
    )
    posts = connection.execute(select(AUDIT).where(AUDIT.c.number.in_(newest))).mappings().all()
    done = connection.execute(
        update(AUDIT).where(condition, has_text).values(before=None, after=None)
    )
    rows = [
        {**{k: v for k, v in post.items() if k != "number"}, "at": now, "who": by, "what": ERASED,
         "rule": None, "before": None, "after": None, "key_id": None}
        for post in posts
    ]  # fmt: skip
    if rows:
        connection.execute(insert(AUDIT), rows)
    return done.rowcount


def _without(value: Any, entity_id: str) -> Any:
    if isinstance(value, Mapping):
        return {
            ERASED if key == entity_id else key: _without(child, entity_id)
            for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without(child, entity_id) for child in value]
    return ERASED if value == entity_id else value
