"""Joins decisions with what became known about them, as a table to learn from.

A label counts from the fact that made its value what it is: confirmations that follow do not
move it, a fact of the other value does. Facts are ordered by observed_at, then received_at.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Select, and_, func, select

from lib.records.entries import Fact, FactKind, read_features
from lib.records.errors import RecordsError
from lib.records.schema import DECISIONS, FACTS

_ROWS_PER_BATCH = 5000
_TIME = pa.timestamp("us", tz="UTC")
_FIXED = pa.schema(
    [
        ("subject_id", pa.string()),
        ("event_time", _TIME),
        ("decided_at", _TIME),
        ("decision", pa.string()),
        ("method", pa.string()),
        ("score", pa.float64()),
        ("model_version", pa.string()),
        ("label", pa.bool_()),
        ("label_observed_at", _TIME),
    ]
)

_DECIDED = ("features", *_FIXED.names[:7])
_KNOWN = ("value", "observed_at")
Known = TypeVar("Known", Fact, Any)


@dataclass(frozen=True)
class Question:
    """Which decisions, and which facts count; times are microseconds since 1970 UTC."""

    system: str
    since: int
    until: int
    known_by: int | None
    kind: FactKind
    include_unlabelled: bool

    def covers(self) -> tuple[Any, ...]:
        """The conditions on `decisions`."""
        return (
            DECISIONS.c.system == self.system,
            DECISIONS.c.event_time >= self.since,
            DECISIONS.c.event_time < self.until,
        )


def standing(facts: Iterable[Known]) -> Known:
    """Of one or more facts in the order they became known, the one that set the last value."""
    return functools.reduce(
        lambda set_by, fact: set_by if fact.value == set_by.value else fact, facts
    )


def labelled(connection: Connection, question: Question, digest: str | None) -> pa.Table:
    """Answer `question` over the decisions made on one feature set."""
    digest = digest or _only_digest(connection, question)
    if digest is None:
        return _FIXED.empty_table()
    rows = connection.execution_options(yield_per=_ROWS_PER_BATCH).execute(
        _joined(question, digest)
    )
    decisions = _decisions(rows)
    tables = iter(lambda: list(itertools.islice(decisions, _ROWS_PER_BATCH)), [])
    table = pa.concat_tables(
        [_FIXED.empty_table(), *map(_to_arrow, tables)], promote_options="default"
    )
    return _fill_features(table)


def _joined(question: Question, digest: str) -> Select[Any]:
    """One row per decision and fact about it, facts in the order they became known."""
    about = [
        FACTS.c.system == DECISIONS.c.system,
        FACTS.c.subject_id == DECISIONS.c.subject_id,
        FACTS.c.kind == question.kind,
    ]
    if question.known_by is not None:
        about.append(FACTS.c.observed_at <= question.known_by)
    joined = DECISIONS.join(FACTS, and_(*about), isouter=question.include_unlabelled)
    return (
        select(*(DECISIONS.c[name] for name in _DECIDED), *(FACTS.c[name] for name in _KNOWN))
        .select_from(joined)
        .where(*question.covers(), DECISIONS.c.feature_set_digest == digest)
        .order_by(
            DECISIONS.c.event_time,
            DECISIONS.c.subject_id,
            FACTS.c.observed_at,
            FACTS.c.received_at,
            FACTS.c.id,
        )
    )


def _decisions(rows: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """One tuple per decision: `_DECIDED`, then the label and when it was observed."""
    for _, group in itertools.groupby(rows, key=lambda row: row.subject_id):
        known = list(group)
        fact = standing(known)
        yield (*known[0][: len(_DECIDED)], fact.value, fact.observed_at)


def _only_digest(connection: Connection, question: Question) -> str | None:
    query = (
        select(DECISIONS.c.feature_set_digest, func.count())
        .where(*question.covers(), DECISIONS.c.feature_set_digest.is_not(None))
        .group_by(DECISIONS.c.feature_set_digest)
        .order_by(func.count().desc())
    )
    found = connection.execute(query).all()
    if len(found) > 1:
        counts = ", ".join(f"{digest} ({count} decisions)" for digest, count in found)
        raise RecordsError(f"feature_set_digest: expected one feature set, got {counts}; name one")
    return None if not found else str(found[0][0])


def _to_arrow(rows: Sequence[Any]) -> pa.Table:
    features, *fixed = zip(*rows, strict=True)
    table = pa.table(
        [pa.array(column, type=kind) for column, kind in zip(fixed, _FIXED.types, strict=True)],
        schema=_FIXED,
    )
    read = [read_features(row) for row in features]
    for name in dict.fromkeys(name for row in read for name in row):
        if name in _FIXED.names:
            raise RecordsError(f"feature {name!r} has the name of a column of the labelled table")
        values = [row.get(name, math.nan) for row in read]
        table = table.append_column(name, pa.array(values, type=pa.float64()))
    return table


def _fill_features(table: pa.Table) -> pa.Table:
    for index in range(len(_FIXED), table.num_columns):
        filled = pc.fill_null(table.column(index), math.nan)
        table = table.set_column(index, table.field(index), filled)
    return table
