"""Checks API keys on every request, from a file that may change while the server runs."""

import hmac
from dataclasses import dataclass
from pathlib import Path

from lib.access.errors import AccessError, KeyFileError
from lib.access.keyfile import KeyBook, KeyRecord, hash_secret, read_keys

_RELOAD_MICROSECONDS = 1_000_000
_UNAUTHENTICATED = "expected a valid API key as Authorization: Bearer fw_<id>_<secret>"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, for the audit log, and what the key allows.

    `reviewers` are the names under which it may act in review; None is any name.
    """

    key_id: str
    scopes: frozenset[str]
    reviewers: frozenset[str] | None = None


_NOBODY = (
    KeyRecord(id="0" * 12, salt="0" * 32, sha256="0" * 64, scopes=(), created_at=0),
    Caller("", frozenset()),
)


class ApiKeys:
    """The keys of a file, looked at again at most once a second.

    A changed file counts from then on, so keys are rotated without a restart: create the new
    one, hand it out, revoke the old one. A file that cannot be read leaves the keys as they
    were; `fault` says why until it can be read again. Safe for threads.

    Args:
        path: the key file, as written by `jobs.access.keys`.

    Raises:
        KeyFileError: the file is missing, malformed, or writable by others.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._last_fingerprint = _fingerprint(self._path)
        self._use(read_keys(self._path))
        self._checked_at = 0
        self.fault: str | None = None

    def verify(self, token: str | None, scope: str, now: int) -> Caller:
        """Let a caller in, or not.

        Args:
            token: `fw_<id>_<secret>` as the caller sent it, or None.
            scope: what the endpoint asks for, e.g. `fraud:score`; no scope implies another.
            now: microseconds since 1970 UTC.

        Raises:
            AccessError: 401 without a valid key, 403 without the scope.
        """
        caller = self.identify(token, now)
        if scope not in caller.scopes:
            message = f"expected an API key with the scope {scope}"
            raise AccessError(403, message, f"no scope {scope}", caller.key_id)
        return caller

    def find(self, key_id: str, now: int) -> Caller | None:
        """What a key allows, for a session that was begun with it.

        Args:
            key_id: public id of the key.
            now: microseconds since 1970 UTC.

        Returns:
            None where the key is unknown, revoked or expired.
        """
        self._reload_if_due(now)
        key, caller = self._keys.get(key_id, _NOBODY)
        return caller if caller.key_id and _end_of(key, now) is None else None

    def identify(self, token: str | None, now: int) -> Caller:
        """Say whose key this is.

        The secret is compared in constant time, and an unknown id costs what a known one does.

        Args:
            token: `fw_<id>_<secret>` as the caller sent it, or None.
            now: microseconds since 1970 UTC.

        Raises:
            AccessError: 401 without a valid key.
        """
        self._reload_if_due(now)
        if not token:
            raise AccessError(401, _UNAUTHENTICATED, "missing")
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        key, caller = self._keys.get(key_id, _NOBODY)
        right = hmac.compare_digest(_hash(key.salt, secret), key.sha256)
        if not right or prefix != "fw" or not caller.key_id:
            cause = "wrong secret" if caller.key_id else "unknown key"
            raise AccessError(401, _UNAUTHENTICATED, cause, caller.key_id or None)
        if (end := _end_of(key, now)) is not None:
            raise AccessError(401, _UNAUTHENTICATED, end, key_id)
        return caller

    def _reload_if_due(self, now: int) -> None:
        if 0 <= now - self._checked_at < _RELOAD_MICROSECONDS:
            return
        self._checked_at = now
        try:
            fingerprint = _fingerprint(self._path)
            if fingerprint != self._last_fingerprint:
                self._use(read_keys(self._path))
                self._last_fingerprint = fingerprint
            self.fault = None
        except KeyFileError as error:
            self.fault = str(error)

    def _use(self, book: KeyBook) -> None:
        self._keys = {key.id: (key, _caller(key)) for key in book.keys}


def _caller(key: KeyRecord) -> Caller:
    names = None if key.reviewers is None else frozenset(key.reviewers)
    return Caller(key.id, frozenset(key.scopes), names)


def _end_of(key: KeyRecord, now: int) -> str | None:
    """Why a key is no longer valid; None where it is."""
    if key.revoked_at is not None and key.revoked_at <= now:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else None


def _hash(salt: str, secret: str) -> str:
    try:
        return hash_secret(salt, secret)
    except UnicodeEncodeError:
        # a lone surrogate in a header is a wrong secret, not a fault of ours
        return ""


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
