"""Chance and ids that depend on names alone: the same again gives the same, whatever the time."""

from __future__ import annotations

import hashlib

_BYTES = 8


def share_of(salt: str, *names: str) -> float:
    """A number in [0, 1), uniform over names; another salt draws another one."""
    digest = hashlib.sha256("\x00".join((salt, *names)).encode()).digest()[:_BYTES]
    # the 53 bits that a float holds, so that the quotient never rounds up to 1
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


def opaque_id(salt: str, *names: str) -> str:
    """32 hexadecimal digits; nothing in them tells one kind of item from another."""
    return hashlib.sha256("\x00".join((salt, "id", *names)).encode()).hexdigest()[:32]
