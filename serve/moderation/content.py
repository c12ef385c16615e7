"""What a post consists of, as one short text that tells two posts under one id apart."""

from __future__ import annotations

import hashlib

from lib.records.json_codec import write_json
from serve.moderation.schemas import MediaUpload, PostRequest

_DIGEST_BYTES = 16


def content_digest(request: PostRequest) -> str:
    """A digest of every field of a request; equal for equal requests, however they are written.

    Media count by their bytes, or by their URI where that was sent. Takes milliseconds for a few
    MB, without holding Python's lock.
    """
    content = {
        **request.model_dump(mode="json", exclude={"images", "video"}),
        "images": [_media_digest(image) for image in request.images],
        "video": None if request.video is None else _media_digest(request.video),
    }
    return hashlib.blake2b(write_json(content), digest_size=_DIGEST_BYTES).hexdigest()


def _media_digest(sent: MediaUpload) -> str:
    if sent.content is None:
        return f"uri:{sent.uri}"
    return hashlib.blake2b(sent.content, digest_size=_DIGEST_BYTES).hexdigest()
