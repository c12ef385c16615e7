"""Joins decisions with what became known about them, as a table to learn from.

A label counts from the fact that made its value what it is: confirmations that follow do not
move it, a fact of the other value does. Facts are ordered by observed_at, then received_at.
"""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Select, and_, func, select

from lib.records import decision_store
from lib.records.archive_files import ArchiveFile, Bounds, read_columns, read_rows
from lib.records.database import Database
from lib.records.errors import RecordsError
from lib.records.models import Fact, FactKind, read_features
from lib.records.schema import DECISIONS, FACTS

_ROWS_PER_BATCH = 5000
_ROWS_PER_PART = 1000
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
class LabelQuery:
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


def labelled(database: Database, question: LabelQuery, digest: str | None) -> pa.Table:
    """Answer `question` over the decisions made on one feature set.

    No transaction is open while files of the archive are read, however many there are.
    """
    digest = digest or _only_digest(database, question)
    if digest is None:
        return _FIXED.empty_table()
    with database.reading() as connection:
        rows = connection.execution_options(yield_per=_ROWS_PER_BATCH).execute(
            _joined(question, digest)
        )
        decisions = _decisions(rows)
        tables = iter(lambda: list(itertools.islice(decisions, _ROWS_PER_BATCH)), [])
        parts = [_FIXED.empty_table(), *map(_to_arrow, tables)]
        # after the table: what is no longer there is in a file by now
        files = decision_store.files(connection, question.system, question.since, question.until)
    if not files:
        return _fill_features(pa.concat_tables(parts, promote_options="default"))
    for file in files:
        parts += map(_to_arrow, _archived(database, question, digest, file))
    return _once_in_order(_fill_features(pa.concat_tables(parts, promote_options="default")))


def _archived(
    database: Database, question: LabelQuery, digest: str, file: ArchiveFile
) -> Iterator[list[tuple[Any, ...]]]:
    """The same tuples as `_decisions` gives, from a file of the archive, in parts."""

    def keep(batch: pa.RecordBatch) -> pa.Array:
        times = batch["event_time"]
        inside = pc.and_(pc.greater_equal(times, question.since), pc.less(times, question.until))
        return pc.and_kleene(inside, pc.equal(batch["feature_set_digest"], digest))

    rows = read_rows(file, keep, Bounds("event_time", question.since, question.until))
    for part in iter(lambda: list(itertools.islice(rows, _ROWS_PER_PART)), []):
        with database.reading() as connection:
            labels = _labels(connection, question, [row["subject_id"] for row in part])
        labelled_rows = [
            (*(row[name] for name in _DECIDED), *labels.get(row["subject_id"], (None, None)))
            for row in part
            if question.include_unlabelled or row["subject_id"] in labels
        ]
        if labelled_rows:
            yield labelled_rows


def _labels(
    connection: Connection, question: LabelQuery, subjects: Sequence[str]
) -> dict[str, tuple[bool, int]]:
    """The value that stands of each subject that a fact is about, and since when."""
    about = [
        FACTS.c.system == question.system,
        FACTS.c.subject_id.in_(subjects),
        FACTS.c.kind == question.kind,
    ]
    if question.known_by is not None:
        about.append(FACTS.c.observed_at <= question.known_by)
    query = (
        select(FACTS)
        .where(*about)
        .order_by(FACTS.c.subject_id, FACTS.c.observed_at, FACTS.c.received_at, FACTS.c.id)
    )
    groups = itertools.groupby(connection.execute(query).all(), key=lambda row: row.subject_id)
    facts = ((subject, standing(group)) for subject, group in groups)
    return {str(subject): (fact.value, fact.observed_at) for subject, fact in facts}


def _once_in_order(table: pa.Table) -> pa.Table:
    """By event_time and subject_id; while a day is moved to the archive its rows are in both."""
    ordered = table.sort_by([("event_time", "ascending"), ("subject_id", "ascending")])
    subjects = ordered["subject_id"].to_pylist()
    return ordered.filter(
        pa.array(
            [a != b for a, b in zip(subjects, [None, *subjects[:-1]], strict=True)], pa.bool_()
        )
    )


def _joined(question: LabelQuery, digest: str) -> Select[Any]:
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
        group_rows = list(group)
        fact = standing(group_rows)
        yield (*group_rows[0][: len(_DECIDED)], fact.value, fact.observed_at)


def _only_digest(database: Database, question: LabelQuery) -> str | None:
    query = (
        select(DECISIONS.c.feature_set_digest, func.count())
        .where(*question.covers(), DECISIONS.c.feature_set_digest.is_not(None))
        .group_by(DECISIONS.c.feature_set_digest)
        .order_by(func.count().desc())
    )
    with database.reading() as connection:
        counts = Counter({str(digest): int(rows) for digest, rows in connection.execute(query)})
        files = decision_store.files(connection, question.system, question.since, question.until)
    for file in files:
        counts.update(_digests(file, question))
    digests = counts.most_common()
    if len(digests) > 1:
        listed = ", ".join(f"{digest} ({count} decisions)" for digest, count in digests)
        raise RecordsError(f"feature_set_digest: expected one feature set, got {listed}; name one")
    return digests[0][0] if digests else None


def _digests(file: ArchiveFile, question: LabelQuery) -> Counter[str]:
    """Decisions of a file that `question` covers, by feature set."""
    digests: Counter[str] = Counter()
    for batch in read_columns(file, ["event_time", "feature_set_digest"]):
        times = batch["event_time"]
        inside = pc.and_(pc.greater_equal(times, question.since), pc.less(times, question.until))
        digests.update(batch.filter(inside)["feature_set_digest"].drop_null().to_pylist())
    return digests


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
