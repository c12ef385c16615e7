"""Simulated payments as columns of plain arrays, before they get their names."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NO_DEVICE = -1
GOOD = -1

METHODS = ("card_present", "contactless", "wallet", "card_not_present", "bank_transfer")
CARD_PRESENT, CONTACTLESS, WALLET, CARD_NOT_PRESENT, BANK_TRANSFER = range(len(METHODS))


@dataclass(frozen=True, slots=True)
class Payments:
    """n payments, every array of shape (n,).

    Attributes:
        time: microseconds UTC.
        user: number of the customer.
        merchant: number of the merchant.
        device: number of the device, `NO_DEVICE` where none is known.
        amount: minor units.
        method: index into `METHODS`.
        latitude: degrees, NaN where unknown.
        longitude: degrees in [-180, 180), NaN where unknown.
        declined: the issuer refused it.
        scenario: index into `SCENARIOS`, `GOOD` for an honest payment.
    """

    time: Ints
    user: Ints
    merchant: Ints
    device: Ints
    amount: Ints
    method: Ints
    latitude: Floats
    longitude: Floats
    declined: Flags
    scenario: Ints

    def __len__(self) -> int:
        return int(self.time.size)

    def take(self, rows: npt.NDArray[np.int64] | Flags) -> "Payments":
        """The payments at `rows` (positions or a mask)."""
        return Payments(*(getattr(self, field.name)[rows] for field in fields(self)))


def joined(parts: Iterable[Payments]) -> Payments:
    """All payments of all parts, one part after the other."""
    several = list(parts)
    return Payments(
        *(np.concatenate([getattr(part, f.name) for part in several]) for f in fields(Payments))
    )
