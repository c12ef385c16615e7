"""The contracts of posts, of their media, and of labels that people gave them."""

from __future__ import annotations

import pyarrow as pa

from lib.contract import Column, Contract, time_column
from lib.moderation.post import LONGEST_ID_BYTES, LONGEST_TEXT

KINDS = ("image", "video")


def _name(name: str, description: str, *, required: bool = True) -> Column:
    return Column(name, pa.string(), description, required, max_length=LONGEST_ID_BYTES)


def _count(name: str, description: str) -> Column:
    return Column(name, pa.int64(), description, required=False, low=0, high=1e12)


POSTS = Contract(
    name="posts",
    columns=(
        _name("post_id", "names the post"),
        _name("author_id", "names the author"),
        time_column("created_at", "when it was posted"),
        Column(
            "text", pa.string(), "what it says", required=False, max_length=4 * LONGEST_TEXT
        ),
        _name("language", "BCP 47 tag, as told", required=False),
        _count("reports", "how often users reported it"),
        _count("reach", "how often it was or will be seen"),
    ),
    key=("post_id",),
)

MEDIA = Contract(
    name="media",
    columns=(
        _name("post_id", "names the post"),
        Column("kind", pa.string(), "what it is", values=KINDS),
        Column("place", pa.int64(), "place among the images of the post, from 0", low=0, high=9),
        Column("content", pa.binary(), "encoded bytes; or give uri", required=False),
        Column("uri", pa.string(), "where the bytes lie", required=False, max_length=2000),
    ),
    key=("post_id", "kind", "place"),
)

LABELS = Contract(
    name="labels",
    columns=(
        _name("post_id", "names the post"),
        _name("policy", "id of the policy"),
        Column("violates", pa.bool_(), "whether the post violates it"),
        _name("by", "who says so", required=False),
        time_column("event_time", "when it was said"),
        time_column("known_at", "when it became known", required=False, fallback="event_time"),
        _name("policy_version", "under which version of the policy", required=False),
    ),
)

CONTRACTS = (POSTS, MEDIA, LABELS)
