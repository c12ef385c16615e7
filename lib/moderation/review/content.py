"""What a reviewer sees of a post: the same keys and words, whether or not its answer is known."""

from collections.abc import Mapping, Sequence

from lib.moderation.routing import REMOVE, REVIEW
from lib.records.models import Json

_CONSEQUENCES = {REVIEW: "a person reviews it", REMOVE: "it is removed"}


def post_content(
    text: str | None,
    reports: int,
    reason: str,
    *,
    media: Mapping[str, Json] | None = None,
    undecoded: Sequence[Json] = (),
    hits: Sequence[Json] = (),
    rule_id: str | None = None,
) -> dict[str, Json]:
    """`shown` of a post's item.

    Args:
        text: of the post.
        reports: by users so far.
        reason: why a person looks at it, in words.
        media: digests of its media by their place in the request.
        undecoded: media that could not be decoded.
        hits: words and media that are listed.
        rule_id: of the rule that asked for review.
    """
    return {
        "text": text,
        "media": dict(media or {}),
        "undecoded": list(undecoded),
        "hits": list(hits),
        "reports": reports,
        "reason": reason,
        "rule_id": rule_id,
    }


def model_reason(policy: str, probability: float, action: int = REVIEW) -> str:
    """Why a post is reviewed or removed where the model's probability of a policy decides."""
    consequence = _CONSEQUENCES[action]
    return (
        f"{policy}: violated with a probability of {probability:.1%}; at these costs {consequence}"
    )
