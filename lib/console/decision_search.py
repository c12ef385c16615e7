"""Search of a system's decisions, and what stands beside each: labels, outcomes, items that wait.

Decisions are indexed by time and by the usual entity alone, so a search by anything else looks
through a bounded number of them, and says how far it got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from lib.records import Decision, Fact
from lib.records.decision_store import collated, find, subjects_in_parts
from lib.records.models import Json, decision_from_row
from lib.records.partitions import DAY
from lib.records.repository import Repository, list_rows, query_rows
from lib.records.review import Outcome
from lib.records.review.tables import ITEMS, OUTCOMES
from lib.records.schema import DECISION_IDS, DECISIONS, FACTS, RESCORES, SAME_DECISION

SCANNED = 20_000
"""Decisions that one search looks through."""
MOST_OF_ENTITY = 5_000
"""Decisions about one entity that are searched, those that were received last."""
WHOLE_TIME = 2**62
"""After every time, microseconds since 1970 UTC."""
Key = tuple[int, str]
"""Event time and subject: the order of a search, the latest first."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Numbers from `low` to `high`, both included; None is no bound."""

    low: float | None = None
    high: float | None = None

    def conditions(self, column: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """The same for a column."""
        conditions = []
        if self.low is not None:
            conditions.append(column >= self.low)
        if self.high is not None:
            conditions.append(column <= self.high)
        return conditions


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions are meant; what is not set takes all. Times in microseconds UTC.

    Attributes:
        subject_id: of the one decision.
        entity_id: of the usual entity, by which decisions are indexed.
        named: ids of other entities by their names in decisions.
        decision: what was decided.
        since, until: event times from and before.
        score: of the model.
        amounts: numbers of the request by their names.
    """

    subject_id: str | None = None
    entity_id: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    decision: str | None = None
    since: int = 0
    until: int = WHOLE_TIME
    score: Bounds = Bounds()
    amounts: Mapping[str, Bounds] = field(default_factory=dict)

    def conditions(self, columns: Any) -> list[ColumnElement[bool]]:
        """What no index answers."""
        conditions: list[ColumnElement[bool]] = [
            columns.entities[name].as_string() == value for name, value in self.named.items()
        ]
        if self.decision is not None:
            conditions.append(columns.decision == self.decision)
        conditions += self.score.conditions(columns.score)
        for name, bounds in self.amounts.items():
            conditions += bounds.conditions(columns.request[name].as_float())
        return conditions


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """A decision in a list; fields as in `Decision`."""

    subject_id: str
    event_time: int
    received_at: int
    decision: str
    score: float | None
    method: str
    rule_id: str | None
    rule_hits: Sequence[str]
    entities: Mapping[str, str | None]
    request: Mapping[str, Json]

    @property
    def key(self) -> Key:
        """Its place in the order of a search."""
        return (self.event_time, self.subject_id)

    @property
    def score_text(self) -> str:
        """The score in six digits; "" without one."""
        return "" if self.score is None else f"{self.score:.6g}"


def line_of(decision: Decision) -> DecisionLine:
    """A decision as a line of a list."""
    return DecisionLine(**{name: getattr(decision, name) for name in DecisionLine.__slots__})


@dataclass(frozen=True, slots=True)
class DecisionPart:
    """A part of a search.

    Attributes:
        lines: the latest first.
        after: where the next part begins; None at the end.
        is_cut: whether the search ended before the part was full, having looked through
            `SCANNED` decisions.
    """

    lines: tuple[DecisionLine, ...]
    after: Key | None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class DecidedSubject:
    """A subject in a list, with its decision."""

    line: DecisionLine

    @property
    def id(self) -> str:
        """Of the subject."""
        return self.line.subject_id


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """An item of the queue that is undecided; fields as in `ReviewItem` and `QueueEntry`."""

    id: str
    subject_id: str
    kind: str
    severity: int
    skill: str | None
    created_at: int
    due_at: int
    leased_by: str | None
    leased_until: int | None
    assignee: str | None

    def is_with_another(self, reviewer: str, now: int) -> bool:
        """Whether another reviewer has it, or alone may have it."""
        is_leased = self.leased_until is not None and self.leased_until > now
        return (is_leased and self.leased_by != reviewer) or self.assignee not in (None, reviewer)


_LINE = tuple(line_field.name for line_field in fields(DecisionLine))
_COLUMNS = [DECISIONS.c[name] for name in _LINE]


class DecisionSearch(Repository):
    """Reads decisions as people look for them.

    Args:
        url: as of `Repository`.
        system: whose decisions these are.
    """

    _system: str

    def find_decision(self, subject_id: str) -> Decision | None:
        """The decision about a subject, also where its day is archived."""
        with self._database.reading() as connection:
            row = find(connection, self._system, subject_id)
        return None if row is None else decision_from_row(row)

    def search(self, sought: DecisionFilter, most: int, before: Key | None = None) -> DecisionPart:
        """The latest decisions that fit, at most so many, from `before` on backwards."""
        with self._database.reading() as connection:
            if sought.subject_id is not None:
                return DecisionPart(tuple(self._named(connection, sought)), None)
            within = [*self._within(sought), *_before(connection, before)]
            others = sought.conditions(DECISIONS.c)
            if sought.entity_id is not None:
                query = self._of_entity(sought.entity_id).where(*within, *others)
            elif not others:
                query = select(*_COLUMNS).where(*within)
            else:
                return _scan(connection, sought, within, most)
            ordered = query.order_by(*_latest_first(connection, DECISIONS.c)).limit(most + 1)
            lines = [DecisionLine(*row) for row in connection.execute(ordered)]
        return _part(lines, most)

    def list_around(self, entity_id: str, at: Key, before: int, after: int) -> list[DecisionLine]:
        """Decisions about an entity around a key, the latest first.

        Args:
            entity_id: of the usual entity.
            at: whose neighbours these are.
            before: at most so many up to `at`.
            after: at most so many later ones.
        """
        table = DECISIONS.c
        with self._database.reading() as connection:
            subject_id = collated(connection, table.subject_id)
            is_later = or_(
                table.event_time > at[0], and_(table.event_time == at[0], subject_id > at[1])
            )
            query = self._of_entity(entity_id)
            later = query.where(is_later).order_by(table.event_time, subject_id).limit(after)
            order = _latest_first(connection, table)
            earlier = query.where(~is_later).order_by(*order).limit(before)
            rows = [*reversed(connection.execute(later).all()), *connection.execute(earlier)]
        return [DecisionLine(*row) for row in rows]

    def list_lines(self, subjects: Sequence[str]) -> list[DecisionLine]:
        """Decisions about some subjects that are not archived, the latest first."""
        lines: list[DecisionLine] = []
        with self._database.reading() as connection:
            for part in subjects_in_parts(subjects):
                query = self._joined().where(DECISION_IDS.c.subject_id.in_(part))
                lines += [DecisionLine(*row) for row in connection.execute(query)]
        return sorted(lines, key=lambda line: line.key, reverse=True)

    def list_facts(self, subjects: Sequence[str], kind: str) -> dict[str, list[Fact]]:
        """Facts of a kind about some subjects, in the order in which they became known."""
        table, facts = FACTS.c, dict[str, list[Fact]]()
        with self._database.reading() as connection:
            for part in subjects_in_parts(subjects):
                about = (table.system == self._system, table.subject_id.in_(part))
                query = query_rows(Fact, FACTS, *about, table.kind == kind)
                query = query.order_by(table.observed_at, table.received_at, table.id)
                for row in connection.execute(query).mappings():
                    facts.setdefault(row["subject_id"], []).append(Fact(**row))
        return facts

    def list_unapplied(self, subjects: Sequence[str]) -> dict[str, Outcome]:
        """What people decided about some subjects that is no fact yet, the newest of each."""
        table = OUTCOMES.c
        return self._latest_outcomes(subjects, table.case_id, table.applied_at.is_(None))

    def list_latest_outcomes(self, subjects: Sequence[str]) -> dict[str, Outcome]:
        """What people decided about each of some subjects, the newest of each."""
        return self._latest_outcomes(subjects, OUTCOMES.c.case_id.desc())

    def _latest_outcomes(
        self, subjects: Sequence[str], order: ColumnElement[Any], *conditions: ColumnElement[bool]
    ) -> dict[str, Outcome]:
        """The newest outcome of each of some subjects; of the same time, the last in an order."""
        table, outcomes = OUTCOMES.c, dict[str, Outcome]()
        with self._database.reading() as connection:
            for part in subjects_in_parts(subjects):
                about = (table.system == self._system, table.subject_id.in_(part), *conditions)
                by_time = [table.at, order]
                for outcome in list_rows(connection, Outcome, OUTCOMES, *about, order=by_time):
                    outcomes[outcome.subject_id] = outcome
        return outcomes

    def list_later_answers(self, subjects: Sequence[str]) -> dict[str, Mapping[str, Json]]:
        """What models answered afterwards about some subjects."""
        table, answers = RESCORES.c, dict[str, Mapping[str, Json]]()
        with self._database.reading() as connection:
            for part in subjects_in_parts(subjects):
                about = (table.system == self._system, table.subject_id.in_(part))
                query = select(table.subject_id, table.answer).where(*about)
                for name, answer in connection.execute(query.where(table.answer.is_not(None))):
                    answers[name] = answer
        return answers

    def has_open_item(self, subject_id: str) -> bool:
        """Whether anybody is to judge a subject, be it to measure them."""
        return bool(self.open_subjects([subject_id]))

    def is_open(self, subject_id: ColumnElement[str]) -> ColumnElement[bool]:
        """Whether anybody is to judge the subject that a column names."""
        table = ITEMS.c
        about = (table.system == self._system, table.subject_id == subject_id)
        return select(table.id).where(*about, table.decided_at.is_(None)).exists()

    def open_subjects(self, subjects: Sequence[str]) -> frozenset[str]:
        """Those of some subjects that anybody is to judge, be it to measure them."""
        table, names = ITEMS.c, set[str]()
        with self._database.reading() as connection:
            for part in subjects_in_parts(subjects):
                about = (table.system == self._system, table.subject_id.in_(part))
                query = select(table.subject_id).where(*about, table.decided_at.is_(None))
                names.update(connection.execute(query).scalars())
        return frozenset(names)

    def list_waiting_items(
        self, subjects: Sequence[str], reviewer: str = ""
    ) -> dict[str, WaitingItem]:
        """The undecided item of each of some subjects, of golden ones those of a reviewer alone."""
        table, items = ITEMS.c, dict[str, WaitingItem]()
        with self._database.reading() as connection:
            for part in subjects_in_parts(subjects):
                about = (table.system == self._system, table.subject_id.in_(part))
                is_shown = or_(table.kind != "golden", table.for_reviewer == reviewer)
                waits = [*about, table.decided_at.is_(None), is_shown]
                order = [table.created_at.desc(), table.id]
                for item in list_rows(connection, WaitingItem, ITEMS, *waits, order=order):
                    items[item.subject_id] = item
        return items

    def scan_around(
        self,
        at: Key,
        span_us: int,
        choose: Callable[[Any], ColumnElement[bool]],
        most: int,
    ) -> list[DecisionLine]:
        """Decisions before and after a key that a condition chooses, those nearest to it first.

        Args:
            at: whose neighbours these are.
            span_us: how far away they may lie, microseconds.
            choose: the condition, from the columns of decisions.
            most: at most so many on either side, of `SCANNED` / 2 that are looked through.
        """
        table = DECISIONS.c
        lines: list[DecisionLine] = []
        with self._database.reading() as connection:
            for is_later in (True, False):
                low, high = (at[0], at[0] + span_us) if is_later else (at[0] - span_us, at[0] - 1)
                within = self._within(DecisionFilter(since=max(0, low), until=high + 1))
                order = table.event_time if is_later else table.event_time.desc()
                inner = select(*_COLUMNS).where(*within).order_by(order).limit(SCANNED // 2)
                scanned = inner.subquery()
                time = scanned.c.event_time
                query = select(scanned).where(choose(scanned.c))
                query = query.order_by(time if is_later else time.desc()).limit(most)
                lines += [DecisionLine(*row) for row in connection.execute(query)]
        return lines

    def count_labelled(
        self, at: Key, groups: Mapping[str, Callable[[Any], ColumnElement[bool]]], kind: str
    ) -> dict[str, dict[bool | None, int]]:
        """Of the decisions before a key, how many of each group became what.

        Args:
            at: before which they lie; `SCANNED` of them are looked through.
            groups: conditions by name, from the columns of decisions; a decision may be in several.
            kind: of the facts that count, the latest about each subject.

        Returns:
            By group: decisions with the fact, without it, and (None) those of which nothing is
            known.
        """
        table, facts = DECISIONS.c, FACTS.c
        within = self._within(DecisionFilter(until=at[0]))
        inner = select(*_COLUMNS).where(*within).order_by(table.event_time.desc()).limit(SCANNED)
        scanned = inner.subquery()
        latest = (
            select(facts.value)
            .where(facts.system == self._system, facts.subject_id == scanned.c.subject_id)
            .where(facts.kind == kind)
            .order_by(facts.observed_at.desc(), facts.received_at.desc(), facts.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        flags = [choose(scanned.c).label(f"group_{n}") for n, choose in enumerate(groups.values())]
        rows = select(*flags, latest.label("value")).where(or_(*flags)).subquery()
        query = select(*rows.c, func.count()).group_by(*rows.c)
        counts: dict[str, dict[bool | None, int]] = {name: {} for name in groups}
        with self._database.reading() as connection:
            for *are_in, value, count in connection.execute(query):
                known = None if value is None else bool(value)
                for name, is_in in zip(groups, are_in, strict=True):
                    if is_in:
                        counts[name][known] = counts[name].get(known, 0) + int(count)
        return counts

    def _within(self, sought: DecisionFilter) -> list[ColumnElement[bool]]:
        """What the index by time answers; the partitions of earlier days are left alone."""
        table = DECISIONS.c
        return [
            table.system == self._system,
            table.event_time >= sought.since,
            table.event_time < sought.until,
            table.received_at >= max(0, sought.since - DAY),
        ]

    def _joined(self) -> Select[Any]:
        ids = DECISION_IDS.c
        joined = select(*_COLUMNS).join_from(DECISION_IDS, DECISIONS, SAME_DECISION)
        return joined.where(ids.system == self._system)

    def _of_entity(self, entity_id: str) -> Select[Any]:
        ids = DECISION_IDS.c
        of_entity = select(ids.system, ids.subject_id, ids.received_at).where(
            ids.system == self._system, ids.entity_id == entity_id
        )
        last = of_entity.order_by(ids.received_at.desc()).limit(MOST_OF_ENTITY).subquery()
        same = [
            DECISIONS.c[name] == last.c[name] for name in ("system", "subject_id", "received_at")
        ]
        return select(*_COLUMNS).join_from(last, DECISIONS, and_(*same))

    def _named(self, connection: Connection, sought: DecisionFilter) -> list[DecisionLine]:
        row = find(connection, self._system, str(sought.subject_id))
        return [] if row is None else [DecisionLine(**{name: row[name] for name in _LINE})]


def _before(connection: Connection, key: Key | None) -> list[ColumnElement[bool]]:
    if key is None:
        return []
    table = DECISIONS.c
    at, subject_id = key
    same_time = and_(table.event_time == at, collated(connection, table.subject_id) < subject_id)
    return [table.event_time <= at, or_(table.event_time < at, same_time)]


def _latest_first(connection: Connection, columns: Any) -> list[ColumnElement[Any]]:
    return [columns.event_time.desc(), collated(connection, columns.subject_id).desc()]


def _part(lines: Sequence[DecisionLine], most: int) -> DecisionPart:
    shown = tuple(lines[:most])
    return DecisionPart(shown, shown[-1].key if len(lines) > most else None)


def _scan(
    connection: Connection,
    sought: DecisionFilter,
    within: Sequence[ColumnElement[bool]],
    most: int,
) -> DecisionPart:
    """Look through `SCANNED` decisions for those that fit."""
    table = DECISIONS.c
    order = _latest_first(connection, table)
    scanned = select(*_COLUMNS).where(*within).order_by(*order).limit(SCANNED).subquery()
    query = select(scanned).where(*sought.conditions(scanned.c))
    query = query.order_by(*_latest_first(connection, scanned.c)).limit(most + 1)
    lines = [DecisionLine(*row) for row in connection.execute(query)]
    if len(lines) > most:
        return _part(lines, most)
    last = select(table.event_time, table.subject_id).where(*within).order_by(*order)
    end = connection.execute(last.offset(SCANNED - 1).limit(1)).first()
    return DecisionPart(tuple(lines), None if end is None else (end[0], end[1]), end is not None)
