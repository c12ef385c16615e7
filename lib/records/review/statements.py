"""What people do with subjects of their choice: take an item, state a verdict, write a note.

A statement is one verdict of one person on some subjects, whether or not they are in the queue.
Each subject gets a case that is closed at once, with the same audit, outcome and label as any.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from lib.records.errors import RecordsError
from lib.records.models import Json, require_note, require_text, require_time
from lib.records.repository import list_rows
from lib.records.review import claims
from lib.records.review import verdicts as review_verdicts
from lib.records.review.audit import append_entries, append_step, audit_entry
from lib.records.review.claims import ClaimRequest, QueueEntry
from lib.records.review.models import (
    Claim,
    ContradictedVerdictError,
    Outcome,
    ReviewItem,
    ReviewKey,
    Step,
    Verdict,
    require_verdicts,
)
from lib.records.review.statistics import ReviewStatistics
from lib.records.review.tables import ITEMS, STATEMENTS, VERDICTS
from lib.records.review.transitions import statement_claim

TURN_LOCK = 0x52657669  # "Revi": any number that no other program locks
NextStep = Callable[[ReviewItem, Sequence[Verdict]], Step]
"""What follows, from an item and the decisions of its case so far."""
MOST_STATED = 200
"""Subjects of one statement at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One verdict of one person on some subjects.

    Attributes:
        id: names it; the same again changes nothing.
        reviewer: who.
        verdicts: of each question.
        at: microseconds since 1970 UTC.
        note: in words.
        key: under which the reviewer acts.

    Raises:
        RecordsError: an id or a name is none, the time is none, or the note is too long.
    """

    id: str
    reviewer: str
    verdicts: Mapping[str, bool]
    at: int
    note: str | None = None
    key: ReviewKey | None = None

    def __post_init__(self) -> None:
        for name in ("id", "reviewer"):
            require_text(name, getattr(self, name))
        require_time("at", self.at)
        if self.note is not None:
            require_note("note", self.note)

    @property
    def claim_id(self) -> str:
        """Names its items in the queue."""
        return statement_claim(self.id)

    @property
    def key_id(self) -> str | None:
        """The id of the key, for the audit."""
        return None if self.key is None else self.key.id


@dataclass(frozen=True, slots=True)
class StatementResult:
    """What became of a statement.

    Attributes:
        stated: subjects that it was stated of, in their order.
        left_out: subjects that wait for somebody else: held, assigned, or due another opinion.
        is_new: False where it was stated before.
    """

    stated: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class StatedSubject:
    """A subject of a statement, as it was answered at first."""

    system: str
    statement_id: str
    subject_id: str
    reviewer: str
    verdicts: Mapping[str, bool]
    is_stated: bool


class StatementStore(ReviewStatistics):
    """Statements, notes, and items that a reviewer takes by name.

    Args:
        url: as of `Repository`.
        system: whose subjects these are.
    """

    def take(
        self,
        item_id: str,
        reviewer: str,
        *,
        now: int | None = None,
        lease: int,
        key: ReviewKey | None = None,
        claim_id: str | None = None,
    ) -> Claim:
        """Lease one item, whatever its rank; who holds it already gets the lease again.

        Args:
            item_id: names it.
            reviewer: who asks.
            now: microseconds since 1970 UTC; None is the database's clock.
            lease: how long the item is held, in microseconds.
            key: under which the reviewer asks.
            claim_id: names the claim, as in `ReviewStore.claim`.

        Raises:
            UnknownItemError: there is none of that id.
            LeaseLostError: it is decided, with another reviewer, or meant for one.
            RepeatedOpinionError: another opinion is needed; see `ReviewStore.claim`.
        """
        require_text("reviewer", reviewer)
        with self._database.writing() as connection:
            at = self._time(connection, now)
            asks = ClaimRequest(self._system, reviewer, 1, at, lease, None, None, key, claim_id)
            return claims.take(connection, asks, item_id)

    def state(
        self,
        items: Sequence[ReviewItem],
        statement: Statement,
        *,
        next_step: NextStep,
        lease_now: int | None = None,
    ) -> StatementResult:
        """State a verdict on subjects, whole or not at all; the same again gives the same answer.

        A subject that waits in the queue for its first opinion, and that no other reviewer holds,
        is decided there, with what follows from that; one that waits for anything else is left
        out. The case of any other is closed at once. A statement of which nothing stands, as all
        subjects were left out or undone, is made anew where it is repeated.

        Args:
            items: one of kind `review` for each subject, to be opened where none waits.
            statement: the verdict.
            next_step: what follows for subjects that wait.
            lease_now: the clock of leases; None is the database's.

        Raises:
            ContradictedVerdictError: another verdict was stated under this id, or of others.
            RecordsError: no subject, or more than `MOST_STATED`; verdicts that do not fit.
        """
        if not 1 <= len(items) <= MOST_STATED:
            raise RecordsError(f"items: expected 1 to {MOST_STATED}, got {len(items)}")
        for item in items:
            require_verdicts("verdicts", item.policies, statement.verdicts)
        with self._database.writing() as connection:
            # numbers of labels are given out before they are committed; in turn, none comes late
            self._database.take_turn(connection, TURN_LOCK)
            earlier = self._stated_subjects(connection, statement.id)
            if any(each.is_stated for each in earlier):
                return _stated_before(earlier, statement, {item.subject_id for item in items})
            self._forget(connection, statement.id)
            now = self._time(connection, lease_now)
            chosen, fresh, left_out = self._choose(connection, items, statement, now)
            claims.open_items(
                self._database,
                connection,
                fresh,
                statement.reviewer,
                statement.at,
                statement.key_id,
            )
            decided = _decide(connection, chosen, statement)
            named = {item.id for item in fresh}
            for entry, verdict in zip(chosen, decided, strict=True):
                if entry.item.id in named:
                    step = Step(outcome=_outcome(verdict))
                else:
                    step = next_step(entry.item, [verdict])
                self._follow(connection, step, [verdict], statement.at)
            stated = sorted(entry.item.subject_id for entry in chosen)
            result = StatementResult(tuple(stated), left_out)
            if stated:
                self._insert(connection, STATEMENTS, _subjects_of(self._system, statement, result))
        return result

    def find_statement_result(self, statement_id: str) -> StatementResult | None:
        """What became of a statement when it was stated; None where nothing of it stands."""
        with self._database.reading() as connection:
            subjects = self._stated_subjects(connection, statement_id)
        return _result_of(subjects) if any(each.is_stated for each in subjects) else None

    def list_stated(self, statement_id: str) -> list[Verdict]:
        """The verdicts of a statement, by subject; none where it was never stated."""
        with self._database.reading() as connection:
            return _verdicts_of(connection, self._system, statement_claim(statement_id))

    def refer(
        self, item: ReviewItem, reviewer: str, note: str | None, key: ReviewKey | None = None
    ) -> bool:
        """Put an item into the queue with a note, both or neither; returns whether it is new.

        Args:
            item: that a reviewer asks for; one known by its id stays as it is, without the note.
            reviewer: who asks.
            note: in words, for the audit; None without one.
            key: under which the reviewer asks.
        """
        key_id = None if key is None else key.id
        with self._database.writing() as connection:
            opened = claims.open_items(self._database, connection, [item], reviewer, key_id=key_id)
            if opened and note is not None:
                _append_note(connection, item, reviewer, note, item.created_at, key)
        return bool(opened)

    def write_note(
        self, item: ReviewItem, reviewer: str, note: str, at: int, key: ReviewKey | None = None
    ) -> None:
        """Append a note about a subject to the audit; an empty one is refused.

        Args:
            item: of the subject, whether or not it is in the queue.
            reviewer: who writes.
            note: in words.
            at: microseconds since 1970 UTC.
            key: under which the reviewer writes.
        """
        require_text("reviewer", reviewer)
        with self._database.writing() as connection:
            _append_note(connection, item, reviewer, note, at, key)

    def _choose(
        self,
        connection: Connection,
        items: Sequence[ReviewItem],
        statement: Statement,
        now: int,
    ) -> tuple[list[QueueEntry], list[ReviewItem], tuple[str, ...]]:
        """Entries to decide, items of them that are to be opened, subjects that are left out."""
        by_subject = {item.subject_id: item for item in items}
        waiting = _waiting(connection, self._system, list(by_subject))
        chosen: list[QueueEntry] = []
        fresh: list[ReviewItem] = []
        left_out: list[str] = []
        for subject_id, item in sorted(by_subject.items(), key=lambda pair: pair[1].id):
            entries = waiting.get(subject_id, [])
            if not entries:
                fresh.append(item)
                chosen.append(QueueEntry(item, 0, None, None, None))
            elif len(entries) == 1 and _is_free(entries[0], statement, now):
                chosen += entries
            else:
                left_out.append(subject_id)
        return chosen, fresh, tuple(sorted(left_out))

    def _forget(self, connection: Connection, statement_id: str) -> None:
        """Remove what is left of a statement of which every verdict was undone."""
        table = STATEMENTS.c
        is_named = (table.system == self._system) & (table.statement_id == statement_id)
        connection.execute(delete(STATEMENTS).where(is_named))

    def _stated_subjects(self, connection: Connection, statement_id: str) -> list[StatedSubject]:
        table = STATEMENTS.c
        is_named = (table.system == self._system) & (table.statement_id == statement_id)
        return list_rows(connection, StatedSubject, STATEMENTS, is_named, order=[table.subject_id])

    def _follow(
        self, connection: Connection, step: Step, case: Sequence[Verdict], now: int
    ) -> None:
        if step.opens is not None:
            claims.open_items(self._database, connection, [step.opens], "queue", now)
        if step.outcome is not None:
            review_verdicts.close_case(connection, step.outcome, case)

    def _time(self, connection: Connection, now: int | None) -> int:
        if now is None:
            return self._database.now(connection)
        require_time("now", now)
        return now


def _append_note(
    connection: Connection,
    item: ReviewItem,
    reviewer: str,
    note: str,
    at: int,
    key: ReviewKey | None,
) -> None:
    require_note("note", note)
    append_step(connection, item, at, reviewer, "noted", key, {"note": note})


def _verdicts_of(connection: Connection, system: str, claim_id: str) -> list[Verdict]:
    names = [VERDICTS.c[name] for name in Verdict.__dataclass_fields__]
    query = (
        select(*names)
        .join(ITEMS, ITEMS.c.id == VERDICTS.c.item_id)
        .where(ITEMS.c.claim_id == claim_id, ITEMS.c.system == system)
        .order_by(VERDICTS.c.subject_id)
    )
    return [Verdict(**row) for row in connection.execute(query).mappings()]


def _stated_before(
    earlier: Sequence[StatedSubject], statement: Statement, subjects: Collection[str]
) -> StatementResult:
    """The first answer, where the same reviewer states the same of the same subjects again.

    Raises:
        ContradictedVerdictError: something else was stated.
    """
    first = earlier[0]
    if first.reviewer != statement.reviewer or dict(first.verdicts) != dict(statement.verdicts):
        raise ContradictedVerdictError(
            f"statement {statement.id!r}: another verdict was stated under this id"
        )
    if {each.subject_id for each in earlier} != set(subjects):
        raise ContradictedVerdictError(
            f"statement {statement.id!r}: a verdict on other subjects was stated under this id"
        )
    return _result_of(earlier)


def _result_of(subjects: Sequence[StatedSubject]) -> StatementResult:
    stated, left_out = (
        tuple(each.subject_id for each in subjects if each.is_stated == is_stated)
        for is_stated in (True, False)
    )
    return StatementResult(stated, left_out, is_new=False)


def _subjects_of(system: str, statement: Statement, result: StatementResult) -> list[StatedSubject]:
    return [
        StatedSubject(
            system, statement.id, subject_id, statement.reviewer, statement.verdicts, is_stated
        )
        for subjects, is_stated in ((result.stated, True), (result.left_out, False))
        for subject_id in subjects
    ]


def _waiting(
    connection: Connection, system: str, subjects: Sequence[str]
) -> dict[str, list[QueueEntry]]:
    """Undecided items of subjects, golden ones left out, locked where the database locks rows."""
    query = (
        select(ITEMS)
        .where(
            ITEMS.c.system == system,
            ITEMS.c.subject_id.in_(subjects),
            ITEMS.c.decided_at.is_(None),
            ITEMS.c.kind != "golden",
        )
        .order_by(ITEMS.c.id)
        .with_for_update()
    )
    entries: dict[str, list[QueueEntry]] = {}
    for row in connection.execute(query).mappings():
        entries.setdefault(row["subject_id"], []).append(claims.entry_of(row))
    return entries


def _is_free(entry: QueueEntry, statement: Statement, now: int) -> bool:
    """Whether a statement may decide an item that waits."""
    is_held = entry.leased_until is not None and entry.leased_until > now
    return (
        entry.item.kind == "review"
        and set(entry.item.policies) == set(statement.verdicts)
        and (not is_held or entry.leased_by == statement.reviewer)
        and entry.assignee in (None, statement.reviewer)
    )


def _decide(
    connection: Connection, chosen: Sequence[QueueEntry], statement: Statement
) -> list[Verdict]:
    """Keep the verdict on each item."""
    if not chosen:
        return []
    names = [entry.item.id for entry in chosen]
    connection.execute(
        update(ITEMS)
        .where(ITEMS.c.id.in_(names))
        .values(
            token=ITEMS.c.token + 1,
            leased_by=statement.reviewer,
            leased_until=statement.at,
            claim_id=statement.claim_id,
            decided_at=statement.at,
        )
    )
    decided = [
        review_verdicts.build_verdict(
            entry.item,
            statement.reviewer,
            entry.token + 1,
            statement.verdicts,
            statement.note,
            statement.at,
            statement.key_id,
        )
        for entry in chosen
    ]
    connection.execute(insert(VERDICTS), [asdict(verdict) for verdict in decided])
    after: dict[str, Json] = {"verdicts": dict(statement.verdicts), "statement": statement.id}
    append_entries(
        connection,
        [
            audit_entry(
                entry.item,
                statement.at,
                statement.reviewer,
                "decided",
                after=after,
                key_id=statement.key_id,
            )
            for entry in chosen
        ],
    )
    return decided


def _outcome(verdict: Verdict) -> Outcome:
    return Outcome(
        case_id=verdict.case_id,
        system=verdict.system,
        subject_id=verdict.subject_id,
        kind="review",
        rule="single",
        verdicts=verdict.verdicts,
        at=verdict.decided_at,
        policy_version=verdict.policy_version,
        model_version=verdict.model_version,
    )
