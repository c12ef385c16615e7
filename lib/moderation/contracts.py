"""The contracts of posts, their media and the labels given to them.

Every row has an event time and, where they differ, the time it became known: nothing counts before.
"""

import pyarrow as pa

from lib.contract import Column, Contract, known_times, text_column
from lib.moderation.media.media_fetcher import LONGEST_URI
from lib.moderation.post import LONGEST_TEXT, MOST_IMAGES

KINDS = ("image", "video")
LONGEST_TAG_BYTES = 35
"""Of a language, RFC 5646."""

_BYTES_OF_CHARACTER = 4


def _count(name: str, description: str) -> Column:
    return Column(name, pa.int64(), description, required=False, low=0, high=1e12)


_POST = text_column("post_id", "names the post")

POSTS = Contract(
    name="posts",
    columns=(
        _POST,
        text_column("author_id", "names the author"),
        *known_times("when it was posted"),
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
    takes_attributes=True,
)  # fmt: skip

MEDIA = Contract(
    name="media",
    columns=(
        _POST,
        Column("kind", pa.string(), "image or video", values=KINDS),
        Column("place", pa.int64(), "among the post's images, from 0", low=0, high=MOST_IMAGES - 1),
        Column("content", pa.large_binary(), "the encoded bytes", required=False),
        text_column("uri", "where they are instead", length=LONGEST_URI, required=False),
    ),
    key=("post_id", "kind", "place"),
    either=(("content", "uri"),),
)

LABELS = Contract(
    name="labels",
    columns=(
        _POST,
        text_column("policy", "id of the policy"),
        Column("violates", pa.bool_(), "whether the post breaks it"),
        text_column("by", "who said so: a reviewer, an appeal, the composer"),
        *known_times("when it was said"),
        Column(
            "policy_version", pa.int64(), "of the policy it was judged by", required=False,
            low=1, high=1e9,
        ),
    ),
    key=("post_id", "policy", "by", "event_time"),
)  # fmt: skip

TEXT_CASES = Contract(
    name="text_cases",
    columns=(
        text_column("case_id", "names the text"),
        Column(
            "text", pa.string(), "what is judged", max_length=LONGEST_TEXT * _BYTES_OF_CHARACTER,
            multiline=True,
        ),
        text_column("policy", "id of the policy"),
        Column("violates", pa.bool_(), "whether the text breaks it"),
        text_column("function", "what the text tests of a model", required=False),
        text_column("identity", "group of people that the text is about", required=False),
    ),
    key=("case_id", "policy"),
)  # fmt: skip
"""Texts with expected answers; without `function` they are labelled texts of another source."""

CONTRACTS = (POSTS, MEDIA, LABELS)
"""In the order in which they are read."""
