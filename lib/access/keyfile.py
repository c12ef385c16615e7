"""The file of API keys: hashes only, replaced whole, mode 600.

A secret is 256 random bits: nobody can guess it or look it up, so a slow password hash would
only slow every request down. One salted SHA-256 is enough (NIST SP 800-63B, 5.1.2.2: secrets of
112 bits and more are hashed with an approved one-way function; fewer need a slow one).
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lib.access.errors import KeyFileError
from lib.contract.declaration import LONGEST_ID_BYTES
from lib.contract.scalar import identifier_fault
from lib.durable import locked, replace_file

LAST_EXPIRY = 253_402_300_799_999_999
"""The last microsecond of the year 9999, after which no calendar of ours goes."""
SCOPE_PATTERN = re.compile(r"admin|[a-z][a-z0-9_]*:(score|label|read|review)")


def require_scope(scope: str) -> str:
    """Refuse a scope that no endpoint asks for.

    Raises:
        ValueError: the scope is neither `admin` nor `<system>:<score|label|read|review>`.
    """
    if not SCOPE_PATTERN.fullmatch(scope):
        raise ValueError(
            f"expected admin or <system>:<score|label|read|review>, such as fraud:score, "
            f"got {scope!r}"
        )
    return scope


def require_reviewer(name: str) -> str:
    """Refuse a name that no review request can hold.

    Raises:
        ValueError: says what was expected.
    """
    fault = "expected a name, got none" if not name else identifier_fault(name, LONGEST_ID_BYTES)
    if fault is not None:
        raise ValueError(fault)
    return name


Reviewers = Annotated[
    tuple[Annotated[str, AfterValidator(require_reviewer)], ...], Field(min_length=1)
]


class KeyRecord(BaseModel):
    """One key without its secret; times are microseconds since 1970 UTC.

    `reviewers` are the names under which it may act in review; None is any name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: tuple[Annotated[str, AfterValidator(require_scope)], ...]
    note: str = ""
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    reviewers: Reviewers | None = None


class KeyBook(BaseModel):
    """Every key that was ever made, by id."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keys: tuple[KeyRecord, ...] = ()

    def to_json(self) -> bytes:
        """Write the book as indented JSON."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def hash_secret(salt: str, secret: str) -> str:
    """SHA-256 of salt and secret, in hex."""
    return hashlib.sha256(f"{salt}{secret}".encode()).hexdigest()


def new_key(
    scopes: Sequence[str],
    now: int,
    expires_at: int | None = None,
    note: str = "",
    reviewers: Sequence[str] | None = None,
) -> tuple[str, KeyRecord]:
    """Make a key; the token `fw_<id>_<secret>` exists only in what is returned.

    Args:
        scopes: what it may do, e.g. `fraud:score`.
        now: microseconds since 1970 UTC.
        expires_at: it is refused from then on; microseconds since 1970 UTC.
        note: whose it is.
        reviewers: names under which it may act in review; None is any.

    Raises:
        KeyFileError: no scope, an unknown one, an end in the past or after the year 9999, or a
            reviewer without a name.
    """
    if not scopes:
        raise KeyFileError("scopes: expected at least one, such as fraud:score")
    if expires_at is not None and not now < expires_at <= LAST_EXPIRY:
        raise KeyFileError(
            "expires_at: expected a time to come, up to the end of the year 9999; "
            "leave it out for a key that lasts until it is revoked"
        )
    key_id, salt, secret = secrets.token_hex(6), secrets.token_hex(16), secrets.token_hex(32)
    try:
        record = KeyRecord(
            id=key_id,
            salt=salt,
            sha256=hash_secret(salt, secret),
            scopes=tuple(scopes),
            note=note,
            created_at=now,
            expires_at=expires_at,
            reviewers=None if reviewers is None else tuple(reviewers),
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise KeyFileError(f"{fault['loc'][0]}: {fault['msg']}") from error
    return f"fw_{key_id}_{secret}", record


def read_keys(path: Path) -> KeyBook:
    """Read the key file.

    Raises:
        KeyFileError: it is missing, a field is missing, unknown or malformed, an id comes twice, or
            others than its owner may write it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"{path}: {error.strerror}; make one with python -m jobs.access.keys create"
        ) from error
    if mode & 0o022:
        raise KeyFileError(f"{path}: others may write it (mode {mode & 0o777:o}); chmod 600 it")
    try:
        book = KeyBook.model_validate_json(text)
    except ValidationError as error:
        # the input is left out: it would put hashes in a log
        faults = error.errors(include_url=False, include_input=False)
        where = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults)
        raise KeyFileError(f"{path}: {where}") from None
    if len({key.id for key in book.keys}) != len(book.keys):
        raise KeyFileError(f"{path}: keys: expected every id once")
    return book


def add_key(path: Path, record: KeyRecord) -> None:
    """Add a key to the file, which is made if it is not there."""
    _change(path, lambda book: KeyBook(keys=(*book.keys, record)), create=True)


def revoke_key(path: Path, key_id: str, now: int) -> KeyRecord:
    """Refuse a key from now on; a key revoked before keeps its time.

    Args:
        path: the key file.
        key_id: the id, the part of the token after `fw_`.
        now: microseconds since 1970 UTC.

    Raises:
        KeyFileError: no key has this id.
    """

    def revoke(book: KeyBook) -> KeyBook:
        if key_id not in {key.id for key in book.keys}:
            key_ids = ", ".join(key.id for key in book.keys) or "(none)"
            raise KeyFileError(f"{path}: no key {key_id!r}; expected one of {key_ids}")
        return KeyBook(keys=tuple(_revoked(key, key_id, now) for key in book.keys))

    changed = _change(path, revoke, create=False)
    return next(key for key in changed.keys if key.id == key_id)


def _revoked(key: KeyRecord, key_id: str, now: int) -> KeyRecord:
    if key.id != key_id or key.revoked_at is not None:
        return key
    return key.model_copy(update={"revoked_at": now})


def _change(path: Path, change: Callable[[KeyBook], KeyBook], *, create: bool) -> KeyBook:
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock")):
        changed = change(KeyBook() if create and not path.exists() else read_keys(path))
        replace_file(path, changed.to_json(), mode=0o600)
    return changed
