"""A payment as the event that the features read: as it is stored, and what tells it from others."""

import hashlib
import math
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from lib.feature import Event

_FINGERPRINT_BYTES = 8
_content = itemgetter(
    *("event_time", "transaction_id", "user_id", "merchant_id", "device_id", "amount_minor"),
    *("currency", "payment_method", "latitude", "longitude"),
)
_COORDINATES = ("latitude", "longitude")
_TEXTS = (
    "transaction_id",
    "user_id",
    "merchant_id",
    "device_id",
    "currency",
    "payment_method",
)


def to_json(event: Event) -> dict[str, Any]:
    """The event as it is kept with its decision; a missing place is null."""
    location = {name: None if math.isnan(event[name]) else event[name] for name in _COORDINATES}
    return {**event, **location}


def from_json(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The event that `to_json` wrote."""
    location = {name: stored[name] for name in _COORDINATES}
    return {
        **{name: stored[name] for name in _TEXTS},
        "event_time": int(stored["event_time"]),
        "amount_minor": int(stored["amount_minor"]),
        **{name: math.nan if value is None else float(value) for name, value in location.items()},
    }


def fingerprint(event: Event) -> bytes:
    """Eight bytes that differ when a transaction_id is used for another payment."""
    text = repr(_content(event)).encode()
    return hashlib.blake2b(text, digest_size=_FINGERPRINT_BYTES).digest()


def split_cached_response(settled: bytes) -> tuple[bytes, bytes]:
    """Fingerprint and answer of what was settled."""
    return settled[:_FINGERPRINT_BYTES], settled[_FINGERPRINT_BYTES:]
