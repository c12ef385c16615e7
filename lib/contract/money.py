"""Amounts of money as integer minor units, exactly, read and settled into one currency."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.cast import Converted, cast_or_null, lost, matching, to_text, to_whole
from lib.contract.checked import RowReasons
from lib.contract.coercion import as_array, plain
from lib.contract.declaration import ContractError
from lib.contract.number_text import PLAIN, NumberFormat
from lib.contract.row_check import as_mask

_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP "
        "BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD "
        "FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD "
        "KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD "
        "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
        "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED "
        "VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

MINOR_DIGITS = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}
"""By code: 2 for EUR, 0 for JPY, 3 for KWD. Metals and test codes have no minor unit."""


Integers = npt.NDArray[np.int64]

MILLION = 1_000_000
MOST_DIGITS = 4
MOST_UNITS = 10**12
"""Of a currency, that a single amount may be allowed to reach."""
_FLOAT_TOLERANCE = 1e-6
_LARGEST = 10**15
_LARGEST_PRODUCT = 1e15
_DECIMAL = pa.decimal128(38, 10)
_AMOUNT = r"^[+-]?\d{1,17}(\.\d{1,10})?$"
_PRINTED_FLOAT = r"^[+-]?(\d{1,12}\.\d{11,20}|\d{1,12}(\.\d{0,20})?[eE][+-]?\d{1,2})$"
_HALF_SPACING = {pa.float32(): 2.0**-24, pa.float16(): 2.0**-11}
_MOST_TOLERANCE = 0.25


def money_text(minor: float, digits: int) -> str:
    """Minor units as an amount with all decimals of its currency, thousands apart.

    >>> money_text(123456, 2), money_text(123456, 0), money_text(-1234567, 3)
    ('1,234.56', '123,456', '-1,234.567')
    """
    return f"{minor / 10**digits:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency's minor digits (ISO 4217) and its rate.

    Args:
        digits: decimal digits of the minor unit: 2 for EUR, 0 for JPY.
        per_million: whole settlement units that a million units of this currency are worth.
    """

    digits: int
    per_million: int = MILLION


@dataclass(frozen=True)
class Currencies:
    """Fixed rates into one settlement currency; arithmetic in integers, halves to even.

    Args:
        settlement: ISO 4217 code of the currency that amounts are kept in.
        known: every currency by its code, the settlement currency included.

    >>> table = Currencies("USD", {"USD": Currency(2), "JPY": Currency(0, 6_700)})
    >>> table.settle(np.array([1000]), "JPY").tolist()
    [670]
    """

    settlement: str
    known: Mapping[str, Currency]

    def __post_init__(self) -> None:
        own = self.known.get(self.settlement)
        if own is None or own.per_million != MILLION:
            raise ContractError(
                f"currencies: the settlement currency {self.settlement} must be listed, with the "
                f"rate {MILLION} per million"
            )

    def settle(self, minor: Integers, code: str) -> Integers:
        """Minor units of the settlement currency for those of `code` (at most 10^15 each)."""
        numerator, denominator = self._ratio(self.known[code])
        if numerator == denominator:
            return minor
        # beyond 63 bits a product is settled in Python's integers
        safe = np.abs(minor) <= (2**62) // numerator
        settled = _half_even(np.where(safe, minor, 0) * numerator, denominator)
        exact = _half_even(minor[~safe].astype(object) * numerator, denominator)
        settled[~safe] = np.clip(exact, -_LARGEST, _LARGEST)
        return settled

    def _ratio(self, currency: Currency) -> tuple[int, int]:
        numerator = currency.per_million * 10 ** self.known[self.settlement].digits
        denominator = MILLION * 10**currency.digits
        shared = int(np.gcd(numerator, denominator))
        return numerator // shared, denominator // shared


def read_amounts(name: str, raw: pa.Array, digits: int, number: NumberFormat = PLAIN) -> Converted:
    """Minor units (int64) of amounts in major units; what is no whole minor unit is a fault.

    Decimals, integers and text are exact. A float must lie within 1e-6 of a whole minor unit; so
    must a text of more than ten decimals (85.64999999999999) or with an exponent (1e+05), which a
    float was printed as. Floats of 32 and 16 bits may differ by half their spacing, as long as
    that is at most a quarter of a minor unit.
    """
    raw = plain(raw)
    if pat.is_floating(raw.type):
        half = _HALF_SPACING.get(raw.type, 0.0)
        return _from_floats(name, raw.cast(pa.float64()), digits, half)
    if pat.is_null(raw.type):
        return pa.nulls(len(raw), pa.int64()), []
    if not (pat.is_string(raw.type) or pat.is_integer(raw.type) or pat.is_decimal(raw.type)):
        raise ContractError(
            f"column '{name}': expected amounts (decimals, floats, integers or text), "
            f"came {raw.type}; map another column"
        )
    trimmed = pc.ascii_trim_whitespace(raw.cast(pa.string()))
    texts = number.canonical(trimmed) if pat.is_string(raw.type) else trimmed
    exact = cast_or_null(matching(texts, _AMOUNT), _DECIMAL)
    printed = cast_or_null(matching(texts, _PRINTED_FLOAT), pa.float64())
    rounded, faults = _from_floats(name, printed, digits)
    units = cast_or_null(_times_ten_to(exact, digits), pa.int64())
    unread = lost(raw, exact) & lost(raw, printed)
    return pc.coalesce(units, rounded), [
        *number.fault(trimmed, unread, f"{name}: not an amount"),
        (lost(exact, units), f"{name}: not a whole number of minor units ({digits} digits)"),
        *faults,
    ]


