"""Posts out of the tables that hold them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lib.moderation.post import Media, Post, PostError

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unfit:
    """A row that makes no post.

    Attributes:
        post_id: as told.
        reason: what was expected and what came.
    """

    post_id: str
    reason: str


def gather(posts: pa.Table, media: pa.Table | None = None) -> Iterator[Post | Unfit]:
    """One post, or why there is none, for each row of `posts`, in their order.

    Args:
        posts: checked by `POSTS`.
        media: checked by `MEDIA`, of any posts; images come in the order of their place.
    """
    images: dict[str, list[_Row]] = defaultdict(list)
    videos: dict[str, list[_Row]] = defaultdict(list)
    for row in [] if media is None else media.to_pylist():
        by_post = images if row["kind"] == "image" else videos
        by_post[row["post_id"]].append(row)
    times = posts["event_time"].cast(pa.int64()).to_pylist()
    for row, at_us in zip(posts.drop_columns(["event_time"]).to_pylist(), times, strict=True):
        yield _post(row, at_us, images[row["post_id"]], videos[row["post_id"]])


def _media(rows: list[_Row]) -> tuple[Media, ...]:
    ordered = sorted(rows, key=lambda row: int(row["place"]))
    return tuple(Media(row["content"], row["uri"] or "bytes") for row in ordered)


def _post(row: _Row, at_us: int, images: list[_Row], videos: list[_Row]) -> Post | Unfit:
    try:
        if len(videos) > 1:
            raise PostError(f"video: expected at most 1, got {len(videos)}")
        return Post(
            post_id=row["post_id"],
            author_id=row["author_id"],
            created_at_us=at_us,
            text=row["text"],
            images=_media(images),
            video=next(iter(_media(videos)), None),
            language=row["language"],
            reports=row["reports"] or 0,
            reach=row["reach"] or 0,
        )
    except PostError as error:
        return Unfit(row["post_id"], str(error))
