"""The records of every system: what was decided, what became known, what is scored again."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, and_

from lib.records import decision_store
from lib.records.models import Decision, Fact, Row, decision_from_row
from lib.records.repository import query_rows
from lib.records.rescoring import RescoreRepository
from lib.records.review.waiting import insert_waiting
from lib.records.schema import FACTS

_FACTS_PER_FETCH = 1000
_FACTS_TURN = 0x46616374  # "Fact": the lock of those who number facts


@dataclass(frozen=True)
class DecisionOutcome:
    """What became of a batch of decisions.

    Attributes:
        stored: decisions about subjects that had none.
        repeated: subjects that had one already.
    """

    stored: int
    repeated: int


@dataclass(frozen=True)
class LabelOutcome:
    """What became of a batch of facts.

    Attributes:
        stored: for the first time.
        repeated: known before.
        unknown: about subjects that are not decided yet; these are stored, too.
    """

    stored: int
    repeated: int
    unknown: int


class Records(RescoreRepository):
    """Decisions, facts and re-scored fallbacks in the records database."""

    def record_rows(self, rows: Iterable[Row]) -> DecisionOutcome:
        """Store columns of decisions whole; of two about one subject the earliest stands.

        The order is that of `DecisionLog.find`: by decided_at, then by request_id. So two replicas
        that decide at once agree on the one that stands, whichever is drained first. In the same
        transaction a decision whose method is `fallback` or `pending` is queued to be scored again,
        and one that people look at to be reviewed.
        """
        # one order for everybody: two batches that overlap cannot wait for each other
        ordered = sorted(rows, key=itemgetter("system", "subject_id", "decided_at", "request_id"))
        with self._database.writing() as connection:
            fresh = decision_store.insert_first(self._database, connection, ordered)
            self._queue(connection, fresh)
            # of one that was there, too: the earlier of two decisions may be this one
            insert_waiting(self._database, connection, ordered)
        return DecisionOutcome(len(fresh), len(ordered) - len(fresh))

    def decision(self, system: str, subject_id: str) -> Decision | None:
        """The first decision about a subject, also where its day is archived."""
        with self._database.reading() as connection:
            row = decision_store.find(connection, system, subject_id)
        return None if row is None else decision_from_row(row)

    def list_decisions(self, system: str, subjects: Collection[str]) -> list[Decision]:
        """The first decisions about subjects, as `decision` finds them; of some there is none."""
        with self._database.reading() as connection:
            rows = decision_store.find_several(connection, system, subjects)
        return [decision_from_row(row) for row in rows]

    def decisions(self, system: str, since: int, until: int) -> Iterator[Decision]:
        """Every decision of a range, to replay it; reads in parts, by event_time and subject_id.

        No transaction is open between two decisions: whoever reads may take its time.

        Args:
            system: the risk system.
            since: from this event time on, microseconds since 1970 UTC.
            until: before this event time.
        """
        for row in decision_store.stream(self._database, system, since, until):
            yield decision_from_row(row)

    def event_time_bounds(self, system: str) -> tuple[int, int] | None:
        """The first and the last event time of decisions; of archived ones about the last.

        Returns:
            Microseconds since 1970 UTC; None where there are no decisions.
        """
        with self._database.reading() as connection:
            return decision_store.event_time_bounds(connection, system)

    def facts(self, system: str, until: int) -> Iterator[Fact]:
        """Every fact about a system that reached us before `until`, in the order it did.

        Args:
            system: the risk system.
            until: microseconds since 1970 UTC.
        """
        table = FACTS.c
        query = query_rows(Fact, FACTS, table.system == system, table.received_at < until)
        query = query.order_by(table.received_at, table.id)
        with self._database.reading() as connection:
            streamed = connection.execution_options(yield_per=_FACTS_PER_FETCH)
            for row in streamed.execute(query).mappings():
                yield Fact(**row)

    def record_labels(self, batch: Iterable[Fact]) -> LabelOutcome:
        """Store facts whole; a repeat (all but received_at equal) is counted and changes nothing.

        A fact about a subject without a decision is kept and joins it later.
        """
        ordered = sorted(batch, key=lambda fact: (fact.system, fact.subject_id, fact.observed_at))
        subjects = [(fact.system, fact.subject_id) for fact in ordered]
        with self._database.writing() as connection:
            # numbers are given out before they are committed; in turn, they tell the order
            self._database.take_turn(connection, _FACTS_TURN)
            stored = self._insert(connection, FACTS, ordered)
            decided = decision_store.decided(connection, set(subjects))
        unknown = sum(subject not in decided for subject in subjects)
        return LabelOutcome(stored, len(ordered) - stored, unknown)

    def labels_for(self, system: str, subject_id: str) -> tuple[Fact, ...]:
        """Every fact about a subject, in the order in which it became known."""
        table = FACTS.c
        return self._facts(system, subject_id, table.observed_at, table.received_at, table.id)

    def labels_as_stored(self, system: str, subject_id: str) -> tuple[Fact, ...]:
        """The same in the order in which they were stored, which no later fact changes."""
        return self._facts(system, subject_id, FACTS.c.id)

    def _facts(self, system: str, subject_id: str, *order: ColumnElement[Any]) -> tuple[Fact, ...]:
        condition = and_(FACTS.c.system == system, FACTS.c.subject_id == subject_id)
        return tuple(self._list(Fact, FACTS, condition, order=order))
