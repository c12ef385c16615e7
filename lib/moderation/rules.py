"""What a moderation rule may read and decide, and the fields of one post."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lib.moderation.author import AUTHORS
from lib.moderation.languages import language_known
from lib.moderation.media.hashes import Known, Near
from lib.moderation.policies import ACTIONS
from lib.moderation.post import Post
from lib.moderation.text_matching.lists import Hit

RULES_FILE = Path(__file__).with_name("rules.yaml")
"""The rules that stand in front of the models."""

NUMBERS = (
    "known_media",
    "hash_distance",
    "remove_hits",
    "review_hits",
    "text_characters",
    "image_count",
    "video_count",
    "failed_media",
    "reports",
    "reach",
    "language_known",
)
"""Fields of the post itself: counts, and 0 or 1. `known_media` counts media whose very bytes are
listed; `hash_distance` is the bits in which the nearest listed image differs, missing where none is
near; `failed_media` counts what could not be fetched or decoded."""

TEXTS = ("author_id", "language")

Row = dict[str, float | str | None]

__all__ = ["ACTIONS", "NUMBERS", "RULES_FILE", "TEXTS", "row_of", "rule_fields"]


def rule_fields(features: Iterable[str] = AUTHORS.names) -> dict[str, type]:
    """The fields a rule may read: the author's features and the post's numbers, and its texts."""
    return {
        **dict.fromkeys(features, float),
        **dict.fromkeys(NUMBERS, float),
        **dict.fromkeys(TEXTS, str),
    }


def row_of(
    post: Post,
    history: Mapping[str, float],
    *,
    known_media: Iterable[Known] = (),
    near: Near | None = None,
    hits: Iterable[Hit] = (),
    failed_media: int = 0,
) -> Row:
    """What the rules read of one post.

    Args:
        post: the post.
        history: the author's features by name; those that are absent are missing (None).
        known_media: listed entries of the very bytes of its media.
        near: the nearest listed entry by looks.
        hits: of the lists in its text.
        failed_media: of its media, how many could not be fetched or decoded.
    """
    actions = [hit.action for hit in hits]
    return {
        **{name: history.get(name) for name in AUTHORS.names},
        "known_media": float(len(list(known_media))),
        "hash_distance": None if near is None else float(near.distance),
        "remove_hits": float(actions.count("remove")),
        "review_hits": float(actions.count("review")),
        "text_characters": float(len(post.text or "")),
        "image_count": float(len(post.images)),
        "video_count": float(post.video is not None),
        "failed_media": float(failed_media),
        "reports": float(post.reports),
        "reach": float(post.reach),
        "language_known": float(post.language is None or language_known(post.language)),
        "author_id": post.author_id,
        "language": post.language,
    }
