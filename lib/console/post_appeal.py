"""An author's appeal against a removal, as a moderator takes it in."""

from __future__ import annotations

from lib.console.posts import packaged_policies
from lib.console.queue import Reviewer
from lib.console.source import SystemSource
from lib.moderation.effective_decision import in_force
from lib.moderation.review.items import AppealError
from lib.moderation.review.queue import PostReviewQueue
from lib.moderation.review.removal import removal_of
from lib.records.review import UnknownItemError


def appeal_post(
    source: SystemSource, reviewer: Reviewer, post_id: str, statement: str, now: int
) -> bool:
    """Take in the appeal of a post's author; one removal has one appeal.

    Args:
        source: of the system.
        reviewer: who takes it in.
        post_id: of the post.
        statement: what the author says.
        now: microseconds since 1970 UTC.

    Returns:
        Whether it is new.

    Raises:
        AppealError: the post is not removed, or it is too late.
        UnknownItemError: no decision is recorded about the post.
    """
    first = source.records.find_decision(post_id)
    if first is None:
        raise UnknownItemError(f"no decision is recorded about post {post_id!r}")
    outcomes = source.records.list_outcomes(post_id)
    later = source.records.list_later_answers([post_id]).get(post_id)
    decision, _ = in_force(first, later, outcomes)
    if decision != "REMOVE":
        raise AppealError(f"post {post_id!r} is not removed: {decision}")
    removal = removal_of(first, later, outcomes, packaged_policies())
    queue = PostReviewQueue(source.records, source.queue.settings)
    key_id, author = reviewer.key.id, removal.author_id
    return queue.appeal(removal, author, statement, now, key_id, reviewer.name)[1]
