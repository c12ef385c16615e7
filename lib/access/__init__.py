"""API keys: hashed at rest, scoped by system and role, rotated without a restart."""

from lib.access.errors import AccessError, KeyFileError
from lib.access.keyfile import KeyBook, KeyRecord, add_key, new_key, read_keys, revoke_key
from lib.access.keys import ApiKeys, Caller

__all__ = [
    "AccessError",
    "ApiKeys",
    "Caller",
    "KeyBook",
    "KeyFileError",
    "KeyRecord",
    "add_key",
    "new_key",
    "read_keys",
    "revoke_key",
]
