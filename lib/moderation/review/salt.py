"""The salt of a review queue, from where nobody who reads a configuration sees it."""

from __future__ import annotations

from lib.moderation.review.settings import ReviewSettingsError
from lib.records import RecordsError
from lib.records.database import read_address

_PLACES = ("env:", "file:")


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
        return read_address(str(address), "the salt of the review queue") or _refuse(str(address))
    except RecordsError as error:
        raise ReviewSettingsError(f"salt: {error}") from error


def _refuse(address: str) -> str:
    raise ReviewSettingsError(f"salt: {address}: expected text, got none")
