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
    whole_ids,
    whole_text,
    without,
)
from lib.contract.checked import Adjustments, Mask, RowReasons
from lib.contract.coercion import as_array, each_once, plain
from lib.contract.condition import Condition, all_hold
from lib.contract.declaration import Column
from lib.contract.money import Currencies, MoneyReading
from lib.contract.number_text import PLAIN, NumberFormat
from lib.contract.origin import file_values
from lib.contract.row_check import as_mask, column_faults
from lib.contract.time_reading import TimeReading
from lib.contract.unit import Linear

_READERS = (
    (pat.is_string, to_text),
    (pat.is_boolean, to_flag),
    (pat.is_list, to_numbers),
    (pat.is_large_binary, to_bytes),
)
FORMS = ("nfc", "casefold", "strip", "whole", "as_written")
_PRINTED_AS_FLOATS = "whole numbers printed as floats (1001.0); read without '.0'"
_SCIENTIFIC = r"^[+-]?\d(\.\d+[eE]\+?\d{1,3}|[eE]\+\d{1,3})$"
_NULL_WORDS = ("NULL", "null", "None", "NaN", "nan", "<NA>", "\\N", "#N/A")
_POINT_ZERO = r"^([+-]?\d{1,15})\.0+$"
_ROUNDED = (
    "a number in scientific notation, which may lack digits; export it as text, "
    "or declare 'normalize: as_written'"
)
_KEPT = "'{0}' is kept as an id; declare 'missing: ['{0}']' where it means no value"


