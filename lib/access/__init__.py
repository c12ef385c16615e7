"""API keys: hashed at rest, scoped by system and role, rotated without a restart."""

from lib.access.errors import AccessError, KeyFileError
from lib.access.keyfile import KeyRecord, add_key, new_key, read_keys, revoke_key
from lib.access.keys import ApiKeys

__all__ = [
    "AccessError",
    "ApiKeys",
    "KeyFileError",
    "KeyRecord",
    "add_key",
    "new_key",
    "read_keys",
    "revoke_key",
]
