"""A post with its media decoded and hashed, and how records keep it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from lib.moderation.media.hashes import Known, Near
from lib.moderation.model.inputs import PostInputs
from lib.moderation.post import Media, Post

POST_FIELDS = ("post_id", "author_id", "created_at_us", "text", "language", "reports", "reach")


class UndecodedAnswer(BaseModel):
    """An image or a video that could not be fetched or decoded."""

    place: str = Field(description="The medium in the request: `images.N`, from 0, or `video`.")
    reason: str = Field(description="Stable code of the reason.")
    words: str = Field(description="What was expected and what was received, in English.")


@dataclass(frozen=True)
class PreparedPost:
    """A post as it was read.

    Attributes:
        post: as asked.
        inputs: decoded.
        kept: by place (`images.0`, `video`), the SHA-256 under which the media are kept.
        undecoded: media that could not be used, or of which a part could not be looked at.
        hashes: hits of known media, by place; a distance of 0 with the very bytes.
        exact: places whose very bytes are known.
        decode_ms: time to fetch, decode and hash.
    """

    post: Post
    inputs: PostInputs
    kept: Mapping[str, str]
    undecoded: tuple[UndecodedAnswer, ...]
    hashes: Mapping[str, Near]
    exact: frozenset[str]
    decode_ms: float

    @property
    def exact_matches(self) -> list[Known]:
        """Listed entries of the very bytes of its media."""
        return [self.hashes[media_key].known for media_key in sorted(self.exact)]

    @property
    def near_match(self) -> Near | None:
        """The nearest listed entry by looks."""
        looks = [
            hash_match
            for media_key, hash_match in self.hashes.items()
            if media_key not in self.exact
        ]
        return min(looks, key=lambda hash_match: hash_match.distance, default=None)

    def row(self) -> dict[str, Any]:
        """The post as the records keep it: its media by their SHA-256."""
        attributes = self.post.attributes
        return {
            **{name: getattr(self.post, name) for name in POST_FIELDS},
            **({"attributes": dict(attributes)} if attributes else {}),
            "media": dict(self.kept),
            "undecoded": [failure.place for failure in self.undecoded],
        }


def kept_fields(request: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a post, media apart, as `PreparedPost.row` made them."""
    fields = {name: request[name] for name in POST_FIELDS}
    return {**fields, "attributes": request.get("attributes", {})}


def kept_post(request: Mapping[str, Any]) -> Post:
    """A post as `PreparedPost.row` made it, its media by their SHA-256 and not read."""
    named = {media_key: Media(None, digest) for media_key, digest in request["media"].items()}
    named |= {
        media_key: Media(None, "lost")
        for media_key in request["undecoded"]
        if media_key not in named
    }
    return Post(
        **kept_fields(request),
        images=tuple(media for media_key, media in sorted(named.items()) if media_key != "video"),
        video=named.get("video"),
    )
