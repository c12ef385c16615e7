"""Media of posts, kept once by their content for reviewers, explanations and later judgement."""

import hashlib
import re

from lib.storage import StorageError, open_storage

_DIGEST = re.compile(r"^[0-9a-f]{64}$")


class MediaStore:
    """A folder or bucket of media, each under its SHA-256.

    Args:
        uri: folder or URI (s3://, gs://, file://).
    """

    def __init__(self, uri: str) -> None:
        self._storage = open_storage(uri)

    def keep(self, content: bytes) -> str:
        """Keep encoded bytes; returns their SHA-256 in hex. The same content is written once.

        Raises:
            OSError, StorageError: the place cannot be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        if not self._storage.exists(_relative_path(digest)):
            self._storage.write(_relative_path(digest), content)
        return digest

    def read(self, digest: str) -> bytes | None:
        """What was kept under a SHA-256; None where there is nothing.

        Raises:
            StorageError: that is no SHA-256 in hex, or what lies there has another.
        """
        if _DIGEST.match(digest) is None:
            raise StorageError(f"digest: expected 64 hexadecimal digits, got {digest[:80]!r}")
        content = self._storage.read(_relative_path(digest))
        if content is not None and hashlib.sha256(content).hexdigest() != digest:
            raise StorageError(
                f"{self._storage.shown(_relative_path(digest))}: its content was changed"
            )
        return content

    def drop(self, digest: str) -> None:
        """Forget a content; what is not there is fine."""
        self._storage.delete(_relative_path(digest))


def _relative_path(digest: str) -> str:
    return f"{digest[:2]}/{digest}"
