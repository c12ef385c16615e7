"""Rows brought together by their key, and what is chosen or summed among the rows of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.checked import Mask
from lib.contract.coercion import as_array

_LARGEST_SUM = 2.0**62
Places = npt.NDArray[np.intp]
Codes = npt.NDArray[np.int64]


def key_codes(table: pa.Table, names: tuple[str, ...]) -> Codes:
    """Equal keys, equal code."""
    codes = column_codes(table, names[0])
    for name in names[1:]:
        other = column_codes(table, name)
        combined = codes * (int(other.max(initial=0)) + 1) + other
        codes = np.unique(combined, return_inverse=True)[1].astype(np.int64)
    return codes


def column_codes(table: pa.Table, name: str) -> Codes:
    """Equal content, equal code; null is a content of its own, and so is NaN."""
    values = as_array(table[name])
    if pat.is_list(values.type):
        values = pa.array([None if value is None else repr(value) for value in values.to_pylist()])
    encoded = values.dictionary_encode(null_encoding="encode")
    codes: Codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def valid_mask(table: pa.Table, name: str) -> Mask:
    """Rows that have a value of a column."""
    mask: Mask = table[name].is_valid().to_numpy()
    return mask


@dataclass(frozen=True)
class KeyGroups:
    """Rows sorted by their key, in their order within one.

    Attributes:
        rows: in that order.
        source: (rows,) place of each row in the table that came.
        starts: (keys,) place of the first row of each key.
        group: (rows,) number of the key of each row.
        thing: (keys,) number of what the key is of, ascending. Where several keys (times) are of
            one thing, each holds what the keys of the thing up to it come to.
    """

    rows: pa.Table
    source: Places
    starts: Places
    group: Places
    thing: Places

    @classmethod
    def of(
        cls, table: pa.Table, places: Places, by: tuple[str, ...], of_thing: tuple[str, ...]
    ) -> KeyGroups:
        """Groups of the rows at `places`.

        Args:
            table: by time; so the keys of a thing come by time, too.
            places: in the order of the rows of a key.
            by: columns of a key.
            of_thing: the first of them, or all of them.
        """
        some = table.take(pa.array(places))
        codes, things = key_codes(some, by), key_codes(some, of_thing)
        order = np.lexsort((codes, things))
        changes = np.diff(codes[order], prepend=-1) != 0
        starts = np.flatnonzero(changes)
        thing = np.cumsum(np.diff(things[order][starts], prepend=-1) != 0) - 1
        rows = some.take(pa.array(order))
        return cls(rows, places[order], starts, np.cumsum(changes) - 1, thing)

    @classmethod
    def shared(cls, table: pa.Table, key: tuple[str, ...], order: tuple[str, ...]) -> KeyGroups:
        """Groups of the rows whose key another row has, too.

        Args:
            table: its rows.
            key: columns of a key.
            order: time columns by which the rows of a key come; nulls last, ties by row.
        """
        codes = key_codes(table, key)
        places = np.flatnonzero(np.bincount(codes, minlength=1)[codes] > 1)
        some = table.select(list(order)).take(pa.array(places))
        latest = np.iinfo(np.int64).max
        times = [as_array(some[name]).cast(pa.int64()).fill_null(latest) for name in order[::-1]]
        keys = [times_of.to_numpy(zero_copy_only=False) for times_of in times]
        return cls.of(table, places[np.lexsort([np.arange(len(places)), *keys])], key, key)

    def first(self, mask: Mask) -> Places:
        """(keys,) the first row of each key where `mask` holds; the number of rows for none."""
        positions = np.where(mask, np.arange(len(mask)), len(mask))
        return np.minimum.reduceat(positions, self.starts)

    def chosen(self, valid: Mask, ranks: Places, *, highest: bool) -> pa.Array:
        """(keys,) the valid row of the lowest or highest rank, null where none is valid.

        Args:
            valid: (rows,) whether the row has a value.
            ranks: (rows,) each of 0 to rows - 1 once.
            highest: which of them.
        """
        count = len(ranks)
        if not count:
            return pa.array([], pa.int64())
        if highest:
            extreme = self._highest(np.where(valid, ranks, -1))
        else:
            extreme = count - 1 - self._highest(np.where(valid, count - 1 - ranks, -1))
        row_of = np.empty(count, dtype=np.int64)
        row_of[ranks] = np.arange(count)
        empty = (extreme < 0) | (extreme >= count)
        return pa.array(row_of[np.where(empty, 0, extreme)], mask=empty)

    def differs(self, valid: Mask, codes: Codes) -> Mask:
        """(keys,) whether two valid rows have different codes (0 to rows - 1)."""
        if not len(codes):
            return np.zeros(0, dtype=np.bool_)
        count = len(codes)
        high = self._highest(np.where(valid, codes, -1))
        low = count - 1 - self._highest(np.where(valid, count - 1 - codes, -1))
        different: Mask = (high >= 0) & (low != high)
        return different

    def sums(self, values: pa.Array, ends: Mask) -> tuple[pa.Array, Mask]:
        """(keys,) the sum of the values, null where there is none; and which sums do not fit.

        Args:
            values: (rows,) whole numbers, or numbers where a thing has one key.
            ends: (rows,) those whose values are taken off.
        """
        if not len(values):
            return values, np.zeros(0, dtype=np.bool_)
        valid = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False))
        empty = self._highest(valid.astype(np.intp) - 1) < 0
        numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
        if pat.is_floating(values.type):
            # exactly rounded, so the order of the rows does not matter
            parts = np.split(numbers, self.starts[1:])
            sums = np.array([math.fsum(part) for part in parts])
            return pa.array(sums, values.type, mask=empty), ~np.isfinite(sums)
        signed = np.where(ends, -numbers, numbers)
        large = self._totals(np.add.reduceat(np.abs(numbers.astype(np.float64)), self.starts))
        sums = self._totals(np.add.reduceat(signed, self.starts))
        return pa.array(sums, values.type, mask=empty), large > _LARGEST_SUM

    def whole_things(self, bad: Mask) -> Mask:
        """(keys,) whether any key of the same thing is in `bad`."""
        some = np.zeros(int(self.thing.max(initial=-1)) + 1, dtype=np.bool_)
        some[self.thing[bad]] = True
        mask: Mask = some[self.thing]
        return mask

    def _highest(self, values: Places) -> Places:
        """(keys,) the highest value (-1 to rows - 1) of a key and those of its thing before."""
        offset = self.thing * (len(values) + 1)
        highest = np.maximum.reduceat(values, self.starts) + offset
        return np.maximum.accumulate(highest) - offset

    def _totals(self, sums: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(keys,) the sum of a key and those of its thing before."""
        first = np.flatnonzero(np.diff(self.thing, prepend=-1))
        totals = np.cumsum(sums)
        before = (totals - sums)[first]
        result: npt.NDArray[Any] = totals - before[self.thing]
        return result
