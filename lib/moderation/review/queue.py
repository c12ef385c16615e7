"""The review queue with its rules: what comes in, who gets what, and what decisions come to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lib.moderation.review.agreement import Agreement, agreement_by_policy
from lib.moderation.review.golden import Accuracy, GoldenMixer, accuracies
from lib.moderation.review.items import Doubt, Removal, appeal_item, review_item
from lib.moderation.review.opinions import next_step
from lib.moderation.review.settings import ReviewSettings
from lib.records.review import Claim, ReviewKey, ReviewStore, Verdict


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

    def admit(self, doubts: Sequence[Doubt], now: int, actor: str = "routing") -> int:
        """Take posts in, due by their severity; returns how many are new.

        A post comes once under one version of the policies. It may come again under another.
        """
        items = [review_item(doubt, now, self.settings) for doubt in doubts]
        return self.reviews.admit(items, actor)

    def claim(
        self,
        reviewer: str,
        most: int,
        now: int | None,
        *,
        languages: Collection[str] | None = None,
        key: ReviewKey | None = None,
        claim_id: str | None = None,
    ) -> list[Claim]:
        """Lease up to `most` items, golden ones among them; see `ReviewStore.claim`."""
        return self.reviews.claim(
            reviewer, most, now=now, lease=self.settings.lease_us,
            languages=languages, mixer=GoldenMixer(self.settings), key=key,
            claim_id=claim_id,
        )  # fmt: skip

    def decide(
        self,
        item_id: str,
        reviewer: str,
        token: int,
        verdicts: Mapping[str, bool],
        now: int,
        note: str | None = None,
        key: ReviewKey | None = None,
    ) -> tuple[Verdict, bool]:
        """Decide an item that was claimed; see `ReviewStore.decide`."""
        settings = self.settings  # before the transaction that this begins
        return self.reviews.decide(
            item_id, reviewer, token, verdicts, now=now, note=note, key=key,
            next_step=lambda item, case: next_step(item, case, settings),
        )  # fmt: skip

    def appeal(
        self,
        removal: Removal,
        author_id: str,
        statement: str,
        now: int,
        key_id: str | None = None,
    ) -> tuple[str, bool]:
        """Take in an author's appeal; returns the item's id, and whether it is new.

        Arguments and errors are those of `appeal_item`; `key_id` is of the API key that sent it,
        for the audit.
        """
        item = appeal_item(removal, author_id, statement, now, self.settings)
        return item.id, bool(self.reviews.admit([item], author_id, key_id))

    def agreement(self, since: int, seed: int) -> Mapping[str, Agreement]:
        """Kappa of each policy over second opinions that were drawn by chance since then."""
        pairs = self.reviews.list_opinion_pairs(since)
        return agreement_by_policy([pair for pair in pairs if pair.rule == "sample"], seed)

    def accuracy(self, since: int) -> Mapping[tuple[str, str], Accuracy]:
        """How often each (reviewer, policy) was right on golden items since then."""
        return accuracies(self.reviews.list_golden_answers(since))
