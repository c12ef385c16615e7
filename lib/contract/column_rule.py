"""How one column of a contract is made out of source columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.cast import (
    Converted,
    lost,
    to_bytes,
    to_flag,
    to_number,
    to_numbers,
    to_text,
    to_whole,
    without,
)
from lib.contract.coercion import as_array, plain
from lib.contract.condition import Condition, all_hold
from lib.contract.declaration import Column
from lib.contract.error import ContractError
from lib.contract.money import Currencies, Currency, read_amounts
from lib.contract.reason import Mask, RowReasons
from lib.contract.row_check import as_mask
from lib.contract.time_reading import TimeReading
from lib.contract.unit import Linear

_LARGEST_PRODUCT = 1e15
_READERS = (
    (pat.is_string, to_text),
    (pat.is_integer, to_whole),
    (pat.is_list, to_numbers),
    (pat.is_large_binary, to_bytes),
)


@dataclass(frozen=True, slots=True)
class MoneyReading:
    """How amounts are written.

    Args:
        digits: decimal digits of the minor unit; 0 reads amounts that are minor units already;
            None takes each row's own currency's (with `currency_from`).
        decimal_mark: "." or "," in text.
        currency_from: source column with the currency code of each row, when they differ.
        times: source column of whole numbers that each amount is multiplied by, such as the
            quantity of a unit price.
    """

    digits: int | None = 0
    decimal_mark: str = "."
    currency_from: str | None = None
    times: str | None = None


@dataclass(frozen=True)
class ColumnRule:
    """The recipe for one column.

    Args:
        target: the column of the contract.
        sources: source columns; several are joined as text with `join`.
        constant: text that stands for every row, instead of sources.
        join: what stands between joined texts.
        missing: source texts that mean "no value".
        values: from source text to text; a text that is not listed is `otherwise`, or a fault.
        otherwise: text for what `values` does not list.
        when: conditions under which the column has a value at all; null elsewhere.
        time: how times are written, for time columns.
        money: how amounts are written, for money columns.
        linear: conversion of the physical unit.
    """

    target: Column
    sources: tuple[str, ...] = ()
    constant: str | None = None
    join: str = "-"
    missing: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    otherwise: str | None = None
    when: tuple[Condition, ...] = ()
    time: TimeReading | None = None
    money: MoneyReading | None = None
    linear: Linear | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Every source column that this rule reads."""
        money = () if self.money is None else (self.money.currency_from, self.money.times)
        more = [name for name in money if name is not None]
        return (*self.sources, *(one.column for one in self.when), *more)

    def apply(
        self, table: pa.Table, currencies: Currencies | None, reasons: RowReasons
    ) -> pa.Array:
        """The column's values for every row of `table`; faults go to `reasons`."""
        if self.constant is not None:
            one, _ = self._converted(pa.array([self.constant]))
            return pa.repeat(one[0], table.num_rows)
        raw = self._raw(table, reasons)
        if self.when:
            holds = pa.array(all_hold(self.when, table))
            raw = pc.if_else(holds, raw, pa.scalar(None, type=raw.type))
        if self.money is not None and self.money.currency_from is not None and currencies:
            codes, _ = to_text(self.target.name, as_array(table[self.money.currency_from]))
            return self._multiplied(self._settled(raw, codes, currencies, reasons), table, reasons)
        values, faults = self._converted(raw)
        reasons.merge(faults)
        return self._multiplied(values, table, reasons)

    def _multiplied(self, values: pa.Array, table: pa.Table, reasons: RowReasons) -> pa.Array:
        if self.money is None or self.money.times is None:
            return values
        counts, faults = to_whole(self.money.times, as_array(table[self.money.times]))
        reasons.merge(faults)
        amount = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        count = counts.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        fits = np.abs(amount.astype(np.float64) * count) < _LARGEST_PRODUCT
        reasons.mark(~fits, f"{self.target.name}: too large")
        known = as_mask(pc.is_valid(values)) & as_mask(pc.is_valid(counts)) & fits
        return pa.array(np.where(known, amount * np.where(fits, count, 0), 0), mask=~known)

    def constant_fault(self) -> str | None:
        """Why the constant cannot stand in this column; None where it can."""
        values, faults = self._converted(pa.array([self.constant]))
        named = [text for mask, text in faults if mask.any()]
        return named[0] if named else None if values[0].is_valid else "no value"

    def _raw(self, table: pa.Table, reasons: RowReasons) -> pa.Array:
        parts = [without(plain(as_array(table[name])), self.missing) for name in self.sources]
        raw = parts[0]
        if len(parts) > 1:
            texts = [to_text(self.target.name, part)[0] for part in parts]
            raw = pc.binary_join_element_wise(*texts, self.join)
        if not self.values:
            return raw
        return self._mapped(raw, reasons)

    def _mapped(self, raw: pa.Array, reasons: RowReasons) -> pa.Array:
        texts, _ = to_text(self.target.name, raw)
        encoded = texts.dictionary_encode()
        known = encoded.dictionary.to_pylist()
        mapped = pa.array([self.values.get(one, self.otherwise) for one in known], pa.string())
        result = mapped.take(encoded.indices)
        reasons.mark(lost(texts, result), f"{self.target.name}: a value the mapping does not list")
        return result

    def _converted(self, raw: pa.Array) -> Converted:
        name, wanted = self.target.name, self.target.type
        if self.time is not None:
            return self.time.read(name, raw)
        if self.money is not None:
            return read_amounts(name, raw, self.money.digits or 0, self.money.decimal_mark)
        for is_kind, read in _READERS:
            if is_kind(wanted):
                return read(name, raw)
        if pat.is_boolean(wanted):
            return self._flags(raw)
        values, faults = to_number(name, raw)
        if self.linear is not None:
            values = pc.add(pc.multiply(values, self.linear.scale), self.linear.offset)
        return values, faults

    def _flags(self, raw: pa.Array) -> Converted:
        if pat.is_integer(raw.type) or pat.is_floating(raw.type):
            name = self.target.name
            raise ContractError(
                f"column '{name}': expected true or false, came {raw.type} from "
                f"'{', '.join(self.sources)}'; say what the numbers mean in the mapping file: "
                f"{name}: {{from: {self.sources[0]}, values: {{0: false, 1: true}}}}"
            )
        return to_flag(self.target.name, raw)

    def _settled(
        self, raw: pa.Array, codes: pa.Array, currencies: Currencies, reasons: RowReasons
    ) -> pa.Array:
        amounts = np.zeros(len(raw), dtype=np.int64)
        known = np.zeros(len(raw), dtype=np.bool_)
        for code in codes.unique().to_pylist():
            rows = _rows_of(codes, code)
            if code not in currencies.known:
                reasons.mark(rows, f"currency: no rate for {_shortened(code)}")
                continue
            minor, faults = self._minor(raw.filter(pa.array(rows)), currencies.known[code])
            for mask, text in faults:
                reasons.mark(_spread(rows, mask), text)
            amounts[rows] = currencies.settle_minor(minor.fill_null(0).to_numpy(), code)
            known[rows] = as_mask(pc.is_valid(minor))
        return pa.array(amounts, mask=~known)

    def _minor(self, raw: pa.Array, currency: Currency) -> Converted:
        money = self.money or MoneyReading()
        digits = currency.digits if money.digits is None else money.digits
        return read_amounts(self.target.name, raw, digits, money.decimal_mark)


def _rows_of(codes: pa.Array, code: str | None) -> Mask:
    hits = pc.is_null(codes) if code is None else pc.equal(codes, code).fill_null(False)
    return as_mask(hits)


def _spread(rows: Mask, mask: Mask) -> Mask:
    spread = np.zeros(rows.size, dtype=np.bool_)
    spread[np.flatnonzero(rows)[mask]] = True
    return spread


def _shortened(code: str | None) -> str:
    return "a missing code" if code is None else f"'{code[:8]}'"
