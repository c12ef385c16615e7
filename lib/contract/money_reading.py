"""How the amounts of one source column are written, and in which currency each row is."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.cast import Converted, to_text, to_whole
from lib.contract.coercion import as_array
from lib.contract.money import Currencies, read_amounts
from lib.contract.number_text import PLAIN, NumberFormat
from lib.contract.reason import Mask, RowReasons
from lib.contract.row_check import as_mask

_LARGEST_PRODUCT = 1e15


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
            rows = _rows_of(codes, code)
            currency = currencies.known.get(code)
            if currency is None:
                reasons.mark(rows, f"currency: no rate for {_shortened(code)}")
                continue
            digits = currency.digits if self.digits is None else self.digits
            minor, faults = read_amounts(name, raw.filter(pa.array(rows)), digits, self.number)
            for mask, text in faults:
                reasons.mark(_spread(rows, mask), text)
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


def _rows_of(codes: pa.Array, code: str | None) -> Mask:
    hits = pc.is_null(codes) if code is None else pc.equal(codes, code).fill_null(False)
    return as_mask(hits)


def _spread(rows: Mask, mask: Mask) -> Mask:
    spread = np.zeros(rows.size, dtype=np.bool_)
    spread[np.flatnonzero(rows)[mask]] = True
    return spread


def _shortened(code: str | None) -> str:
    return "a missing code" if code is None else f"'{code[:8]}'"
