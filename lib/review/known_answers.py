"""Golden items made of reviewed subjects whose right answers became known."""

from collections.abc import Mapping, Sequence

from lib.records.review import GoldenItem, ReviewItem, UnknownItemError
from lib.review.salt import opaque_id

_SAME = (
    "system",
    "subject_id",
    "policies",
    "severity",
    "reach",
    "policy_version",
    "shown",
    "language",
)
"""What a golden item has of the item that was reviewed."""


def golden_item_of(
    subject_id: str, items: Sequence[ReviewItem], known: Mapping[str, bool]
) -> GoldenItem:
    """The golden item of a subject, one for each version of what is asked.

    Args:
        subject_id: which.
        items: of the review queue about it, the newest first.
        known: the right answers.

    Raises:
        UnknownItemError: none of the items is a review.
        RecordsError: the answers are not about what the item asks.
    """
    item = next((item for item in items if item.kind == "review"), None)
    if item is None:
        raise UnknownItemError(f"there is no review of {subject_id!r}")
    return GoldenItem(
        id=opaque_id("", "golden item", subject_id, item.policy_version),
        **{name: getattr(item, name) for name in _SAME},
        known=known,
    )
