"""A payment as the event that the features read: as it is stored, and what tells it from others."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from lib.feature import Event
from lib.feature.attributes import Attribute

_FINGERPRINT_BYTES = 8
_CONTENT = (
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


class PaymentEventCodec:
    """Writes, reads and identifies the events of one service.

    Args:
        attributes: of a payment beside the fields of the contract.
    """

    def __init__(self, attributes: Iterable[Attribute] = ()) -> None:
        attributes = tuple(attributes)
        self._texts = (*_TEXTS, *(each.name for each in attributes if each.type == "category"))
        numbers = (each.name for each in attributes if each.type != "category")
        self._numbers = (*_COORDINATES, *numbers)
        self._content = itemgetter(*_CONTENT, *(each.name for each in attributes))

    def to_json(self, event: Event) -> dict[str, Any]:
        """The event as it is kept with its decision; a missing number is null."""
        numbers = {n: None if math.isnan(event[n]) else event[n] for n in self._numbers}
        return {**event, **numbers}

    def from_json(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The event that `to_json` wrote; attributes that it does not have are missing."""
        numbers = {name: stored.get(name) for name in self._numbers}
        return {
            **{name: stored.get(name) for name in self._texts},
            "event_time": int(stored["event_time"]),
            "amount_minor": int(stored["amount_minor"]),
            **{n: math.nan if value is None else float(value) for n, value in numbers.items()},
        }

    def fingerprint(self, event: Event) -> bytes:
        """Eight bytes that differ when a transaction_id is used for another payment."""
        text = repr(self._content(event)).encode()
        return hashlib.blake2b(text, digest_size=_FINGERPRINT_BYTES).digest()


def split_cached_response(settled: bytes) -> tuple[bytes, bytes]:
    """Fingerprint and answer of what was settled."""
    return settled[:_FINGERPRINT_BYTES], settled[_FINGERPRINT_BYTES:]
