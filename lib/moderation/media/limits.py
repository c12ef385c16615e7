"""How large media may be, and the one error for media that cannot be used."""

import errno
from dataclasses import dataclass, fields

REASONS = (
    "empty",
    "too_large",
    "too_many_pixels",
    "too_long",
    "too_many_frames",
    "too_slow",
    "truncated",
    "broken",
    "not_an_image",
    "not_a_video",
    "no_frames",
    "address_not_allowed",
    "not_found",
    "not_fetched",
)
"""Slugs of all reasons, for counts and for the quarantine."""


class MediaError(ValueError):
    """Media that cannot be used.

    Attributes:
        reason: one of `REASONS`.
        words: what was expected and what came.
    """

    def __init__(self, reason: str, message: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason: expected one of {', '.join(REASONS)}, got {reason!r}")
        super().__init__(reason, message)
        self.reason = reason
        self.words = message

    def __str__(self) -> str:
        """The reason and the words, as the quarantine shows them."""
        return f"{self.reason}: {self.words}"


def check_bytes(content: bytes, most: int, expected: str) -> None:
    """Refuse bytes that are none or too many.

    Args:
        content: encoded.
        most: bytes that are taken.
        expected: what they are, with its article.

    Raises:
        MediaError: empty or too_large.
    """
    if not content:
        raise MediaError("empty", f"expected {expected}, got no bytes")
    if len(content) > most:
        message = f"expected {expected} of at most {most:,} bytes, got {len(content):,}"
        raise MediaError("too_large", message)


def refusal(error: Exception, reason: str, expected: str) -> MediaError:
    """Whatever a decoder of foreign bytes raised, as a MediaError.

    Args:
        error: what was raised.
        reason: unless memory ran out, which is `too_large`.
        expected: in words.
    """
    is_memory = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    if is_memory:
        return MediaError("too_large", "decoding takes more memory than one of them may take")
    return MediaError(reason, f"{expected}; {type(error).__name__}: {error}"[:300])


@dataclass(frozen=True, slots=True)
class Limits:
    """What is decoded at most; whatever is larger is refused before it takes memory.

    Attributes:
        image_bytes: encoded bytes of one image.
        image_pixels: width times height that one image declares.
        image_side: longer side in pixels of a decoded image; larger ones are scaled down to it.
        image_seconds: of work on one image.
        animation_frames: frames of an animated image that are looked at.
        animation_length: frames of an animated image among which these are chosen.
        video_bytes: encoded bytes of one video.
        video_pixels: width times height of a video's frames.
        video_seconds: of playing time.
        video_frames: that a video holds.
        video_side: longer side in pixels of the frames returned; larger ones are scaled down.
        decode_seconds: of work on one video.
        decode_memory: bytes that decoding one of them may take beside its encoded bytes.
        fetch_seconds: to fetch one of them.
    """

    image_bytes: int = 20_000_000
    image_pixels: int = 32_000_000
    image_side: int = 640
    image_seconds: float = 5.0
    animation_frames: int = 8
    animation_length: int = 3_000
    video_bytes: int = 100_000_000
    video_pixels: int = 4096 * 2304
    video_seconds: float = 600.0
    video_frames: int = 36_000
    video_side: int = 448
    decode_seconds: float = 20.0
    decode_memory: int = 165_000_000
    fetch_seconds: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name}: expected above 0, got {getattr(self, field.name)}")
