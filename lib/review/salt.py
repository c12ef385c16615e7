"""The salt of a review queue, from where nobody who reads a configuration sees it, and its draws.

Chance and ids depend on names and salt alone: the same again gives the same, whatever the time.
"""

import hashlib

from lib.records import RecordsError
from lib.records.database import read_address
from lib.review.settings import ReviewSettingsError

_PLACES = ("env:", "file:")
_BYTES = 8


def require_salt_address(address: str | None) -> str | None:
    """Refuse a salt that is written out: whoever reads it can foresee draws and ids.

    Raises:
        ReviewSettingsError: neither `env:NAME` nor `file:/path`.
    """
    if address is not None and not address.startswith(_PLACES):
        raise ReviewSettingsError(
            "salt: expected env:NAME or file:/path, which holds it, got a text; "
            "leave it out for one that the records database makes and keeps"
        )
    return address


def read_salt(address: str | None) -> str | None:
    """The salt that an address holds; None, for the database's own, where there is no address.

    Raises:
        ReviewSettingsError: the address is none, or holds nothing.
    """
    if require_salt_address(address) is None:
        return None
    try:
        salt = read_address(str(address), "the salt of the review queue")
    except RecordsError as error:
        raise ReviewSettingsError(f"salt: {error}") from error
    if not salt:
        raise ReviewSettingsError(f"salt: {address}: expected text, got none")
    return salt


def share_of(salt: str, *names: str) -> float:
    """A number in [0, 1), uniform over names; another salt draws another one."""
    digest = hashlib.sha256("\x00".join((salt, *names)).encode()).digest()[:_BYTES]
    # the 53 bits that a float holds, so that the quotient never rounds up to 1
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


def opaque_id(salt: str, *names: str) -> str:
    """32 hexadecimal digits; nothing in them tells one kind of item from another."""
    return hashlib.sha256("\x00".join((salt, "id", *names)).encode()).hexdigest()[:32]
