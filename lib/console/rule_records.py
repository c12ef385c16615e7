"""What the console reads of decisions, to say what rules hit and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, select

from lib.records.models import Decision, Fact, decision_from_row
from lib.records.repository import Model, Repository, list_rows
from lib.records.review.models import Label
from lib.records.review.tables import LABELS
from lib.records.schema import DECISION_IDS, DECISIONS, FACTS, SAME_DECISION

_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class DecisionHits:
    """The rules that one decision hit. Times are microseconds since 1970 UTC.

    Attributes:
        subject_id: what was decided about.
        event_time: when it happened.
        rules_version: of the rules that were evaluated.
        hits, shadow_hits: ids of active rules and of rules in shadow.
    """

    subject_id: str
    event_time: int
    rules_version: str | None
    hits: tuple[str, ...]
    shadow_hits: tuple[str, ...]


class RuleHitRecords(Repository):
    """Decisions of every system, read by what rules said of them."""

    def list_hits(self, system: str, since: int, until: int, most: int) -> list[DecisionHits]:
        """Decisions of a window of event times, the newest first, at most so many."""
        table = DECISIONS.c
        columns = (
            table.subject_id, table.event_time, table.rules_version, table.rule_hits,
            table.shadow_hits,
        )  # fmt: skip
        within = (table.system == system, table.event_time >= since, table.event_time < until)
        query = select(*columns).where(*within).order_by(table.event_time.desc()).limit(most)
        with self._database.reading() as connection:
            return [
                DecisionHits(subject, at, version, tuple(hits), tuple(shadow))
                for subject, at, version, hits, shadow in connection.execute(query)
            ]

    def list_latest_of(self, system: str, since: int, until: int, most: int) -> list[Decision]:
        """The same decisions in full."""
        table = DECISIONS.c
        within = (table.system == system, table.event_time >= since, table.event_time < until)
        query = select(DECISIONS).where(*within).order_by(table.event_time.desc()).limit(most)
        with self._database.reading() as connection:
            return [decision_from_row(dict(row)) for row in connection.execute(query).mappings()]

    def list_decisions(self, system: str, subject_ids: Sequence[str]) -> list[Decision]:
        """Decisions about some subjects, those of the archive left out."""
        ids = DECISION_IDS.c
        decisions: list[Decision] = []
        with self._database.reading() as connection:
            for part in _parts(subject_ids):
                about = (ids.system == system, ids.subject_id.in_(part))
                query = select(DECISIONS).join(DECISION_IDS, SAME_DECISION).where(*about)
                rows = connection.execute(query).mappings()
                decisions += [decision_from_row(dict(row)) for row in rows]
        return decisions

    def list_facts_of(self, system: str, subject_ids: Iterable[str]) -> list[Fact]:
        """What became known of some subjects."""
        return self._rows_of_subjects(Fact, FACTS, system, subject_ids, FACTS.c.id)

    def list_review_labels(self, system: str, subject_ids: Iterable[str]) -> list[Label]:
        """What reviews found about some subjects."""
        return self._rows_of_subjects(Label, LABELS, system, subject_ids, LABELS.c.number)

    def _rows_of_subjects(
        self,
        model: type[Model],
        table: Table,
        system: str,
        subject_ids: Iterable[str],
        order: ColumnElement[Any],
    ) -> list[Model]:
        """Rows of a table about some subjects, in an order within each part of them."""
        rows: list[Model] = []
        with self._database.reading() as connection:
            for part in _parts(subject_ids):
                about = (table.c.system == system, table.c.subject_id.in_(part))
                rows += list_rows(connection, model, table, *about, order=[order])
        return rows

    def has_labels(self, system: str) -> bool:
        """Whether anything ever became known of a subject; if not, silence says nothing."""
        with self._database.reading() as connection:
            return any(
                connection.execute(select(table.c.system).where(table.c.system == system).limit(1))
                .scalar() is not None
                for table in (FACTS, LABELS)
            )  # fmt: skip


def _parts(subject_ids: Iterable[str]) -> Iterable[list[str]]:
    ids = sorted(set(subject_ids))
    return [ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY)]
