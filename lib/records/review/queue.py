"""The review queue: leased items, one decision each, outcomes, labels, and an audit of it all."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from lib.records.errors import RecordsError
from lib.records.models import require_text, require_time
from lib.records.repository import Repository
from lib.records.review import claims, statistics
from lib.records.review import verdicts as review_verdicts
from lib.records.review.audit import append_entries, audit_entry
from lib.records.review.claims import Mixer, QueueEntry
from lib.records.review.models import (
    AuditEntry,
    Claim,
    GoldenItem,
    Label,
    Outcome,
    ReviewItem,
    ReviewKey,
    Step,
    Verdict,
    require_verdicts,
)
from lib.records.review.statistics import GoldenAnswer, OpinionPair, QueueFigures
from lib.records.review.tables import AUDIT, GOLDEN, LABELS, OUTCOMES, SETTINGS, VERDICTS

NextStep = Callable[[ReviewItem, Sequence[Verdict]], Step]
_TURN_LOCK = 0x52657669  # "Revi": any number that no other program locks
_PAGE = 1000
_SALT, _SALT_BYTES = "salt", 32


class ReviewStore(Repository):
    """The review queue in the records database.

    An item is held by one reviewer at a time. A lease that ended gives the item back, and each
    lease has a token of its own, so that whoever was overtaken is told and changes nothing. Which
    items follow a decision is said by a rule of the caller's.

    Args:
        url: as of `Repository`.
        system: whose items these are; those of other systems are not touched.
    """

    def __init__(self, url: str, system: str = "moderation") -> None:
        super().__init__(url)
        self._system = system

    def ensure_salt(self) -> str:
        """The random salt of this database's queue, made once for all who use it."""
        query = select(SETTINGS.c.value).where(SETTINGS.c.name == _SALT)
        with self._database.reading() as connection:
            if (kept := connection.execute(query).scalar()) is not None:
                return str(kept)
        row = {"name": _SALT, "value": secrets.token_hex(_SALT_BYTES)}
        with self._database.writing() as connection:
            self._database.insert_new(connection, SETTINGS, [row])
        with self._database.reading() as connection:
            return str(connection.execute(query).scalar_one())

    def admit(self, items: Sequence[ReviewItem], actor: str, key_id: str | None = None) -> int:
        """Put items into the queue and return how many are new; one known by its id stays as it is.

        Args:
            items: of kind `review` or `appeal`.
            actor: what sent them here, for the audit.
            key_id: of the API key that did, likewise.
        """
        for item in items:
            if item.kind not in ("review", "appeal"):
                raise RecordsError(f"kind: expected review or appeal, got {item.kind!r}")
            if item.system != self._system:
                raise RecordsError(f"system: expected {self._system}, got {item.system!r}")
        # one order for everybody: two callers that overlap cannot wait for each other
        ordered = sorted(items, key=lambda item: item.id)
        with self._database.writing() as connection:
            return claims.open_items(self._database, connection, ordered, actor, key_id=key_id)

    def insert_golden(self, posts: Sequence[GoldenItem]) -> int:
        """Store posts with known answers; returns how many are new."""
        ordered = sorted(posts, key=lambda post: post.id)
        with self._database.writing() as connection:
            return self._insert(connection, GOLDEN, ordered)

    def claim(
        self,
        reviewer: str,
        most: int,
        *,
        now: int | None = None,
        lease: int,
        languages: Collection[str] | None = None,
        skills: Collection[str] | None = None,
        mixer: Mixer | None = None,
        key: ReviewKey | None = None,
        claim_id: str | None = None,
    ) -> list[Claim]:
        """Lease up to `most` items, earliest rank first, golden ones mixed in.

        A second opinion, an adjudication or an appeal never goes to who decided about the post,
        nor to the key under which that was decided, if it is not bound to names.

        Args:
            reviewer: who asks.
            most: 1 to 1000.
            now: microseconds since 1970 UTC; None is the database's clock, which all share.
            lease: how long the items are held, in microseconds.
            languages: what the reviewer reads, None for everything; an item without a language
                goes to anybody.
            skills: likewise.
            mixer: which of a reviewer's items are golden; None mixes none in.
            key: under which the reviewer asks.
            claim_id: names the claim; asked for again, it gets what it leased and still holds.
        """
        require_text("reviewer", reviewer)
        with self._database.writing() as connection:
            asks = claims.ClaimRequest(
                self._system,
                reviewer,
                most,
                self._time(connection, now),
                lease,
                languages,
                skills,
                key,
                claim_id,
            )
            return claims.claim(self._database, connection, asks, mixer)

    def renew(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        *,
        now: int | None = None,
        lease: int,
        key: ReviewKey | None = None,
    ) -> int:
        """Hold an item for longer, and return until when; `now` and `key` as in `claim`.

        Raises:
            UnknownItemError: there is none of that id.
            LeaseLostError: it is decided, or went to another.
        """
        with self._database.writing() as connection:
            queue_item = self._leased_item(connection, item_id, reviewer, token)
            at = self._time(connection, now)
            after = claims.set_lease(connection, queue_item, reviewer, at + lease)
            key_id = None if key is None else key.id
            entry = audit_entry(
                queue_item.item, at, reviewer, "renewed", after=after, key_id=key_id
            )
            append_entries(connection, [entry])
        return at + lease

    def release(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        *,
        now: int | None = None,
        key: ReviewKey | None = None,
    ) -> None:
        """Give an item back undecided; `now` and `key` as in `claim`. Raises as `renew` does."""
        with self._database.writing() as connection:
            queue_item = self._leased_item(connection, item_id, reviewer, token)
            claims.set_lease(connection, queue_item, None, None)
            at, key_id = self._time(connection, now), None if key is None else key.id
            append_entries(
                connection, [audit_entry(queue_item.item, at, reviewer, "released", key_id=key_id)]
            )

    def decide(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        verdicts: Mapping[str, bool],
        *,
        now: int,
        next_step: NextStep,
        note: str | None = None,
        key: ReviewKey | None = None,
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
            note: in words.
            key: under which the reviewer decides.

        Raises:
            UnknownItemError: there is none of that id.
            LeaseLostError: the item went to another.
            RepeatedOpinionError: another opinion is needed; see `claim`.
            ContradictedVerdictError: the same reviewer decided otherwise under this lease.
            RecordsError: a verdict is missing, too many or not true or false.
        """
        require_time("now", now)
        with self._database.writing() as connection:
            self._in_turn(connection)
            queue_item = claims.find(connection, self._system, item_id)
            require_verdicts("verdicts", queue_item.item.policies, verdicts)
            if (earlier_verdict := review_verdicts.find_verdict(connection, item_id)) is not None:
                return review_verdicts.require_same(
                    earlier_verdict, reviewer, token, verdicts
                ), False
            review_verdicts.require_lease(queue_item, reviewer, token)
            claims.require_other_opinion(connection, queue_item.item, reviewer, key)
            key_id = None if key is None else key.id
            verdict = review_verdicts.build_verdict(
                queue_item.item, reviewer, token, verdicts, note, now, key_id
            )
            connection.execute(insert(VERDICTS).values(asdict(verdict)))
            claims.mark_decided(connection, item_id, now)
            entry = audit_entry(
                queue_item.item, now, reviewer, "decided",
                after={"verdicts": dict(verdicts)}, key_id=key_id,
            )  # fmt: skip
            append_entries(connection, [entry])
            case = review_verdicts.list_of_case(connection, queue_item.item.case_id)
            self._follow(connection, next_step(queue_item.item, case), case, now)
        return verdict, True

    def find_item(self, item_id: str) -> QueueEntry:
        """An item with the state of its lease.

        Raises:
            UnknownItemError: there is none of that id.
        """
        with self._database.reading() as connection:
            return claims.find(connection, self._system, item_id)

    def list_verdicts(self, subject_id: str) -> list[Verdict]:
        """Every decision about a post, in order of time."""
        table = VERDICTS.c
        order = [table.decided_at, table.item_id]
        return self._list(
            Verdict,
            VERDICTS,
            table.system == self._system,
            table.subject_id == subject_id,
            order=order,
        )

    def list_outcomes(self, subject_id: str) -> list[Outcome]:
        """The outcomes of a post's cases, the newest first."""
        table = OUTCOMES.c
        order = [table.at.desc(), table.case_id]
        return self._list(
            Outcome,
            OUTCOMES,
            table.system == self._system,
            table.subject_id == subject_id,
            order=order,
        )

    def list_history(self, subject_id: str) -> list[AuditEntry]:
        """Everything that happened to a post, in that order."""
        return self._list(
            AuditEntry, AUDIT, AUDIT.c.system == self._system, AUDIT.c.subject_id == subject_id,
            order=[AUDIT.c.number],
        )  # fmt: skip

    def iterate_labels(self, since: int = 0) -> Iterator[Label]:
        """Labels with a number above `since`, each once, in order.

        Whoever keeps the last number and asks again with it misses none.
        """
        while True:
            number = LABELS.c.number
            labels = self._list(
                Label,
                LABELS,
                LABELS.c.system == self._system,
                number > since,
                order=[number],
                limit=_PAGE,
            )
            yield from labels
            if len(labels) < _PAGE:
                return
            since = labels[-1].number

    def list_opinion_pairs(self, since: int = 0) -> list[OpinionPair]:
        """First and second opinions whose second was given from then on, to measure agreement."""
        with self._database.reading() as connection:
            return statistics.list_opinion_pairs(connection, self._system, since)

    def list_golden_answers(self, since: int = 0) -> list[GoldenAnswer]:
        """Decisions about golden items from then on, beside what is right."""
        with self._database.reading() as connection:
            return statistics.list_golden_answers(connection, self._system, since)

    def compute_figures(self, now: int, window: int) -> QueueFigures:
        """How the queue stands at `now`, with rates over the last `window` microseconds."""
        if window < 1:
            raise RecordsError(f"window: expected 1 microsecond or more, got {window}")
        with self._database.reading() as connection:
            return statistics.compute_figures(connection, self._system, now, window)

    def _time(self, connection: Connection, now: int | None) -> int:
        if now is None:
            return self._database.now(connection)
        require_time("now", now)
        return now

    def _leased_item(
        self, connection: Connection, item_id: str, reviewer: str, token: int
    ) -> QueueEntry:
        queue_item = claims.find(connection, self._system, item_id)
        review_verdicts.require_lease(queue_item, reviewer, token)
        return queue_item

    def _in_turn(self, connection: Connection) -> None:
        # numbers of labels are given out before they are committed; in turn, none comes late
        self._database.take_turn(connection, _TURN_LOCK)

    def _follow(
        self, connection: Connection, step: Step, case: Sequence[Verdict], now: int
    ) -> None:
        if step.opens is not None:
            claims.open_items(self._database, connection, [step.opens], "queue", now)
        if step.outcome is not None:
            review_verdicts.close_case(connection, step.outcome, case)
