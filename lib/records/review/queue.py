"""The review queue: leased items, one decision each, outcomes, labels, and an audit of it all."""

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Table, and_, insert, select

from lib.records.errors import RecordsError
from lib.records.models import require_text, require_time
from lib.records.repository import Model
from lib.records.review import claims
from lib.records.review import verdicts as review_verdicts
from lib.records.review.audit import append_step
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
from lib.records.review.statistics import ReviewStatistics
from lib.records.review.tables import AUDIT, GOLDEN, LABELS, OUTCOMES, SETTINGS, VERDICTS

NextStep = Callable[[ReviewItem, Sequence[Verdict]], Step]
_TURN_LOCK = 0x52657669  # "Revi": any number that no other program locks
_PAGE = 1000
_SALT, _SALT_BYTES = "salt", 32


class ReviewStore(ReviewStatistics):
    """The review queue in the records database.

    An item is held by one reviewer at a time. A lease that ended gives the item back, and each
    lease has a token of its own, so that whoever was overtaken is told and changes nothing. Which
    items follow a decision is said by a rule of the caller's.

    Args:
        url: as of `Repository`.
        system: whose items these are; those of other systems are not touched.
    """

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
            append_step(connection, queue_item.item, at, reviewer, "renewed", key, after)
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
            at = self._time(connection, now)
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
            # numbers of labels are given out before they are committed; in turn, none comes late
            self._database.take_turn(connection, _TURN_LOCK)
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

    def list_outcomes(self, subject_id: str) -> list[Outcome]:
        """The outcomes of a post's cases, the newest first."""
        order = [OUTCOMES.c.at.desc(), OUTCOMES.c.case_id]
        return self._list_about(subject_id, Outcome, OUTCOMES, order)

    def list_history(self, subject_id: str) -> list[AuditEntry]:
        """Everything that happened to a post, in that order."""
        return self._list_about(subject_id, AuditEntry, AUDIT, [AUDIT.c.number])

    def iterate_labels(self, since: int = 0) -> Iterator[Label]:
        """Labels with a number above `since`, each once, in order.

        Whoever keeps the last number and asks again with it misses none.
        """
        while True:
            number = LABELS.c.number
            labels = self._list(
                Label, LABELS, LABELS.c.system == self._system, number > since,
                order=[number], limit=_PAGE,
            )  # fmt: skip
            yield from labels
            if len(labels) < _PAGE:
                return
            since = labels[-1].number

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

    def _follow(
        self, connection: Connection, step: Step, case: Sequence[Verdict], now: int
    ) -> None:
        if step.opens is not None:
            claims.open_items(self._database, connection, [step.opens], "queue", now)
        if step.outcome is not None:
            review_verdicts.close_case(connection, step.outcome, case)

    def _list_about(
        self, subject_id: str, model: type[Model], table: Table, order: list[Any]
    ) -> list[Model]:
        is_about = and_(table.c.system == self._system, table.c.subject_id == subject_id)
        return self._list(model, table, is_about, order=order)
