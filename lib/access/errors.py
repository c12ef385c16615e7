"""Why a caller is turned away, and why a key file is refused."""

from typing import Literal


class AccessError(Exception):
    """A caller is turned away.

    Attributes:
        status: 401 for a key that is missing, unknown, wrong, expired or revoked; the message is
            the same for all of them. 403 for a valid key that lacks the scope.
        cause: which of them it was, for the audit log and never for the caller.
        key_id: the id the caller named, if it is one of ours.
    """

    def __init__(
        self, status: Literal[401, 403], message: str, cause: str, key_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.cause = cause
        self.key_id = key_id


class KeyFileError(ValueError):
    """The key file is missing, malformed or writable by others."""
