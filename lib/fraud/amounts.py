"""What an amount of money is: the decimal digits of its currency, and how large it may be."""

from __future__ import annotations

from dataclasses import dataclass

from lib.contract import ContractError, Mapping
from lib.contract.money import money_text
from lib.fraud.contracts import LARGEST_AMOUNT_MINOR

USUAL_DIGITS = 2
MOST_DIGITS = 4
LARGEST_OF_ALL_MINOR = 10**12


@dataclass(frozen=True, slots=True)
class AmountScale:
    """The settlement currency's amounts, alike in training and service.

    Args:
        digits: decimal digits of the minor unit (ISO 4217): 2 for EUR, 0 for JPY, 3 for KWD.
        largest_minor: largest amount of a payment, in minor units.

    Raises:
        ContractError: digits other than 0 to 4, or amounts above 10^12 minor units, beyond which
            sums are not exact any more.
    """

    digits: int = USUAL_DIGITS
    largest_minor: int = LARGEST_AMOUNT_MINOR

    def __post_init__(self) -> None:
        if not 0 <= self.digits <= MOST_DIGITS:
            raise ContractError(
                f"currency_digits: expected 0 to {MOST_DIGITS}, got {self.digits}; 2 for EUR"
            )
        if not 1 <= self.largest_minor <= LARGEST_OF_ALL_MINOR:
            raise ContractError(
                f"largest amount: expected 1 to {LARGEST_OF_ALL_MINOR:,} minor units, "
                f"got {self.largest_minor:,}"
            )

    @classmethod
    def of(cls, mapping: Mapping) -> AmountScale:
        """What a mapping file says: the digits of its currency and its `largest` amount."""
        digits = mapping.currency_digits
        high = mapping.contract["amount_minor"].high
        return cls(
            USUAL_DIGITS if digits is None else digits,
            LARGEST_AMOUNT_MINOR if high is None else int(high),
        )

    @property
    def minor_per_unit(self) -> int:
        """Minor units of one unit of the currency."""
        return int(10**self.digits)

    def text(self, minor: float) -> str:
        """An amount in units of the currency with all its decimals: `1,234.50`, `1,235` of yen."""
        return money_text(minor, self.digits)

    @property
    def largest(self) -> int:
        """The largest amount in whole units of the currency."""
        return self.largest_minor // self.minor_per_unit

    @property
    def quantum(self) -> int:
        """Minor units that amounts are rounded to before they are squared.

        1 up to 10^8 minor units; above, squares keep eight digits, so that sums of them stay exact.
        """
        return -(-self.largest_minor // LARGEST_AMOUNT_MINOR)
