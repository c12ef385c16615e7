"""The records of every system: what was decided, what became known, what is scored again."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

import pyarrow as pa
from sqlalchemy import select

from lib.records import decision_store, rescoring, training_labels
from lib.records.models import (
    Decision,
    Fact,
    FactKind,
    Json,
    Row,
    decision_from_row,
    fact_from_row,
    fact_to_row,
)
from lib.records.repository import Repository
from lib.records.rescoring import Rescore, RetryPolicy
from lib.records.schema import FACTS

_KEYS_PER_QUERY = 1000

_RETRIES = RetryPolicy()
_FACTS_TURN = 0x46616374  # "Fact": the lock of those who number facts


@dataclass(frozen=True)
class DecisionOutcome:
    """Of a batch: how many decisions were stored, and how many subjects had one already."""

    stored: int
    repeated: int


@dataclass(frozen=True)
class LabelOutcome:
    """Of a batch: facts stored, facts known before, and facts about subjects not decided yet."""

    stored: int
    repeated: int
    unknown: int


class Records(Repository):
    """Decisions, facts and re-scored fallbacks in the records database."""

    def record_decisions(self, batch: Iterable[Decision]) -> DecisionOutcome:
        """Store a batch whole; of two decisions about one subject the earliest stands.

        The order is that of `DecisionLog.find`: by decided_at, then by request_id. So two replicas
        that decide at once agree on the one that stands, whichever is drained first. A decision
        whose method is `fallback` or `pending` is queued, in the same transaction, to be scored
        again.
        """
        return self.record_rows([decision.to_row() for decision in batch])

    def record_rows(self, rows: Iterable[Row]) -> DecisionOutcome:
        """The same for the columns of decisions, as a journal keeps them."""
        # one order for everybody: two batches that overlap cannot wait for each other
        ordered = sorted(rows, key=itemgetter("system", "subject_id", "decided_at", "request_id"))
        with self._database.writing() as connection:
            fresh = decision_store.insert_first(self._database, connection, ordered)
            rescoring.queue(self._database, connection, fresh)
        return DecisionOutcome(len(fresh), len(ordered) - len(fresh))

    def decision(self, system: str, subject_id: str) -> Decision | None:
        """The first decision about a subject, also where its day is archived."""
        with self._database.reading() as connection:
            row = decision_store.find(connection, system, subject_id)
        return None if row is None else decision_from_row(row)

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

    def facts(self, system: str, until: int) -> Iterator[Fact]:
        """Every fact about a system that reached us before `until`, in the order it did.

        Args:
            system: the risk system.
            until: microseconds since 1970 UTC.
        """
        query = (
            select(FACTS)
            .where(FACTS.c.system == system, FACTS.c.received_at < until)
            .order_by(FACTS.c.received_at, FACTS.c.id)
            .execution_options(yield_per=_KEYS_PER_QUERY)
        )
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                yield fact_from_row(dict(row))

    def record_labels(self, batch: Iterable[Fact]) -> LabelOutcome:
        """Store facts whole; a repeat (all but received_at equal) is counted and changes nothing.

        A fact about a subject without a decision is kept and joins it later.
        """
        ordered = sorted(batch, key=lambda fact: (fact.system, fact.subject_id, fact.observed_at))
        with self._database.writing() as connection:
            # numbers are given out before they are committed; in turn, they tell the order
            self._database.take_turn(connection, _FACTS_TURN)
            stored = self._database.insert_new(
                connection, FACTS, [fact_to_row(fact) for fact in ordered]
            )
            decided = decision_store.decided(
                connection, {(fact.system, fact.subject_id) for fact in ordered}
            )
        unknown = sum((fact.system, fact.subject_id) not in decided for fact in ordered)
        return LabelOutcome(stored, len(ordered) - stored, unknown)

    def labels_for(self, system: str, subject_id: str) -> tuple[Fact, ...]:
        """Every fact about a subject, in the order in which it became known."""
        query = (
            select(FACTS)
            .where(FACTS.c.system == system, FACTS.c.subject_id == subject_id)
            .order_by(FACTS.c.observed_at, FACTS.c.received_at, FACTS.c.id)
        )
        with self._database.reading() as connection:
            return tuple(fact_from_row(dict(row)) for row in connection.execute(query).mappings())

    def labels_as_stored(self, system: str, subject_id: str) -> tuple[Fact, ...]:
        """The same in the order in which they were stored, which no later fact changes."""
        query = (
            select(FACTS)
            .where(FACTS.c.system == system, FACTS.c.subject_id == subject_id)
            .order_by(FACTS.c.id)
        )
        with self._database.reading() as connection:
            return tuple(fact_from_row(dict(row)) for row in connection.execute(query).mappings())

    def current_label(self, system: str, subject_id: str, kind: FactKind = "fraud") -> Fact | None:
        """The fact that made the value what it is now: later confirmations do not move it."""
        facts = [fact for fact in self.labels_for(system, subject_id) if fact.kind == kind]
        return training_labels.standing(facts) if facts else None

    def labelled(
        self,
        system: str,
        since: int,
        until: int,
        *,
        known_by: int | None = None,
        kind: FactKind = "fraud",
        feature_set_digest: str | None = None,
        include_unlabelled: bool = False,
    ) -> pa.Table:
        """Decisions with the features they saw and the label known by then, for learning.

        Args:
            system: the risk system.
            since: from this event time on, microseconds since 1970 UTC.
            until: before this event time.
            known_by: only facts observed up to then count; None counts every fact.
            kind: which fact is the label.
            feature_set_digest: only decisions on these features; None takes the only one.
            include_unlabelled: keep decisions without a label; `label` is then null.

        Returns:
            One row per decision, by event_time and subject_id: subject_id, event_time,
            decided_at, decision, method, score, model_version, label, label_observed_at, then
            one float64 column per feature, NaN where missing. Times are timestamp[us, UTC].

        Raises:
            RecordsError: the range holds several feature sets and none was chosen.
        """
        question = training_labels.LabelQuery(
            system, since, until, known_by, kind, include_unlabelled
        )
        return training_labels.labelled(self._database, question, feature_set_digest)

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

        Whoever dies with a claim loses it when the lease ends; nobody else gets it before.

        Args:
            system: the risk system.
            limit: at most so many, 1 to 1000.
            worker: who claims, for operators.
            now: microseconds since 1970 UTC; None is the database's clock, which all workers share.
            lease: how long the claim holds, in microseconds.
        """
        with self._database.writing() as connection:
            at = self._database.now(connection) if now is None else now
            return rescoring.claim(connection, system, limit, worker, at, lease)

    def fail_rescore(
        self,
        system: str,
        subject_id: str,
        fault: str,
        *,
        now: int | None = None,
        policy: RetryPolicy = _RETRIES,
    ) -> bool:
        """Note that a claimed decision cannot be scored again; True where it is parked now.

        Args:
            system: the risk system.
            subject_id: what was to be scored again.
            fault: why, without personal data.
            now: as in `to_rescore`.
            policy: how long it waits, and when it is parked.
        """
        with self._database.writing() as connection:
            at = self._database.now(connection) if now is None else now
            return rescoring.fail(connection, system, subject_id, fault, at, policy)

    def give_back(self, system: str, subjects: Collection[str]) -> None:
        """End the claims of decisions that were not tried, so that others may claim them."""
        with self._database.writing() as connection:
            rescoring.give_back(connection, system, subjects)

    def unpark_rescores(self, system: str, subjects: Collection[str] | None = None) -> int:
        """Let parked decisions be claimed again, e.g. after an upgrade; returns how many.

        Args:
            system: the risk system.
            subjects: only these; None lets all be claimed. What is archived or erased stays parked.
        """
        with self._database.writing() as connection:
            if subjects is None:
                return rescoring.unpark(connection, system)
            names = sorted(set(subjects))
            return sum(
                rescoring.unpark(connection, system, names[start : start + _KEYS_PER_QUERY])
                for start in range(0, len(names), _KEYS_PER_QUERY)
            )

    def list_parked(self, system: str) -> list[Rescore]:
        """Decisions that failed too often to be tried again, longest parked first."""
        with self._database.reading() as connection:
            return rescoring.list_parked(connection, system)

    def parked_rescores(self, system: str) -> int:
        """How many decisions failed too often to be tried again."""
        with self._database.reading() as connection:
            return rescoring.parked(connection, system)

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
        with self._database.writing() as connection:
            return rescoring.mark(connection, system, subject_id, new_answer, at)

    def rescore(self, system: str, subject_id: str) -> Rescore | None:
        """How far the re-scoring of a fallback decision is, with its answer once there is one."""
        with self._database.reading() as connection:
            return rescoring.find(connection, system, subject_id)

    def rescore_backlog(self, system: str) -> int:
        """How many fallback decisions still wait to be scored again."""
        with self._database.reading() as connection:
            return rescoring.backlog(connection, system)

    def decision_count(self, system: str) -> int:
        """How many decisions of the system are kept, archived ones included."""
        with self._database.reading() as connection:
            return decision_store.count(connection, system)
