"""The review queue with its rules: what comes in, who gets what, and what decisions come to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Unpack

from lib.records import Decision
from lib.records.review import Claim, Lease, ReviewItem, ReviewKey, ReviewStore, Verdict
from lib.records.review.queue import ClaimOptions, Remark, UndoOptions
from lib.records.review.statements import NextStep, Statement, StatementResult
from lib.review.agreement import Agreement, agreement_by_policy
from lib.review.golden import Accuracy, GoldenMixer, accuracies
from lib.review.opinions import next_step
from lib.review.policy import ReviewPolicy
from lib.review.ranking import escalated
from lib.review.settings import ReviewSettings


class ReviewQueue:
    """Reviews under the rules of `settings`; as safe for threads and processes as they are.

    Args:
        reviews: the store, migrated.
        settings: the rules; without a salt, that of the records database is taken when it is first
            needed.
    """

    def __init__(self, reviews: ReviewStore, settings: ReviewSettings) -> None:
        self.reviews = reviews
        self._settings = settings

    @property
    def settings(self) -> ReviewSettings:
        """The rules, with their salt.

        Raises:
            RecordsUnavailableError: the salt is the database's, which is away.
        """
        if self._settings.salt is None:
            self._settings = replace(self._settings, salt=self.reviews.ensure_salt())
        return self._settings

    def admit(self, items: Sequence[ReviewItem], actor: str) -> int:
        """Put items into the queue; returns how many are new. See `ReviewStore.admit`."""
        return self.reviews.admit(items, actor)

    def claim(
        self,
        reviewer: str,
        most: int,
        now: int | None,
        **options: Unpack[ClaimOptions],
    ) -> list[Claim]:
        """Lease up to `most` items, golden ones among them; see `ReviewStore.claim`."""
        return self.reviews.claim(
            reviewer,
            most,
            now=now,
            lease=self.settings.lease_us,
            mixer=GoldenMixer(self.settings),
            **options,
        )

    def decide(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        verdicts: Mapping[str, bool],
        now: int,
        **remark: Unpack[Remark],
    ) -> tuple[Verdict, bool]:
        """Decide an item that was claimed; see `ReviewStore.decide`."""
        return self.reviews.decide(
            item_id,
            reviewer,
            token,
            verdicts,
            now=now,
            next_step=self._next_step(),
            **remark,
        )

    def take(
        self,
        item_id: str,
        reviewer: str,
        now: int | None,
        key: ReviewKey | None = None,
        claim_id: str | None = None,
    ) -> Claim:
        """Lease one item by its id; see `ReviewStore.take`."""
        lease = self.settings.lease_us
        return self.reviews.take(
            item_id, reviewer, now=now, lease=lease, key=key, claim_id=claim_id
        )

    def state(
        self,
        policy: ReviewPolicy,
        decisions: Sequence[Decision],
        statement: Statement,
        lease_now: int | None,
    ) -> StatementResult:
        """State one verdict on the subjects of decisions; see `ReviewStore.state`.

        Those that are to come into the queue come first, so that they are decided there.
        """
        settings = self.settings  # before the transaction that this begins
        self._admit_waiting(policy, decisions, statement.at)
        items = [
            policy.chosen_item(decision, statement.id, "stated", statement.at, settings)
            for decision in decisions
        ]
        return self.reviews.state(
            items,
            statement,
            lease_now=lease_now,
            next_step=self._next_step(),
        )

    def _admit_waiting(self, policy: ReviewPolicy, decisions: Sequence[Decision], now: int) -> None:
        """Put those decisions into the queue that wait for it; what admits all finds them there."""
        by_subject = {decision.subject_id: decision for decision in decisions}
        waiting = self.reviews.list_waiting(len(by_subject), by_subject)
        items = [policy.item(by_subject[name], now, self.settings) for name in waiting]
        if admitted := [item for item in items if item is not None]:
            self.admit(admitted, "routing")

    def refer(
        self,
        policy: ReviewPolicy,
        decision: Decision,
        case: str,
        reviewer: str,
        now: int,
        **remark: Unpack[Remark],
    ) -> bool:
        """Put a subject that is not in the queue there, for seniors; returns whether it is new.

        Args:
            policy: of the system.
            decision: about the subject.
            case: names the case; the same again changes nothing.
            reviewer: who asks for it.
            now: microseconds since 1970 UTC.
            remark: see `Remark`.
        """
        settings, note, key = self.settings, remark.get("note"), remark.get("key")
        item = policy.chosen_item(decision, case, "referred", now, settings)
        return self.reviews.refer(escalated(item, now, settings), reviewer, note, key)

    def write_note(
        self,
        policy: ReviewPolicy,
        decision: Decision,
        reviewer: str,
        note: str,
        now: int,
        key: ReviewKey | None = None,
    ) -> None:
        """Append a note about a subject to the audit, whether or not it is in the queue."""
        item = policy.chosen_item(decision, "note", "noted", now, self.settings)
        self.reviews.write_note(item, reviewer, note, now, key)

    def undo(
        self, item_id: str, reviewer: str, token: int, now: int, **options: Unpack[UndoOptions]
    ) -> Lease:
        """Take a decision back within ten seconds; see `ReviewStore.undo`."""
        return self.reviews.undo(
            item_id, reviewer, token, now=now, lease=self.settings.lease_us, **options
        )

    def escalate(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        now: int | None,
        **remark: Unpack[Remark],
    ) -> ReviewItem:
        """Give an item to seniors; see `ReviewStore.escalate`."""
        settings = self.settings  # before the transaction that this begins
        return self.reviews.escalate(
            item_id,
            reviewer,
            token,
            lambda item, at: escalated(item, at, settings),
            now=now,
            **remark,
        )

    def agreement(self, since: int, seed: int) -> Mapping[str, Agreement]:
        """Kappa of each policy over second opinions that were drawn by chance since then."""
        pairs = self.reviews.list_opinion_pairs(since)
        return agreement_by_policy([pair for pair in pairs if pair.rule == "sample"], seed)

    def accuracy(self, since: int) -> Mapping[tuple[str, str], Accuracy]:
        """How often each (reviewer, policy) was right on golden items since then."""
        return accuracies(self.reviews.list_golden_answers(since))

    def _next_step(self) -> NextStep:
        """How cases go on by the settings, which are read before a transaction begins."""
        settings = self.settings
        return lambda item, case: next_step(item, case, settings)
