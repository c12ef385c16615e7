"""Histories of authors: what they posted, what of it was removed, what was restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.concurrency.bounded_executor import SizedExecutor
from lib.concurrency.guarded_call import GuardedCall, GuardedRepository
from lib.feature import (
    AsyncProfileStore,
    Event,
    OnlineFeatures,
    ReceiptConflictError,
    StoreError,
)
from lib.moderation.author import AUTHORS, wording_key
from lib.moderation.post import Post
from serve.framework import Problem

REMOVED, RESTORED = "removed", "restored"
TEXT_THREADS = ("texts", 2, 500)
"""Of work on texts: name, calls at once, and characters that take less time than a thread."""


class AuthorProfiles(GuardedRepository[AsyncProfileStore]):
    """Reads and updates histories, one exchange a post, and survives a store that is out.

    Args:
        store: where profiles are kept.
        timeout: seconds to wait for it.
        receipt_seconds: how long a post that comes again is recognised.
    """

    def __init__(self, store: AsyncProfileStore, timeout: float, receipt_seconds: int) -> None:
        self._online = OnlineFeatures(AUTHORS, receipt_seconds)
        super().__init__(store, GuardedCall("profile store", StoreError, timeout))
        self._texts = SizedExecutor(*TEXT_THREADS)
        self.digest = AUTHORS.digest

    async def fetch(self, post: Post, content: str) -> Mapping[str, float] | None:
        """Features as they were before a post, which counts from then on, once.

        None while the store is out.

        Args:
            post: that counts.
            content: what tells it from another post under its id; empty where that is not known.

        Raises:
            Problem: 409 where the id is that of another post, of whichever replica.
        """
        event = await self._event(post)
        try:
            request = self._online.request(event, content.encode())
            reply = await self._guard.run(lambda: self._store.exchange(request))
        except StoreError:
            return None
        try:
            return self._online.read(event, reply).values
        except ReceiptConflictError as error:
            text = (
                "post_id: expected an id of its own for each post, got one that was used with "
                "other content; send an edited post under a new id, or the first one unchanged"
            )
            raise Problem.conflict(text) from error

    async def record_label(
        self, post: Post, fact: str, at_us: int, is_known: bool, revision: int
    ) -> None:
        """Lets a fact about a post count from `at_us`; each revision of it counts once.

        Args:
            post: what it is about.
            fact: `removed` or `restored`.
            at_us: when it became known, microseconds UTC.
            is_known: False withdraws it.
            revision: number of the statement about this post.

        Raises:
            StoreError: the store is out.
        """
        request = self._online.learn(await self._event(post), fact, at_us, is_known, revision)
        await self._guard.run(lambda: self._store.exchange(request))

    async def _event(self, post: Post) -> Event:
        """A post as the features read it."""
        event: dict[str, Any] = {
            "event_time": post.created_at_us,
            "post_id": post.post_id,
            "author_id": post.author_id,
            "wording_key": await self._texts.run_sized(wording_key, post.text or ""),
        }
        return event
