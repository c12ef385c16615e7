"""Rows of one key that say different columns become one row; contradictions are set aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.coercion import as_array
from lib.contract.duplicates import (
    Codes,
    Once,
    column_codes,
    key_codes,
    row_sequence,
    shared_key_rows,
)
from lib.contract.reason import Mask

Places = npt.NDArray[np.intp]


def merge_rows(
    table: pa.Table, key: tuple[str, ...], ignore: tuple[str, ...], order: tuple[str, ...]
) -> Once:
    """One row for each key, with the first value that any of its rows gives in each column.

    The rows of a key are taken in order. One that gives another value than an earlier row
    contradicts it, and none of its values is used. The rows that stay may be merged again with
    others of the same key, so a table may be merged in pieces.

    Args:
        table: rows that are good otherwise.
        key: columns that name the thing; no nulls.
        ignore: columns in which the rows of a key may differ; the first value stands.
        order: columns that say which row is first; ties go by row order, nulls come last.
    """
    shared = shared_key_rows(table, key)
    conflicting = np.zeros(table.num_rows, dtype=np.bool_)
    if not shared.size:
        return Once(table, conflicting, 0, 0)
    some = table.take(pa.array(shared))
    codes = key_codes(some, key)
    rows = _Rows.of(codes, np.lexsort((row_sequence(some, order), codes)))
    content = [name for name in table.column_names if name not in key]
    columns = {name: _column(some, name, rows.order) for name in content}
    active = _consistent(rows, [columns[name] for name in content if name not in ignore])
    conflicting[shared[rows.order[~active]]] = True
    sources = {name: rows.first(valid & active) for name, (_, valid) in columns.items()}
    giving = np.zeros(len(active), dtype=np.bool_)
    for source in sources.values():
        giving[source[source < len(active)]] = True
    giving[rows.starts] = False
    merged = int(giving.sum())
    repeats = int(active.sum()) - len(rows.starts) - merged
    return Once(_merged(table, shared, rows, sources), conflicting, repeats, merged)


@dataclass(frozen=True)
class _Rows:
    """Rows that share their key with others, sorted by key and, within one, by sequence.

    Attributes:
        order: the row at each sorted place.
        starts: (keys,) place of the first row of each key.
        group: (rows,) number of the key at each place.
    """

    order: Places
    starts: Places
    group: Places

    @classmethod
    def of(cls, codes: Codes, order: Places) -> _Rows:
        changes = np.flatnonzero(np.diff(codes[order])) + 1
        starts = np.concatenate([[0], changes]).astype(np.intp)
        sizes = np.diff(np.append(starts, len(order)))
        return cls(order, starts, np.repeat(np.arange(len(starts)), sizes))

    def first(self, mask: Mask) -> Places:
        """(keys,) the first place of each key where `mask` holds; the number of rows for none."""
        positions = np.where(mask, np.arange(len(mask)), len(mask))
        return np.minimum.reduceat(positions, self.starts)


def _column(some: pa.Table, name: str, order: Places) -> tuple[Codes, Mask]:
    """Codes of a column's values, and where there is one, at the sorted places."""
    valid = np.asarray(pc.is_valid(as_array(some[name])).to_numpy(zero_copy_only=False))
    return column_codes(some, name)[order], valid[order]


def _consistent(rows: _Rows, columns: list[tuple[Codes, Mask]]) -> Mask:
    """Rows that contradict no earlier row of their key, as if they were taken one by one.

    Each round finds the first contradicting row of every key. The rows before it stay for certain,
    so whatever contradicts one of those is set aside with it.
    """
    active = np.ones(len(rows.group), dtype=np.bool_)
    while True:
        against = np.full(len(active), len(active))
        for codes, valid in columns:
            valued = valid & active
            source = rows.first(valued)[rows.group]
            other = valued & (codes != codes[np.minimum(source, len(active) - 1)])
            against[other] = np.minimum(against[other], source[other])
        contradicts = against < len(active)
        if not contradicts.any():
            return active
        active &= ~(contradicts & (against < rows.first(contradicts)[rows.group]))


def _merged(table: pa.Table, shared: Places, rows: _Rows, sources: dict[str, Places]) -> pa.Table:
    firsts = shared[rows.order[rows.starts]]
    stays = np.ones(table.num_rows, dtype=np.bool_)
    stays[shared] = False
    stays[firsts] = True
    columns = {}
    for name in table.column_names:
        take = np.arange(table.num_rows)
        if name in sources:
            has_source = sources[name] < len(rows.order)
            take[firsts[has_source]] = shared[rows.order[sources[name][has_source]]]
        columns[name] = as_array(table[name]).take(pa.array(take[stays]))
    return pa.table(columns, schema=table.schema)
