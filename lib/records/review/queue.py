"""The review queue: leased items, one decision each, outcomes, labels, and an audit of it all."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import TypedDict, TypeVar, Unpack

from sqlalchemy import Connection, insert

from lib.records.models import require_text, require_time
from lib.records.review import claims, transitions
from lib.records.review import verdicts as review_verdicts
from lib.records.review.audit import append_step
from lib.records.review.claims import Mixer, QueueEntry
from lib.records.review.intake import IntakeStore
from lib.records.review.models import (
    AuditEntry,
    Claim,
    Lease,
    ReviewItem,
    ReviewKey,
    Verdict,
    require_verdicts,
)
from lib.records.review.outcomes import OutcomeStore
from lib.records.review.statements import TURN_LOCK, NextStep, StatementStore
from lib.records.review.tables import (
    AUDIT,
    ITEMS,
    VERDICTS,
)  # fmt: skip
from lib.records.review.transitions import Act, Escalate

Value = TypeVar("Value")
Result = TypeVar("Result")


class LeaseOptions(TypedDict, total=False):
    """When a lease is changed, and under which key; as in `ReviewStore.claim`."""

    now: int | None
    key: ReviewKey | None


class UndoOptions(TypedDict, total=False):
    """`lease_now` as `now` of `ReviewStore.claim`, and the `key` under which a reviewer acts."""

    lease_now: int | None
    key: ReviewKey | None


class Remark(TypedDict, total=False):
    """What a reviewer acts with: a `note` in words, and the `key` under which they do."""

    note: str | None
    key: ReviewKey | None


class ActOptions(Remark, total=False):
    """The same at a time; `now` as in `ReviewStore.claim`."""

    now: int | None


class ClaimOptions(TypedDict, total=False):
    """What a reviewer takes on; see `ReviewStore.claim`."""

    languages: Collection[str] | None
    skills: Collection[str] | None
    key: ReviewKey | None
    claim_id: str | None


class ReviewStore(IntakeStore, OutcomeStore, StatementStore):
    """The review queue in the records database.

    An item is held by one reviewer at a time. A lease that ended gives the item back, and each
    lease has a token of its own, so that whoever was overtaken is told and changes nothing. Which
    items follow a decision is said by a rule of the caller's.

    Args:
        url: as of `Repository`.
        system: whose items these are; those of other systems are not touched.
    """

    def list_items(self, subject_id: str) -> list[ReviewItem]:
        """Every item about a subject, the newest first."""
        return self._list_about(
            subject_id, ReviewItem, ITEMS, [ITEMS.c.created_at.desc(), ITEMS.c.id]
        )

    def claim(
        self,
        reviewer: str,
        most: int,
        *,
        now: int | None = None,
        lease: int,
        mixer: Mixer | None = None,
        **options: Unpack[ClaimOptions],
    ) -> list[Claim]:
        """Lease up to `most` items, earliest rank first, golden ones mixed in.

        A second opinion, an adjudication or an appeal never goes to who decided about the post,
        nor to the key under which that was decided, if it is not bound to names.

        Args:
            reviewer: who asks.
            most: 1 to 1000.
            now: microseconds since 1970 UTC; None is the database's clock, which all share.
            lease: how long the items are held, in microseconds.
            mixer: which of a reviewer's items are golden; None mixes none in.
            options: `languages`, what the reviewer reads, None for everything; an item without a
                language goes to anybody. `skills` likewise. `key`, under which the reviewer asks.
                `claim_id` names the claim; asked for again, it gets what it leased and still holds.
        """
        require_text("reviewer", reviewer)
        with self._database.writing() as connection:
            asks = claims.ClaimRequest(
                self._system,
                reviewer,
                most,
                self._time(connection, now),
                lease,
                options.get("languages"),
                options.get("skills"),
                options.get("key"),
                options.get("claim_id"),
            )
            return claims.claim(self._database, connection, asks, mixer)

    def renew(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        *,
        lease: int,
        **options: Unpack[LeaseOptions],
    ) -> int:
        """Hold an item for longer, and return until when.

        Raises:
            UnknownItemError: there is none of that id.
            LeaseLostError: it is decided, or went to another.
        """
        with self._database.writing() as connection:
            queue_item = self._leased_item(connection, item_id, reviewer, token)
            at, key = self._time(connection, options.get("now")), options.get("key")
            after = claims.set_lease(connection, queue_item, reviewer, at + lease)
            append_step(connection, queue_item.item, at, reviewer, "renewed", key, after)
        return at + lease

    def release(
        self, item_id: str, reviewer: str, token: int, **options: Unpack[LeaseOptions]
    ) -> None:
        """Give an item back undecided. Raises as `renew` does."""
        with self._database.writing() as connection:
            queue_item = self._leased_item(connection, item_id, reviewer, token)
            claims.set_lease(connection, queue_item, None, None)
            at, key = self._time(connection, options.get("now")), options.get("key")
            append_step(connection, queue_item.item, at, reviewer, "released", key)

    def decide(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        verdicts: Mapping[str, bool],
        *,
        now: int,
        next_step: NextStep,
        **remark: Unpack[Remark],
    ) -> tuple[Verdict, bool]:
        """Keep a decision with what follows from it, whole or not; and whether it is new.

        The same again changes nothing. A lease that ended holds as long as nobody else has
        claimed the item since.

        Args:
            item_id: as claimed.
            reviewer: as claimed.
            token: as claimed.
            verdicts: of every policy of the item, whether it is broken.
            now: microseconds since 1970 UTC.
            next_step: says what follows, from the item and the decisions of its case so far.
            remark: see `Remark`.

        Raises:
            UnknownItemError: there is none of that id.
            LeaseLostError: the item went to another.
            RepeatedOpinionError: another opinion is needed; see `claim`.
            ContradictedVerdictError: the same reviewer decided otherwise under this lease.
            RecordsError: a verdict is missing, too many or not true or false.
        """
        require_time("now", now)
        note, key = remark.get("note"), remark.get("key")
        with self._database.writing() as connection:
            # numbers of labels are given out before they are committed; in turn, none comes late
            self._database.take_turn(connection, TURN_LOCK)
            queue_item = claims.find(connection, self._system, item_id)
            item = queue_item.item
            require_verdicts("verdicts", item.policies, verdicts)
            if (earlier := review_verdicts.find_verdict(connection, item_id)) is not None:
                return review_verdicts.require_same(earlier, reviewer, token, verdicts), False
            review_verdicts.require_lease(queue_item, reviewer, token)
            claims.require_other_opinion(connection, item, reviewer, key)
            verdict = review_verdicts.build_verdict(
                item, reviewer, token, verdicts, note, now, None if key is None else key.id
            )
            connection.execute(insert(VERDICTS).values(asdict(verdict)))
            claims.mark_decided(connection, item_id, now)
            after = {"verdicts": dict(verdicts)}
            append_step(connection, item, now, reviewer, "decided", key, after)
            case = review_verdicts.list_of_case(connection, item.case_id)
            self._follow(connection, next_step(item, case), case, now)
        return verdict, True

    def undo(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        *,
        now: int,
        lease: int,
        **options: Unpack[UndoOptions],
    ) -> Lease:
        """Take a decision back within ten seconds; the reviewer holds the item again.

        The same again gives the same lease. An undone decision counts nowhere; the audit keeps it.

        Args:
            item_id: as decided.
            reviewer: as decided.
            token: as decided.
            now: microseconds since 1970 UTC, by the clock of `decide`.
            lease: how long the item is held from then on, microseconds.
            options: see `UndoOptions`.

        Raises:
            UnknownItemError: there is none of that id.
            LeaseLostError: another decided it, or nobody.
            UndoRefusedError: see `transitions.undo`.
        """
        require_time("now", now)
        with self._database.writing() as connection:
            self._database.take_turn(connection, TURN_LOCK)
            entry = claims.find(connection, self._system, item_id)
            verdict = review_verdicts.find_verdict(connection, item_id)
            if verdict is None:
                return transitions.lease_after_undo(entry, reviewer, token)
            review_verdicts.require_same(verdict, reviewer, token, verdict.verdicts)
            until = self._time(connection, options.get("lease_now")) + lease
            new = Lease(entry.token + 1, until)
            transitions.undo(connection, entry, verdict, now, new, options.get("key"))
        return new

    def snooze(
        self, item_id: str, reviewer: str, token: int, until: int, **options: Unpack[ActOptions]
    ) -> None:
        """Give an item back that nobody gets before `until`; see `transitions.snooze`."""
        self._act(item_id, reviewer, token, options, transitions.snooze, until)

    def assign(
        self,
        item_id: str,
        reviewer: str,
        assignee: str | None,
        *,
        token: int | None = None,
        **options: Unpack[ActOptions],
    ) -> None:
        """Let only one reviewer claim an item, or anybody again; see `transitions.assign`."""
        for name in (reviewer, assignee):
            if name is not None:
                require_text("reviewer", name)
        self._act(item_id, reviewer, token, options, transitions.assign, assignee)

    def escalate(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        change: Escalate,
        **options: Unpack[ActOptions],
    ) -> ReviewItem:
        """Give an item to seniors; `change` says how. See `transitions.escalate`."""
        return self._act(item_id, reviewer, token, options, transitions.escalate, change)

    def find_item(self, item_id: str) -> QueueEntry:
        """An item with the state of its lease.

        Raises:
            UnknownItemError: there is none of that id.
        """
        with self._database.reading() as connection:
            return claims.find(connection, self._system, item_id)

    def list_verdicts(self, subject_id: str) -> list[Verdict]:
        """Every decision about a post, in order of time."""
        order = [VERDICTS.c.decided_at, VERDICTS.c.item_id]
        return self._list_about(subject_id, Verdict, VERDICTS, order)

    def list_history(self, subject_id: str) -> list[AuditEntry]:
        """Everything that happened to a post, in that order."""
        return self._list_about(subject_id, AuditEntry, AUDIT, [AUDIT.c.number])

    def _act(
        self,
        item_id: str,
        reviewer: str,
        token: int | None,
        options: ActOptions,
        change: Callable[[Connection, QueueEntry, Act, Value], Result],
        value: Value,
    ) -> Result:
        """Change an item, which is locked, in a transaction."""
        with self._database.writing() as connection:
            entry = claims.find(connection, self._system, item_id)
            now = self._time(connection, options.get("now"))
            act = Act(reviewer, token, now, options.get("note"), options.get("key"))
            return change(connection, entry, act, value)

    def _leased_item(
        self, connection: Connection, item_id: str, reviewer: str, token: int
    ) -> QueueEntry:
        queue_item = claims.find(connection, self._system, item_id)
        review_verdicts.require_lease(queue_item, reviewer, token)
        return queue_item
