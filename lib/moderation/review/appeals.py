"""An author asks for a removal to be looked at again, by somebody else, within a deadline."""

from __future__ import annotations

from dataclasses import dataclass

from lib.moderation.review.priority import priority_of, rank_us
from lib.moderation.review.reviewed_post import ReviewedPost
from lib.moderation.review.settings import ReviewSettings
from lib.moderation.review.stable_random import opaque_id
from lib.records.review import ReviewItem
from lib.records.review.models import require_case


class AppealError(ValueError):
    """There is nothing to appeal, it is not this author's, or it is too late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal(ReviewedPost):
    """A post that was taken down. Times are microseconds since 1970 UTC.

    Attributes:
        post_id, author_id: which post, whose.
        removed_at: when.
        policies: what it was removed for, to the probability of each (1 where a person said so).
        severity, reach: as in `ReviewItem`.
        policy_version, model_version: which were in force.
        shown: what its reviewer sees.
        language, skill: see `ReviewItem`.
    """

    author_id: str
    removed_at: int


def appeal_item(
    removal: Removal, author_id: str, statement: str, now: int, settings: ReviewSettings
) -> ReviewItem:
    """The item that an appeal becomes: one per removal, the same however often it is asked for.

    Args:
        removal: what was removed.
        author_id: who appeals.
        statement: what the author says, shown to the reviewer as `appeal`.
        now: microseconds since 1970 UTC.
        settings: the deadline, and the SLA by severity.

    Raises:
        AppealError: another author, past the deadline, before the removal, or for no policy.
    """
    if author_id != removal.author_id:
        raise AppealError(f"post {removal.post_id!r}: only its author may appeal")
    if not removal.policies:
        raise AppealError(f"post {removal.post_id!r} was removed for no policy")
    require_case(removal.policies, removal.severity, removal.reach)
    late = now - removal.removed_at
    if not 0 <= late <= settings.appeal_window_us:
        raise AppealError(
            f"post {removal.post_id!r}: expected an appeal within {settings.appeal_window_us} "
            f"microseconds of the removal at {removal.removed_at}, got one at {now}"
        )
    name = opaque_id(settings.draw_salt, "appeal", removal.post_id, str(removal.removed_at))
    due = now + settings.sla_us[removal.severity]
    priority = priority_of(removal.policies, removal.severity, removal.reach)
    return ReviewItem(
        id=name, case_id=name, system="moderation",
        subject_id=removal.post_id, kind="appeal", rule="appeal",
        policies=removal.policies, severity=removal.severity, reach=removal.reach,
        priority=priority, created_at=now, due_at=due, rank_us=rank_us(priority, due, settings),
        policy_version=removal.policy_version, model_version=removal.model_version,
        language=removal.language, skill=removal.skill,
        shown={**removal.shown, "appeal": statement},
    )  # fmt: skip