@dataclass(frozen=True)
class ColumnRule:
    """The recipe for one column.

    Args:
        target: the column of the contract.
        sources: source columns; several are joined as text with `join`.
        file_parts: what of the file's name or the row's number stands before the sources, of
            `FILE_PARTS`.
        constant: text that stands for every row, instead of sources.
        join: what stands between joined texts.
        missing: source texts that mean "no value".
        values: from source text to text; a text that is not listed is `otherwise`, or a fault.
        otherwise: text for what `values` does not list.
        when: conditions under which the column has a value at all; null elsewhere.
        time: how times are written, for time columns.
        money: how amounts are written, for money columns.
        linear: conversion of the physical unit.
        number: how numbers are written as text.
        normalize: forms that texts are brought to ("nfc", "casefold", "strip", "whole");
            "as_written" keeps even `1001.0` for an id.
    """

    target: Column
    sources: tuple[str, ...] = ()
    file_parts: tuple[str, ...] = ()
    constant: str | None = None
    join: str = "-"
    missing: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    otherwise: str | None = None
    when: tuple[Condition, ...] = ()
    time: TimeReading | None = None
    money: MoneyReading | None = None
    linear: Linear | None = None
    number: NumberFormat = PLAIN
    normalize: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Every source column that this rule reads."""
        money = () if self.money is None else self.money.needs
        return (*self.sources, *(condition.column for condition in self.when), *money)

    def apply(
        self,
        table: pa.Table,
        currencies: Currencies | None,
        reasons: RowReasons,
        adjustments: Adjustments,
    ) -> pa.Array:
        """The column's values for every row of `table`.

        Faults go to `reasons`; those of a lenient column, and ids that a float had printed, to
        `adjustments`.
        """
        if self.constant is not None:
            constant, _ = self._converted(pa.array([self.constant]))
            return pa.repeat(constant[0], table.num_rows)
        faults = RowReasons(table.num_rows) if self.target.lenient else reasons
        name, money = self.target.name, self.money
        raw = self._raw(table, faults, adjustments)
        if self.when:
            holds = pa.array(all_hold(self.when, table))
            raw = pc.if_else(holds, raw, pa.scalar(None, type=raw.type))
        if money is not None and money.currency_from is not None and currencies:
            values = money.settled(name, raw, table, currencies, faults)
        else:
            values, unreadable = self._converted(raw)
            faults.merge(unreadable)
        if money is not None:
            values = money.multiplied(name, values, table, faults)
        if self.target.lenient:
            for text in faults.counts():
                adjustments.add(faults.mask_of(text), f"{text}; set to missing")
        return values

    def text_fault(self, text: str) -> str | None:
        """Why a text of the mapping cannot stand in this column; None where it can."""
        values, faults = self._converted(pa.array([text]))
        if self.money is None or self.money.currency_from is None:
            faults = [*faults, *column_faults(self.target, values)]
        named = [fault for mask, fault in faults if mask.any()]
        return named[0] if named else None if values[0].is_valid else "no value"

    def _raw(self, table: pa.Table, reasons: RowReasons, adjustments: Adjustments) -> pa.Array:
        parts = [without(plain(as_array(table[name])), self.missing) for name in self.sources]
        if self.target.is_identifier and "as_written" not in self.normalize:
            parts = [self._id_part(part, reasons, adjustments) for part in parts]
        if self.file_parts:
            parts = [*file_values(table, self.file_parts), *parts]
        raw = parts[0]
        if len(parts) > 1:
            texts = [_joinable(self.target, part) for part in parts]
            raw = pc.binary_join_element_wise(*texts, self.join)
        if self.normalize:
            raw = _normalised(to_text(self.target.name, raw)[0], self.normalize)
        return self._mapped(raw, reasons) if self.values else raw

    def _id_part(self, part: pa.Array, reasons: RowReasons, adjustments: Adjustments) -> pa.Array:
        if not pat.is_string(part.type):
            return part
        name = self.target.name
        rounded = _rounded_ids(part)
        reasons.mark(rounded, f"{name}: {_ROUNDED}")
        if rounded.any():
            part = pc.if_else(pa.array(rounded), pa.scalar(None, part.type), part)
        if pc.any(pc.is_in(part, value_set=pa.array(_NULL_WORDS))).as_py():
            for word in _NULL_WORDS:
                adjustments.add(as_mask(pc.equal(part, word)), f"{name}: {_KEPT.format(word)}")
        texts, changed = whole_ids(part)
        if changed:
            adjustments.add(as_mask(pc.is_valid(part)), f"{self.target.name}: {_PRINTED_AS_FLOATS}")
        return texts

    def _mapped(self, raw: pa.Array, reasons: RowReasons) -> pa.Array:
        texts, _ = to_text(self.target.name, raw)
        result = each_once(texts, self._listed)
        reasons.mark(lost(texts, result), f"{self.target.name}: a value the mapping does not list")
        return result

    def _listed(self, text: str) -> str | None:
        # 12.0 is 12, unless the mapping lists it as it stands
        return self.values.get(text, self.values.get(whole_text(text), self.otherwise))

    def _converted(self, raw: pa.Array) -> Converted:
        name, target_type = self.target.name, self.target.type
        if self.time is not None:
            return self.time.read(name, raw)
        if self.money is not None:
            return self.money.read(name, raw)
        for is_kind, read in _READERS:
            if is_kind(target_type):
                return read(name, raw)
        if pat.is_integer(target_type):
            return to_whole(name, raw, self.number)
        values, faults = to_number(name, raw, self.number)
        if self.linear is not None:
            values = pc.add(pc.multiply(values, self.linear.scale), self.linear.offset)
        return values, faults


def _normalised(texts: pa.Array, forms: tuple[str, ...]) -> pa.Array:
    """`texts` after each of `forms` ("nfc", "casefold", "strip", "whole"), in the given order.

    Ids are compared byte for byte everywhere: who calls the service sends the same form.
    """
    for form in forms:
        if form == "nfc":
            texts = pc.utf8_normalize(texts, form="NFC")
        elif form == "strip":
            texts = pc.utf8_trim_whitespace(texts)
        elif form == "whole":
            texts = pc.replace_substring_regex(texts, _POINT_ZERO, r"\1")
        elif form == "casefold":
            texts = each_once(texts, str.casefold)
    return texts


def _rounded_ids(texts: pa.Array) -> Mask:
    """Texts such as 1.23457E+15, which a spreadsheet leaves of a long number."""
    content = texts.buffers()[2]
    content = b"" if content is None else content.to_pybytes()
    if b"+" not in content and b"." not in content:  # far cheaper than the pattern
        return np.zeros(len(texts), dtype=np.bool_)
    return as_mask(pc.match_substring_regex(texts, _SCIENTIFIC))


def _joinable(target: Column, part: pa.Array) -> pa.Array:
    """A part of a joined text or time: whole floats as whole numbers, days without a midnight."""
    if not pat.is_timestamp(target.type):
        return to_text(target.name, part)[0]
    if pat.is_timestamp(part.type):
        days = part.cast(pa.date32(), safe=False)
        whole_days = pc.all(pc.equal(days.cast(part.type), part)).as_py()
        return (days if whole_days else part).cast(pa.string())
    return whole_ids(to_text(target.name, part)[0])[0]
