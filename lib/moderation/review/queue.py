"""The review queue of posts: doubts that routing sends, and appeals of authors."""

from collections.abc import Sequence

from lib.moderation.review.items import Doubt, Removal, appeal_item, review_item
from lib.review.queue import ReviewQueue


class PostReviewQueue(ReviewQueue):
    """See `ReviewQueue`."""

    def admit_posts(self, doubts: Sequence[Doubt], now: int, actor: str = "routing") -> int:
        """Take posts in, due by their severity; returns how many are new.

        A post comes once under one version of the policies. It may come again under another.
        """
        return self.admit([review_item(doubt, now, self.settings) for doubt in doubts], actor)

    def appeal(
        self,
        removal: Removal,
        author_id: str,
        statement: str,
        now: int,
        key_id: str | None = None,
        actor: str | None = None,
    ) -> tuple[str, bool]:
        """Take in an author's appeal; returns the item's id, and whether it is new.

        Arguments and errors are those of `appeal_item`; `key_id` is of the API key that sent it,
        for the audit, and `actor` who took it in; None is the author.
        """
        item = appeal_item(removal, author_id, statement, now, self.settings)
        return item.id, bool(self.reviews.admit([item], actor or author_id, key_id))
