"""Histories of authors: what they posted, what of it was removed, what was restored."""

from collections.abc import Mapping

from lib.concurrency.bounded_executor import SizedExecutor
from lib.feature import AsyncProfileStore, Event, ReceiptConflictError, StoreError
from lib.moderation.author import AUTHORS, wording_key
from lib.moderation.post import Post
from serve.framework import Problem
from serve.framework.profiles import ProfileRepository

REMOVED, RESTORED = "removed", "restored"
TEXT_THREADS = ("texts", 2, 500)
"""Of work on texts: name, calls at once, and characters that take less time than a thread."""


class AuthorProfiles(ProfileRepository):
    """Reads and updates histories, one exchange a post, and survives a store that is out.

    Args:
        store: where profiles are kept.
        timeout: seconds to wait for it.
        receipt_seconds: how long a post that comes again is recognised.
    """

    def __init__(self, store: AsyncProfileStore, timeout: float, receipt_seconds: int) -> None:
        super().__init__(AUTHORS, store, receipt_seconds, timeout, legacy_receipts=True)
        self._texts = SizedExecutor(*TEXT_THREADS)

    async def fetch_history(self, post: Post, content: str) -> Mapping[str, float] | None:
        """Features as they were before a post, which counts from then on, once.

        None while the store is out.

        Args:
            post: that counts.
            content: what tells it from another post under its id; empty where that is not known.

        Raises:
            Problem: 409 where the id is that of another post, of whichever replica.
        """
        try:
            return (await self.record_event(await self._event(post), content.encode())).values
        except StoreError:
            return None
        except ReceiptConflictError as error:
            raise used_id() from error

    async def record_fact(
        self, post: Post, fact: str, at_us: int, is_known: bool, revision: int
    ) -> None:
        """Lets a fact about a post, `removed` or `restored`, count; see `record_label`."""
        await self.record_label(await self._event(post), fact, at_us, is_known, revision)

    async def _event(self, post: Post) -> Event:
        """A post as the features read it."""
        return {
            "event_time": post.created_at_us,
            "post_id": post.post_id,
            "author_id": post.author_id,
            "wording_key": await self._texts.run_sized(wording_key, post.text or ""),
        }


def used_id() -> Problem:
    """The 409 for another post under a known id."""
    return Problem.conflict(
        "post_id: expected an id of its own for each post, got one that was used with other "
        "content; send an edited post under a new id, or the first one unchanged"
    )
