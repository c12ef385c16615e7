"""The contracts of posts, their media and the labels given to them.

Every row has an event time and, where they differ, the time it became known: nothing counts before.
"""

from __future__ import annotations

import pyarrow as pa

from lib.contract import Column, Contract, time_column
from lib.contract.scalar import LONGEST_ID_BYTES
from lib.moderation.media.media_fetcher import LONGEST_URI
from lib.moderation.post import LONGEST_TEXT, MOST_IMAGES

KINDS = ("image", "video")
LONGEST_TAG_BYTES = 35
"""Of a language, RFC 5646."""

_BYTES_OF_CHARACTER = 4


def _text(name: str, description: str, length: int = LONGEST_ID_BYTES, *, required: bool) -> Column:
    return Column(name, pa.string(), description, required, max_length=length)


def _count(name: str, description: str) -> Column:
    return Column(name, pa.int64(), description, required=False, low=0, high=1e12)


def _times(description: str) -> tuple[Column, Column]:
    return (
        time_column("event_time", description),
        time_column("known_at", "when it became known", required=False, fallback="event_time"),
    )


_POST = _text("post_id", "names the post", required=True)

POSTS = Contract(
    name="posts",
    columns=(
        _POST,
        _text("author_id", "names the author", required=True),
        *_times("when it was posted"),
        Column(
            "text", pa.string(), "what it says; null where it says nothing", required=False,
            max_length=LONGEST_TEXT * _BYTES_OF_CHARACTER, multiline=True,
        ),
        Column(
            "language", pa.string(), "BCP 47 tag, null where unknown", required=False,
            max_length=LONGEST_TAG_BYTES, lenient=True,
        ),
        _count("reports", "by users so far"),
        _count("reach", "views so far, or expected"),
    ),
    key=("post_id",),
)  # fmt: skip

MEDIA = Contract(
    name="media",
    columns=(
        _POST,
        Column("kind", pa.string(), "image or video", values=KINDS),
        Column("place", pa.int64(), "among the post's images, from 0", low=0, high=MOST_IMAGES - 1),
        Column("content", pa.large_binary(), "the encoded bytes", required=False),
        _text("uri", "where they are instead", LONGEST_URI, required=False),
    ),
    key=("post_id", "kind", "place"),
    either=(("content", "uri"),),
)

LABELS = Contract(
    name="labels",
    columns=(
        _POST,
        _text("policy", "id of the policy", required=True),
        Column("violates", pa.bool_(), "whether the post breaks it"),
        _text("by", "who said so: a reviewer, an appeal, the composer", required=True),
        *_times("when it was said"),
        Column(
            "policy_version", pa.int64(), "of the policy it was judged by", required=False,
            low=1, high=1e9,
        ),
    ),
    key=("post_id", "policy", "by", "event_time"),
)  # fmt: skip

CONTRACTS = (POSTS, MEDIA, LABELS)
"""In the order in which they are read."""
