"""Posts that people look at, as items of the queue: due by severity, ranked by risk and reach."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lib.records.models import Json
from lib.records.review import ItemKind, ReviewItem
from lib.records.review.models import require_case
from lib.registry import to_iso
from lib.review.ranking import bounded_priority, rank_us
from lib.review.salt import opaque_id
from lib.review.settings import HOUR_US, ReviewSettings


class AppealError(ValueError):
    """There is nothing to appeal, it is not this author's, or it is too late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """A post that routing sends to people; fields as in `lib.records.review.ReviewItem`."""

    post_id: str
    policies: Mapping[str, float]
    severity: int
    reach: int
    policy_version: str
    model_version: str | None
    shown: Mapping[str, Json]
    language: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal(Doubt):
    """A post that was taken down.

    Attributes:
        author_id: whose it is.
        removed_at: when, microseconds since 1970 UTC.
        policies: what it was removed for, to the probability of each (1 where a person said so).
    """

    author_id: str
    removed_at: int


def review_item(doubt: Doubt, now: int, settings: ReviewSettings) -> ReviewItem:
    """The item of a post, one for each version of the policies; `now` is microseconds UTC."""
    name = opaque_id(settings.draw_salt, "review", doubt.post_id, doubt.policy_version)
    return _item(doubt, name, "review", "routed", now, settings)


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
    late = now - removal.removed_at
    if not 0 <= late <= settings.appeal_window_us:
        days = settings.appeal_window_us / (24 * HOUR_US)
        raise AppealError(
            f"post {removal.post_id!r}: expected an appeal within {days:g} days of the removal "
            f"at {to_iso(removal.removed_at)}, got one at {to_iso(now)}"
        )
    name = opaque_id(settings.draw_salt, "appeal", removal.post_id, str(removal.removed_at))
    item = _item(removal, name, "appeal", "appeal", now, settings)
    return replace(item, shown={**removal.shown, "appeal": statement})


def priority_of(policies: Mapping[str, float], severity: int, reach: int) -> float:
    """Doublings of risk x severity x (1 + reach), bounded by `bounded_priority`.

    Args:
        policies: probability of each; the risk is the highest.
        severity: 1 to 5.
        reach: people who see the post, 0 or more.
    """
    return bounded_priority(max(policies.values()) * severity * (1 + reach))


def _item(
    post: Doubt, name: str, kind: ItemKind, rule: str, now: int, settings: ReviewSettings
) -> ReviewItem:
    require_case(post.policies, post.severity, post.reach)
    due = now + settings.sla_us[post.severity]
    priority = priority_of(post.policies, post.severity, post.reach)
    return ReviewItem(
        id=name, case_id=name, system="moderation", subject_id=post.post_id, kind=kind, rule=rule,
        policies=post.policies, severity=post.severity, reach=post.reach,
        priority=priority, created_at=now, due_at=due, rank_us=rank_us(priority, due, settings),
        policy_version=post.policy_version, model_version=post.model_version,
        language=post.language, shown=post.shown,
    )  # fmt: skip
