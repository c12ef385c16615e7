"""A post: the one form in which it goes through rules, models, routing and review."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lib.contract.scalar import identifier_fault, whole_fault
from lib.feature.attribute_values import AttributeValue
from lib.moderation.text_matching.folding import shows

MODALITIES = ("text", "image", "video")
"""What a post may consist of, in the order of every array over modalities."""

LONGEST_TEXT = 100_000
"""Characters of a post's text, at most."""

MOST_IMAGES = 10
"""Images of a post, at most."""


class PostError(ValueError):
    """A post that cannot be meant; the message names the field, what was expected and came."""


@dataclass(frozen=True, slots=True)
class Media:
    """One image or video.

    Attributes:
        content: the encoded bytes; None while they are not fetched.
        source: "bytes" where they came with the post, else the URI to fetch them from.
    """

    content: bytes | None
    source: str = "bytes"

    def __post_init__(self) -> None:
        if self.content is None and (self.source == "bytes" or not self.source):
            raise PostError("media: expected bytes or a URI, got neither")
        if self.content is not None and not self.content:
            raise PostError(f"media: expected bytes, got none of {self.source}")


@dataclass(frozen=True, slots=True)
class Post:
    """One post, at least one of text, images and video in it.

    Attributes:
        post_id: names the post, at most 128 bytes.
        author_id: names the author, at most 128 bytes.
        created_at_us: when it was posted, microseconds since 1970, UTC.
        text: at most 100,000 characters; None (or nothing that can be seen) where there is none.
        images: at most ten.
        video: at most one.
        language: BCP 47 tag as told ("de", "pt-BR"); None where it is not told.
        reports: how often users have reported it so far, at most 2**53 - 1.
        reach: how often it was seen, or is expected to be, at most 2**53 - 1.
        attributes: by name, beside the fields of every post; what is missing is left out.

    Raises:
        PostError: a field is out of its bounds, or there is nothing to moderate.
    """

    post_id: str
    author_id: str
    created_at_us: int
    text: str | None = None
    images: tuple[Media, ...] = ()
    video: Media | None = None
    language: str | None = None
    reports: int = 0
    reach: int = 0
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("post_id", "author_id"):
            _refuse(name, identifier_fault(getattr(self, name)))
        for name in ("created_at_us", "reports", "reach"):
            _refuse(name, whole_fault(getattr(self, name)))
        if self.text is not None and len(self.text) > LONGEST_TEXT:
            raise PostError(
                f"text: expected at most {LONGEST_TEXT:,} characters, got {len(self.text):,}"
            )
        if len(self.images) > MOST_IMAGES:
            raise PostError(f"images: expected at most {MOST_IMAGES}, got {len(self.images)}")
        if not self.present:
            raise PostError("the post is empty: expected a text, an image or a video")

    @property
    def present(self) -> tuple[str, ...]:
        """The modalities that the post has, in the order of `MODALITIES`."""
        has = (shows(self.text), bool(self.images), self.video is not None)
        return tuple(name for name, there in zip(MODALITIES, has, strict=True) if there)


def _refuse(name: str, fault: str | None) -> None:
    if fault is not None:
        raise PostError(f"{name}: {fault}")
