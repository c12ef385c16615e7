"""Rows that come twice: exact retries are dropped, contradictions go to the quarantine."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pat

from lib.contract.coercion import as_array
from lib.contract.reason import Mask

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Which rows only say again what an earlier row said, and which contradict it."""

    exact: Mask
    conflicting: Mask


@dataclass(frozen=True, slots=True)
class Once:
    """A table in which each key is once.

    Attributes:
        table: the rows that stay, in the order of each key's first row.
        conflicting: over the rows that came, those that contradict another row of their key.
        repeats: rows that said nothing that was not said.
        merged: rows whose values stand in another row of their key.
    """

    table: pa.Table
    conflicting: Mask
    repeats: int
    merged: int


def drop_repeats(
    table: pa.Table, key: tuple[str, ...], ignore: tuple[str, ...], order: tuple[str, ...]
) -> Once:
    """The first row of each key; see `find_repeats`."""
    repeats = find_repeats(table, key, ignore, order)
    stays = table.filter(pa.array(~(repeats.exact | repeats.conflicting)))
    return Once(stays, repeats.conflicting, int(repeats.exact.sum()), 0)


def find_repeats(
    table: pa.Table, key: tuple[str, ...], ignore: tuple[str, ...], order: tuple[str, ...]
) -> Repeats:
    """Compare every row with the first row of the same key.

    Args:
        table: rows already known to be good otherwise.
        key: columns that name the thing; no nulls.
        ignore: columns in which a retry may differ (the time it was received).
        order: columns that say which row is first; ties go by row order, nulls come last.

    Returns:
        Masks over the rows. The first row of each key is in neither.
    """
    rows = table.num_rows
    repeats = Repeats(np.zeros(rows, dtype=np.bool_), np.zeros(rows, dtype=np.bool_))
    shared = shared_key_rows(table, key)
    if not shared.size:
        return repeats
    some = table.take(pa.array(shared))
    first = _first_row_of_each(key_codes(some, key), row_sequence(some, order))
    content = [name for name in table.column_names if name not in {*key, *ignore}]
    same = np.ones(shared.size, dtype=np.bool_)
    for name in content:
        codes = column_codes(some, name)
        same &= codes == codes[first]
    again = first != np.arange(shared.size)
    repeats.exact[shared[again & same]] = True
    repeats.conflicting[shared[again & ~same]] = True
    return repeats


def shared_key_rows(table: pa.Table, key: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Rows whose key another row has, too."""
    codes = key_codes(table, key)
    counts = np.bincount(codes, minlength=1)
    return np.flatnonzero(counts[codes] > 1)


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


def row_sequence(table: pa.Table, order: tuple[str, ...]) -> Codes:
    """The place of each row when ordered by `order`, ties by row, nulls last."""
    keys = [np.arange(table.num_rows)]
    latest = np.iinfo(np.int64).max
    for name in reversed(order):
        times = as_array(table[name]).cast(pa.int64()).fill_null(latest)
        keys.append(times.to_numpy(zero_copy_only=False))
    sequence: Codes = np.empty(table.num_rows, dtype=np.int64)
    sequence[np.lexsort(keys)] = np.arange(table.num_rows)
    return sequence


def _first_row_of_each(codes: Codes, sequence: Codes) -> Codes:
    by_sequence = np.argsort(sequence)
    _, first, inverse = np.unique(codes[by_sequence], return_index=True, return_inverse=True)
    result: Codes = np.empty_like(codes)
    result[by_sequence] = by_sequence[first[inverse]]
    return result