def _times_ten_to(exact: pa.Array, digits: int) -> pa.Array:
    # Shifting the scale multiplies by ten to the power of `digits` without touching a digit.
    shifted = pa.decimal128(38, 10 - digits)
    return pa.Array.from_buffers(
        shifted, len(exact), exact.buffers(), null_count=exact.null_count, offset=exact.offset
    )


def _from_floats(name: str, raw: pa.Array, digits: int, half: float = 0.0) -> Converted:
    """Minor units of floats that lie off their values by `half` of these at most."""
    scaled = raw.fill_null(0.0).to_numpy(zero_copy_only=False) * 10.0**digits
    is_valid = pc.is_valid(raw).to_numpy(zero_copy_only=False)
    readable = np.isfinite(scaled) & (np.abs(scaled) <= _LARGEST)
    units = np.rint(np.where(readable, scaled, 0.0))
    tolerance = np.clip(np.abs(units) * half, _FLOAT_TOLERANCE, _MOST_TOLERANCE)
    exact = readable & (np.abs(np.where(readable, scaled, 0.0) - units) <= tolerance)
    values = pa.array(units.astype(np.int64), mask=~(exact & is_valid))
    return values, [
        (is_valid & ~np.isfinite(scaled), f"{name}: not a number"),
        (is_valid & np.isfinite(scaled) & ~readable, f"{name}: too large"),
        (is_valid & ~exact, f"{name}: not a whole number of minor units ({digits} digits)"),
    ]


def _half_even(numerators: Integers, denominator: int) -> Integers:
    quotient, rest = numerators // denominator, numerators % denominator
    up = (2 * rest > denominator) | ((2 * rest == denominator) & (quotient % 2 == 1))
    settled: Integers = quotient + up
    return settled


@dataclass(frozen=True, slots=True)
class MoneyReading:
    """How amounts are written.

    Args:
        digits: decimal digits of the minor unit; 0 reads amounts that are minor units already;
            None takes each row's own currency's (with `currency_from`).
        currency_from: source column with the currency code of each row, when they differ.
        times: source column of whole numbers that each amount is multiplied by, such as the
            quantity of a unit price.
        number: how they are written as text.
        settlement_digits: decimal digits of the currency that amounts are kept in; None where
            the mapping does not say.
    """

    digits: int | None = 0
    currency_from: str | None = None
    times: str | None = None
    number: NumberFormat = PLAIN
    settlement_digits: int | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Source columns that are read beside the amount."""
        return tuple(name for name in (self.currency_from, self.times) if name is not None)

    def read(self, name: str, raw: pa.Array) -> Converted:
        """Minor units of `raw`, all in one currency."""
        return read_amounts(name, raw, self.digits or 0, self.number)

    def settled(
        self,
        name: str,
        raw: pa.Array,
        table: pa.Table,
        currencies: Currencies,
        reasons: RowReasons,
    ) -> pa.Array:
        """Minor units of the settlement currency, each row from its own currency."""
        codes, _ = to_text(name, as_array(table[self.currency_from]))
        amounts = np.zeros(len(raw), dtype=np.int64)
        is_known = np.zeros(len(raw), dtype=np.bool_)
        for code in codes.unique().to_pylist():
            rows = as_mask(pc.is_null(codes) if code is None else pc.equal(codes, code))
            currency = currencies.known.get(code)
            if currency is None:
                reasons.mark(rows, f"currency: no rate for {_shortened(code)}")
                continue
            digits = currency.digits if self.digits is None else self.digits
            minor, faults = read_amounts(name, raw.filter(pa.array(rows)), digits, self.number)
            for mask, text in faults:
                faulty = np.zeros(len(raw), dtype=np.bool_)
                faulty[rows] = mask
                reasons.mark(faulty, text)
            amounts[rows] = currencies.settle(minor.fill_null(0).to_numpy(), code)
            is_known[rows] = as_mask(pc.is_valid(minor))
        return pa.array(amounts, mask=~is_known)

    def multiplied(
        self, name: str, values: pa.Array, table: pa.Table, reasons: RowReasons
    ) -> pa.Array:
        """Amounts times the quantity of their row; as they are where none is declared."""
        if self.times is None:
            return values
        counts, faults = to_whole(self.times, as_array(table[self.times]), self.number)
        reasons.merge(faults)
        amount = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        count = counts.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        fits = np.abs(amount.astype(np.float64) * count) < _LARGEST_PRODUCT
        reasons.mark(~fits, f"{name}: too large")
        is_known = as_mask(pc.is_valid(values)) & as_mask(pc.is_valid(counts)) & fits
        return pa.array(np.where(is_known, amount * np.where(fits, count, 0), 0), mask=~is_known)


def _shortened(code: str | None) -> str:
    return "a missing code" if code is None else f"'{code[:8]}'"
