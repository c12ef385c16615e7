"""Rows of one key: retries are dropped, parts merged, contradictions go to the quarantine."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.contract.checked import Mask
from lib.contract.coercion import as_array
from lib.contract.key_groups import Codes, KeyGroups, Places, column_codes, valid_mask


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
    exact, conflicting = find_repeats(table, key, ignore, order)
    leaves = exact | conflicting
    stays = table.filter(pa.array(~leaves)) if leaves.any() else table
    return Once(stays, conflicting, int(exact.sum()), 0)


def find_repeats(
    table: pa.Table, key: tuple[str, ...], ignore: tuple[str, ...], order: tuple[str, ...]
) -> tuple[Mask, Mask]:
    """Rows that only say again what the first row of their key said, and those that contradict it.

    Args:
        table: rows already known to be good otherwise.
        key: columns that name the thing; no nulls.
        ignore: columns in which a retry may differ (the time it was received).
        order: columns that say which row is first; ties go by row order, nulls come last.

    Returns:
        two masks over the rows; the first row of each key is in neither.
    """
    exact, conflicting = np.zeros((2, table.num_rows), dtype=np.bool_)
    groups = KeyGroups.shared(table, key, order)
    if not len(groups.source):
        return exact, conflicting
    first = groups.starts[groups.group]
    again = first != np.arange(len(first))
    same = np.ones(len(first), dtype=np.bool_)
    for name in table.column_names:
        if name not in {*key, *ignore}:
            codes = column_codes(groups.rows, name)
            same &= codes == codes[first]
    exact[groups.source[again & same]] = True
    conflicting[groups.source[again & ~same]] = True
    return exact, conflicting


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
    groups = KeyGroups.shared(table, key, order)
    conflicting, count = np.zeros(table.num_rows, dtype=np.bool_), len(groups.source)
    if not count:
        return Once(table, conflicting, 0, 0)
    valid = {n: valid_mask(groups.rows, n) for n in table.column_names if n not in key}
    compared = [(column_codes(groups.rows, n), valid[n]) for n in valid if n not in ignore]
    active = _consistent(groups, compared)
    conflicting[groups.source[~active]] = True
    sources = {name: groups.first(mask & active) for name, mask in valid.items()}
    giving = np.zeros(count, dtype=np.bool_)
    for source in sources.values():
        giving[source[source < count]] = True
    giving[groups.starts] = False
    merged = int(giving.sum())
    repeats = int(active.sum()) - len(groups.starts) - merged
    return Once(_merged(table, groups, sources), conflicting, repeats, merged)


def _consistent(groups: KeyGroups, columns: list[tuple[Codes, Mask]]) -> Mask:
    """Rows that contradict no earlier row of their key, as if they were taken one by one.

    Each round finds the first contradicting row of every key. The rows before it stay for certain,
    so whatever contradicts one of those is set aside with it.
    """
    active = np.ones(len(groups.group), dtype=np.bool_)
    while True:
        against = np.full(len(active), len(active))
        for codes, valid in columns:
            valued = valid & active
            source = groups.first(valued)[groups.group]
            other = valued & (codes != codes[np.minimum(source, len(active) - 1)])
            against[other] = np.minimum(against[other], source[other])
        contradicts = against < len(active)
        if not contradicts.any():
            return active
        active &= ~(contradicts & (against < groups.first(contradicts)[groups.group]))


def _merged(table: pa.Table, groups: KeyGroups, sources: dict[str, Places]) -> pa.Table:
    firsts = groups.source[groups.starts]
    stays = np.ones(table.num_rows, dtype=np.bool_)
    stays[groups.source] = False
    stays[firsts] = True
    columns = {}
    for name in table.column_names:
        take = np.arange(table.num_rows)
        if name in sources:
            has_source = sources[name] < len(groups.source)
            take[firsts[has_source]] = groups.source[sources[name][has_source]]
        columns[name] = as_array(table[name]).take(pa.array(take[stays]))
    return pa.table(columns, schema=table.schema)
