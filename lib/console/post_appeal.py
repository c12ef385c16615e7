"""An author's appeal against a removal, as a moderator takes it in."""

from __future__ import annotations

from lib.console.posts import packaged_policies
from lib.console.queue import Reviewer
from lib.console.source import SystemSource
from lib.moderation.effective_decision import in_force
from lib.moderation.review.items import AppealError
from lib.moderation.review.queue import PostReviewQueue
from lib.moderation.review.removal import removal_of
from lib.records import Decision
from lib.records.review import UnknownItemError

_HIGHEST = 5


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
        AppealError: the post is not removed or waits for an opinion, or it is too late.
        UnknownItemError: no decision is recorded about the post.
    """
    first = source.records.find_decision(post_id)
    if first is None:
        raise UnknownItemError(f"no decision is recorded about post {post_id!r}")
    waiting = source.records.list_waiting_items([post_id], reviewer.name).get(post_id)
    if waiting is not None and waiting.kind != "appeal":
        raise AppealError(f"an opinion on post {post_id!r} is due; wait for what it comes to")
    outcomes = source.records.list_outcomes(post_id)
    later = source.records.list_later_answers([post_id]).get(post_id)
    decision, _ = in_force(first, later, outcomes)
    if decision != "REMOVE":
        raise AppealError(f"post {post_id!r} is not removed: {decision}")
    removal = removal_of(first, later, outcomes, *_severities(source, first))
    queue = PostReviewQueue(source.records, source.queue.settings)
    key_id, author = reviewer.key.id, removal.author_id
    return queue.appeal(removal, author, statement, now, key_id, reviewer.name)[1]


def _severities(source: SystemSource, first: Decision) -> tuple[dict[str, int], int]:
    """Severities of policies, and of those whose texts are not at hand.

    The console has the packaged policies alone: of a post that was decided under others, what the
    queue kept of it counts, else the highest severity.
    """
    packaged = packaged_policies()
    if first.answer.get("policies_version") == packaged.label:
        return {policy.id: policy.severity for policy in packaged.policies}, 1
    kept = [item.severity for item in source.records.list_items(first.subject_id)]
    return {}, max(kept, default=_HIGHEST)
